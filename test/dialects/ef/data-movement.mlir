// Data movement: text form round trip.
// RUN: efc-opt %s | efc-opt | FileCheck %s

// CHECK-LABEL: @leaves
func.func @leaves() -> (tensor<4xf32>, tensor<2x3xi64>) {
  // CHECK: ef.weight "conv.weight" from "model.onnx_data" at 4096 : tensor<4xf32>
  %w = ef.weight "conv.weight" from "model.onnx_data" at 4096 : tensor<4xf32>
  // CHECK: ef.constant dense<{{.*}}> : tensor<2x3xi64>
  %c = ef.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi64>
  return %w, %c : tensor<4xf32>, tensor<2x3xi64>
}

// CHECK-LABEL: @moves
func.func @moves(%x: tensor<2x3x4xf32>, %i: tensor<2xi64>) -> tensor<2x2x4xf32> {
  %0 = ef.reshape %x : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  %1 = ef.reshape %0 : (tensor<6x4xf32>) -> tensor<2x3x4xf32>
  // CHECK: ef.transpose %{{.*}} {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  %2 = ef.transpose %1 {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  // CHECK: ef.slice %{{.*}} {starts = array<i64: 3, 0, 1>, steps = array<i64: -2, 1, 1>}
  %3 = ef.slice %2 {starts = array<i64: 3, 0, 1>, steps = array<i64: -2, 1, 1>} : (tensor<4x2x3xf32>) -> tensor<2x2x2xf32>
  %4 = ef.concat %3, %3 {axis = 2 : i64} : (tensor<2x2x2xf32>, tensor<2x2x2xf32>) -> tensor<2x2x4xf32>
  // CHECK: ef.pad edge %{{.*}} {pads = array<i64: 0, 0, 1, 0, 0, -1>}
  %5 = ef.pad edge %4 {pads = array<i64: 0, 0, 1, 0, 0, -1>} : (tensor<2x2x4xf32>) -> tensor<2x2x4xf32>
  // CHECK: ef.gather %{{.*}}, %{{.*}} {axis = 1 : i64}
  %6 = ef.gather %5, %i {axis = 1 : i64} : (tensor<2x2x4xf32>, tensor<2xi64>) -> tensor<2x2x4xf32>
  return %6 : tensor<2x2x4xf32>
}

// CHECK-LABEL: @fused
func.func @fused(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>) -> tensor<2x4xf32> {
  // CHECK: %[[Y:.*]] = ef.fused (%[[X0:.*]] = %{{.*}}, %[[W0:.*]] = %{{.*}}, %[[B0:.*]] = %{{.*}}) attributes {note = "kept"} : (tensor<2x3xf32>, tensor<3x4xf32>, tensor<4xf32>) -> tensor<2x4xf32> {
  // CHECK-NEXT: %[[M:.*]] = ef.matmul %[[X0]], %[[W0]]
  // CHECK-NEXT: %[[A:.*]] = ef.binary add %[[M]], %[[B0]]
  // CHECK-NEXT: ef.yield %[[A]] : tensor<2x4xf32>
  %y = ef.fused (%x0 = %x, %w0 = %w, %b0 = %b) attributes {note = "kept"} : (tensor<2x3xf32>, tensor<3x4xf32>, tensor<4xf32>) -> tensor<2x4xf32> {
    %0 = ef.matmul %x0, %w0 : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
    %1 = ef.binary add %0, %b0 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    ef.yield %1 : tensor<2x4xf32>
  }
  return %y : tensor<2x4xf32>
}
