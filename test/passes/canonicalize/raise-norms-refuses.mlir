// What looks like a normalisation and is none stays as it is.
// RUN: efc-opt %s -efc-raise-norms -split-input-file | FileCheck %s

// The normalised tensor has another user.
// CHECK-LABEL: @other_user
// CHECK: ef.group_norm {{.*}} -> tensor<1x4x32xf32>
func.func @other_user(%x: tensor<1x8x4x4xf32>) -> (tensor<1x8x4x4xf32>, tensor<1x4x32xf32>) {
  %one = ef.constant dense<1.0> : tensor<4xf32>
  %zero = ef.constant dense<0.0> : tensor<4xf32>
  %0 = ef.reshape %x : (tensor<1x8x4x4xf32>) -> tensor<1x4x32xf32>
  %1 = ef.group_norm %0, %one, %zero {groups = 4 : i64, epsilon = 1.0e-5 : f64} : (tensor<1x4x32xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x32xf32>
  %2 = ef.reshape %1 : (tensor<1x4x32xf32>) -> tensor<1x8x4x4xf32>
  return %2, %1 : tensor<1x8x4x4xf32>, tensor<1x4x32xf32>
}

// -----

// A scale that depends on the input stays a product.
// CHECK-LABEL: @dynamic_scale
// CHECK: ef.group_norm
// CHECK: ef.binary mul
func.func @dynamic_scale(%x: tensor<1x8x4x4xf32>, %s: tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32> {
  %one = ef.constant dense<1.0> : tensor<8xf32>
  %zero = ef.constant dense<0.0> : tensor<8xf32>
  %1 = ef.group_norm %x, %one, %zero {groups = 4 : i64, epsilon = 1.0e-5 : f64} : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4x4xf32>
  %3 = ef.binary mul %1, %s : (tensor<1x8x4x4xf32>, tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32>
  return %3 : tensor<1x8x4x4xf32>
}

// -----

// The variance is of another value than the numerator.
// CHECK-LABEL: @other_variance
// CHECK-NOT: ef.layer_norm
func.func @other_variance(%x: tensor<1x4x8xf32>, %y: tensor<1x4x8xf32>) -> tensor<1x4x8xf32> {
  %eps = ef.constant dense<1.0e-6> : tensor<f32>
  %2 = ef.binary mul %y, %y : (tensor<1x4x8xf32>, tensor<1x4x8xf32>) -> tensor<1x4x8xf32>
  %3 = ef.reduce mean %2 {axes = array<i64: 2>, keep_dims} : (tensor<1x4x8xf32>) -> tensor<1x4x1xf32>
  %4 = ef.binary add %3, %eps : (tensor<1x4x1xf32>, tensor<f32>) -> tensor<1x4x1xf32>
  %5 = ef.unary sqrt %4 : (tensor<1x4x1xf32>) -> tensor<1x4x1xf32>
  %6 = ef.binary div %x, %5 : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
  return %6 : tensor<1x4x8xf32>
}

// -----

// Not the trailing dimensions.
// CHECK-LABEL: @leading_dimension
// CHECK-NOT: ef.layer_norm
func.func @leading_dimension(%x: tensor<4x4x8xf32>) -> tensor<4x4x8xf32> {
  %eps = ef.constant dense<1.0e-6> : tensor<f32>
  %2 = ef.binary mul %x, %x : (tensor<4x4x8xf32>, tensor<4x4x8xf32>) -> tensor<4x4x8xf32>
  %3 = ef.reduce mean %2 {axes = array<i64: 1>, keep_dims} : (tensor<4x4x8xf32>) -> tensor<4x1x8xf32>
  %4 = ef.binary add %3, %eps : (tensor<4x1x8xf32>, tensor<f32>) -> tensor<4x1x8xf32>
  %5 = ef.unary sqrt %4 : (tensor<4x1x8xf32>) -> tensor<4x1x8xf32>
  %6 = ef.binary div %x, %5 : (tensor<4x4x8xf32>, tensor<4x1x8xf32>) -> tensor<4x4x8xf32>
  return %6 : tensor<4x4x8xf32>
}
