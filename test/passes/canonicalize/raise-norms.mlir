// Group, layer and RMS normalisation in the forms in which exporters write them.
// RUN: efc-opt %s -efc-raise-norms -efc-fold-constants -split-input-file | FileCheck %s

// CHECK-LABEL: @group_norm
// CHECK-DAG: %[[S:.*]] = ef.reshape %{{.*}} : (tensor<8x1x1xf32>) -> tensor<8xf32>
// CHECK-DAG: %[[B:.*]] = ef.reshape %{{.*}} : (tensor<8x1x1xf32>) -> tensor<8xf32>
// CHECK: %[[Y:.*]] = ef.group_norm %arg0, %[[S]], %[[B]] {epsilon = 1.000000e-05 : f64, groups = 4 : i64} : (tensor<1x8x4x4xf32>
// CHECK-NEXT: return %[[Y]]
func.func @group_norm(%x: tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32> {
  %one = ef.constant dense<1.0> : tensor<4xf32>
  %zero = ef.constant dense<0.0> : tensor<4xf32>
  %s = ef.weight "scale" from "m.onnx" at 0 : tensor<8x1x1xf32>
  %b = ef.weight "bias" from "m.onnx" at 32 : tensor<8x1x1xf32>
  %0 = ef.reshape %x : (tensor<1x8x4x4xf32>) -> tensor<1x4x32xf32>
  %1 = ef.group_norm %0, %one, %zero {groups = 4 : i64, epsilon = 1.0e-5 : f64} : (tensor<1x4x32xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x32xf32>
  %2 = ef.reshape %1 : (tensor<1x4x32xf32>) -> tensor<1x8x4x4xf32>
  %3 = ef.binary mul %2, %s : (tensor<1x8x4x4xf32>, tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32>
  %4 = ef.binary add %3, %b : (tensor<1x8x4x4xf32>, tensor<8x1x1xf32>) -> tensor<1x8x4x4xf32>
  return %4 : tensor<1x8x4x4xf32>
}

// -----

// Without an affine part.
// CHECK-LABEL: @plain_group_norm
// CHECK: %[[Y:.*]] = ef.group_norm %arg0, %{{.*}}, %{{.*}} {epsilon = 1.000000e-05 : f64, groups = 2 : i64} : (tensor<1x8x4xf32>, tensor<8xf32>, tensor<8xf32>)
// CHECK-NEXT: return %[[Y]]
func.func @plain_group_norm(%x: tensor<1x8x4xf32>) -> tensor<1x8x4xf32> {
  %one = ef.constant dense<1.0> : tensor<2xf32>
  %zero = ef.constant dense<0.0> : tensor<2xf32>
  %0 = ef.reshape %x : (tensor<1x8x4xf32>) -> tensor<1x2x16xf32>
  %1 = ef.group_norm %0, %one, %zero {groups = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<1x2x16xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x16xf32>
  %2 = ef.reshape %1 : (tensor<1x2x16xf32>) -> tensor<1x8x4xf32>
  return %2 : tensor<1x8x4xf32>
}

// -----

// CHECK-LABEL: @layer_norm
// CHECK: %[[S:.*]] = ef.weight "scale"
// CHECK: %[[B:.*]] = ef.weight "bias"
// CHECK: %[[Y:.*]] = ef.layer_norm %arg0 scale %[[S]] bias %[[B]] {axis = 2 : i64, epsilon = 9.9999997{{.*}} : f64}
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm(%x: tensor<1x4x8xf32>) -> tensor<1x4x8xf32> {
  %two = ef.constant dense<2.0> : tensor<f32>
  %eps = ef.constant dense<1.0e-5> : tensor<f32>
  %s = ef.weight "scale" from "m.onnx" at 0 : tensor<8xf32>
  %b = ef.weight "bias" from "m.onnx" at 32 : tensor<8xf32>
  %0 = ef.reduce mean %x {axes = array<i64: 2>, keep_dims} : (tensor<1x4x8xf32>) -> tensor<1x4x1xf32>
  %1 = ef.binary sub %x, %0 : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
  %2 = ef.binary pow %1, %two : (tensor<1x4x8xf32>, tensor<f32>) -> tensor<1x4x8xf32>
  %3 = ef.reduce mean %2 {axes = array<i64: 2>, keep_dims} : (tensor<1x4x8xf32>) -> tensor<1x4x1xf32>
  %4 = ef.binary add %3, %eps : (tensor<1x4x1xf32>, tensor<f32>) -> tensor<1x4x1xf32>
  %5 = ef.unary sqrt %4 : (tensor<1x4x1xf32>) -> tensor<1x4x1xf32>
  %6 = ef.binary div %1, %5 : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
  %7 = ef.binary mul %6, %s : (tensor<1x4x8xf32>, tensor<8xf32>) -> tensor<1x4x8xf32>
  %8 = ef.binary add %7, %b : (tensor<1x4x8xf32>, tensor<8xf32>) -> tensor<1x4x8xf32>
  return %8 : tensor<1x4x8xf32>
}

// -----

// CHECK-LABEL: @rms_norm
// CHECK: %[[S:.*]] = ef.weight "scale"
// CHECK: %[[Y:.*]] = ef.layer_norm %arg0 scale %[[S]] {axis = 2 : i64, epsilon = {{.*}}, rms}
// CHECK-NEXT: return %[[Y]]
func.func @rms_norm(%x: tensor<1x4x8xf32>) -> tensor<1x4x8xf32> {
  %eps = ef.constant dense<1.0e-6> : tensor<f32>
  %one = ef.constant dense<1.0> : tensor<f32>
  %s = ef.weight "scale" from "m.onnx" at 0 : tensor<8xf32>
  %2 = ef.binary mul %x, %x : (tensor<1x4x8xf32>, tensor<1x4x8xf32>) -> tensor<1x4x8xf32>
  %3 = ef.reduce mean %2 {axes = array<i64: 2>, keep_dims} : (tensor<1x4x8xf32>) -> tensor<1x4x1xf32>
  %4 = ef.binary add %3, %eps : (tensor<1x4x1xf32>, tensor<f32>) -> tensor<1x4x1xf32>
  %5 = ef.unary sqrt %4 : (tensor<1x4x1xf32>) -> tensor<1x4x1xf32>
  %6 = ef.unary reciprocal %5 : (tensor<1x4x1xf32>) -> tensor<1x4x1xf32>
  %7 = ef.binary mul %x, %6 : (tensor<1x4x8xf32>, tensor<1x4x1xf32>) -> tensor<1x4x8xf32>
  %8 = ef.binary mul %s, %7 : (tensor<8xf32>, tensor<1x4x8xf32>) -> tensor<1x4x8xf32>
  return %8 : tensor<1x4x8xf32>
}

// -----

// A scale for each group becomes one for each channel.
// CHECK-LABEL: @group_scales
// CHECK: %[[S:.*]] = ef.constant dense<[1.000000e+00, 1.000000e+00, 2.000000e+00, 2.000000e+00, 3.000000e+00, 3.000000e+00, 4.000000e+00, 4.000000e+00]> : tensor<8xf32>
// CHECK: ef.group_norm %arg0, %[[S]], %{{.*}} -> tensor<1x8x4x4xf32>
func.func @group_scales(%x: tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32> {
  %s = ef.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %zero = ef.constant dense<0.0> : tensor<4xf32>
  %0 = ef.reshape %x : (tensor<1x8x4x4xf32>) -> tensor<1x4x32xf32>
  %1 = ef.group_norm %0, %s, %zero {groups = 4 : i64, epsilon = 1.0e-5 : f64} : (tensor<1x4x32xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x32xf32>
  %2 = ef.reshape %1 : (tensor<1x4x32xf32>) -> tensor<1x8x4x4xf32>
  return %2 : tensor<1x8x4x4xf32>
}
