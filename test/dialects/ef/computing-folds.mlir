// Element-wise operations: what folds, and what only looks as if it did.
// RUN: efc-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func.func @neutral
// CHECK-NEXT: return %arg0 : tensor<2x3xf32>
func.func @neutral(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %zero = ef.constant dense<0.0> : tensor<f32>
  %one = ef.constant dense<1.0> : tensor<3xf32>
  %0 = ef.binary add %zero, %x : (tensor<f32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = ef.binary mul %0, %one : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %2 = ef.binary div %1, %one : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %3 = ef.binary sub %2, %zero : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %4 = ef.binary pow %3, %one : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %4 : tensor<2x3xf32>
}

// The constant makes the result larger, or stands on the side that counts.
// CHECK-LABEL: func.func @not_neutral
// CHECK: ef.binary add
// CHECK: ef.binary sub
// CHECK: ef.binary div
func.func @not_neutral(%x: tensor<3xf32>) -> (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) {
  %zeros = ef.constant dense<0.0> : tensor<2x3xf32>
  %zero = ef.constant dense<0.0> : tensor<f32>
  %one = ef.constant dense<1.0> : tensor<f32>
  %0 = ef.binary add %x, %zeros : (tensor<3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = ef.binary sub %zero, %x : (tensor<f32>, tensor<3xf32>) -> tensor<3xf32>
  %2 = ef.binary div %one, %x : (tensor<f32>, tensor<3xf32>) -> tensor<3xf32>
  return %0, %1, %2 : tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>
}

// CHECK-LABEL: func.func @unary
// CHECK-NEXT: %[[A:.*]] = ef.unary abs %arg0
// CHECK-NEXT: return %[[A]], %arg0
func.func @unary(%x: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
  %0 = ef.unary abs %x : (tensor<3xf32>) -> tensor<3xf32>
  %1 = ef.unary abs %0 : (tensor<3xf32>) -> tensor<3xf32>
  %2 = ef.unary neg %x : (tensor<3xf32>) -> tensor<3xf32>
  %3 = ef.unary neg %2 : (tensor<3xf32>) -> tensor<3xf32>
  return %1, %3 : tensor<3xf32>, tensor<3xf32>
}

// Through a type that holds every value: gone, or one cast.
// CHECK-LABEL: func.func @exact_casts
// CHECK-NEXT: %[[C:.*]] = ef.cast %arg1 : (tensor<3xi8>) -> tensor<3xf64>
// CHECK-NEXT: return %arg0, %[[C]]
func.func @exact_casts(%x: tensor<3xf16>, %i: tensor<3xi8>) -> (tensor<3xf16>, tensor<3xf64>) {
  %0 = ef.cast %x : (tensor<3xf16>) -> tensor<3xf32>
  %1 = ef.cast %0 : (tensor<3xf32>) -> tensor<3xf16>
  %2 = ef.cast %i : (tensor<3xi8>) -> tensor<3xf16>
  %3 = ef.cast %2 : (tensor<3xf16>) -> tensor<3xf64>
  return %1, %3 : tensor<3xf16>, tensor<3xf64>
}

// Through one that rounds: both stay.
// CHECK-LABEL: func.func @rounding_casts
// CHECK-COUNT-4: ef.cast
func.func @rounding_casts(%x: tensor<3xf32>, %i: tensor<3xi64>) -> (tensor<3xf32>, tensor<3xi64>) {
  %0 = ef.cast %x : (tensor<3xf32>) -> tensor<3xbf16>
  %1 = ef.cast %0 : (tensor<3xbf16>) -> tensor<3xf32>
  %2 = ef.cast %i : (tensor<3xi64>) -> tensor<3xf64>
  %3 = ef.cast %2 : (tensor<3xf64>) -> tensor<3xi64>
  return %1, %3 : tensor<3xf32>, tensor<3xi64>
}
