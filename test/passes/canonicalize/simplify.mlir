// Equal things look equal afterwards.
// RUN: efc-opt %s -efc-simplify -split-input-file | FileCheck %s

// CHECK-LABEL: @split_and_merge
// CHECK-NEXT: %[[Y:.*]] = ef.reshape %arg0 : (tensor<1x64x8xf32>) -> tensor<64x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @split_and_merge(%x: tensor<1x64x8xf32>) -> tensor<64x8xf32> {
  %0 = ef.reshape %x : (tensor<1x64x8xf32>) -> tensor<1x64x2x4xf32>
  %1 = ef.transpose %0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x64x2x4xf32>) -> tensor<1x2x64x4xf32>
  %2 = ef.reshape %1 : (tensor<1x2x64x4xf32>) -> tensor<2x64x4xf32>
  %3 = ef.reshape %2 : (tensor<2x64x4xf32>) -> tensor<1x2x64x4xf32>
  %4 = ef.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x2x64x4xf32>) -> tensor<1x64x2x4xf32>
  %5 = ef.reshape %4 : (tensor<1x64x2x4xf32>) -> tensor<64x8xf32>
  return %5 : tensor<64x8xf32>
}

// -----

// Dimensions of one move for nothing.
// CHECK-LABEL: @unit_dimension
// CHECK-NEXT: ef.reshape %arg0 : (tensor<4x1x8xf32>) -> tensor<1x4x8xf32>
func.func @unit_dimension(%x: tensor<4x1x8xf32>) -> tensor<1x4x8xf32> {
  %0 = ef.transpose %x {permutation = array<i64: 1, 0, 2>} : (tensor<4x1x8xf32>) -> tensor<1x4x8xf32>
  return %0 : tensor<1x4x8xf32>
}

// -----

// Two transposes with a reshape between them are one.
// CHECK-LABEL: @compose
// CHECK-NEXT: %[[T:.*]] = ef.transpose %arg0 {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x8x4x4xf32>) -> tensor<1x4x4x8xf32>
// CHECK-NEXT: %[[Y:.*]] = ef.reshape %[[T]] : (tensor<1x4x4x8xf32>) -> tensor<1x16x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @compose(%x: tensor<1x8x4x4xf32>) -> tensor<1x16x8xf32> {
  %0 = ef.transpose %x {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x8x4x4xf32>) -> tensor<1x4x4x8xf32>
  %1 = ef.reshape %0 : (tensor<1x4x4x8xf32>) -> tensor<1x16x8xf32>
  %2 = ef.transpose %1 {permutation = array<i64: 0, 2, 1>} : (tensor<1x16x8xf32>) -> tensor<1x8x16xf32>
  %3 = ef.reshape %2 : (tensor<1x8x16xf32>) -> tensor<1x8x16x1xf32>
  %4 = ef.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x8x16x1xf32>) -> tensor<1x16x8x1xf32>
  %5 = ef.reshape %4 : (tensor<1x16x8x1xf32>) -> tensor<1x16x8xf32>
  return %5 : tensor<1x16x8xf32>
}

// -----

// A reshape that mixes dimensions stays.
// CHECK-LABEL: @mixing
// CHECK-NEXT: ef.transpose
// CHECK-NEXT: ef.reshape
// CHECK-NEXT: ef.transpose
func.func @mixing(%x: tensor<4x6xf32>) -> tensor<3x8xf32> {
  %0 = ef.transpose %x {permutation = array<i64: 1, 0>} : (tensor<4x6xf32>) -> tensor<6x4xf32>
  %1 = ef.reshape %0 : (tensor<6x4xf32>) -> tensor<8x3xf32>
  %2 = ef.transpose %1 {permutation = array<i64: 1, 0>} : (tensor<8x3xf32>) -> tensor<3x8xf32>
  return %2 : tensor<3x8xf32>
}

// -----

// CHECK-LABEL: @swap_halves
// CHECK-NEXT: %[[Y:.*]] = ef.concat %arg1, %arg0 {axis = 1 : i64}
// CHECK-NEXT: return %[[Y]]
func.func @swap_halves(%a: tensor<1x4xf32>, %b: tensor<1x4xf32>) -> tensor<1x8xf32> {
  %0 = ef.concat %a, %b {axis = 1 : i64} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x8xf32>
  %1 = ef.slice %0 {starts = array<i64: 0, 4>, steps = array<i64: 1, 1>} : (tensor<1x8xf32>) -> tensor<1x4xf32>
  %2 = ef.slice %0 {starts = array<i64: 0, 0>, steps = array<i64: 1, 1>} : (tensor<1x8xf32>) -> tensor<1x4xf32>
  %3 = ef.concat %1, %2 {axis = 1 : i64} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x8xf32>
  return %3 : tensor<1x8xf32>
}

// -----

// A slice across the seam stays.
// CHECK-LABEL: @seam
// CHECK: ef.concat
// CHECK: ef.slice
func.func @seam(%a: tensor<1x4xf32>, %b: tensor<1x4xf32>) -> tensor<1x2xf32> {
  %0 = ef.concat %a, %b {axis = 1 : i64} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x8xf32>
  %1 = ef.slice %0 {starts = array<i64: 0, 3>, steps = array<i64: 1, 1>} : (tensor<1x8xf32>) -> tensor<1x2xf32>
  return %1 : tensor<1x2xf32>
}

// -----

// CHECK-LABEL: @arithmetic
// CHECK-DAG: %[[Q:.*]] = ef.constant dense<2.500000e-01> : tensor<f32>
// CHECK-DAG: %[[THREE:.*]] = ef.constant dense<3.000000e+00> : tensor<f32>
// CHECK: %[[A:.*]] = ef.binary mul %arg0, %arg0
// CHECK: %[[B:.*]] = ef.binary mul %[[A]], %[[Q]]
// CHECK: %[[C:.*]] = ef.binary add %[[B]], %[[THREE]]
// CHECK: ef.binary div %[[C]], %[[THREE]]
func.func @arithmetic(%x: tensor<4xf32>) -> tensor<4xf32> {
  %two = ef.constant dense<2.0> : tensor<f32>
  %three = ef.constant dense<3.0> : tensor<f32>
  %four = ef.constant dense<4.0> : tensor<f32>
  %0 = ef.binary pow %x, %two : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = ef.binary div %0, %four : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = ef.binary add %three, %1 : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = ef.binary div %2, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %3 : tensor<4xf32>
}

// -----

// Integer division truncates: no product.
// CHECK-LABEL: @integers
// CHECK: ef.binary div
func.func @integers(%x: tensor<4xi32>) -> tensor<4xi32> {
  %four = ef.constant dense<4> : tensor<i32>
  %0 = ef.binary div %x, %four : (tensor<4xi32>, tensor<i32>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

// CHECK-LABEL: @matmul_flags
// CHECK-NEXT: ef.matmul %arg0, %arg1 {transpose_b}
func.func @matmul_flags(%a: tensor<2x4x8xf32>, %b: tensor<2x5x8xf32>) -> tensor<2x4x5xf32> {
  %0 = ef.transpose %b {permutation = array<i64: 0, 2, 1>} : (tensor<2x5x8xf32>) -> tensor<2x8x5xf32>
  %1 = ef.matmul %a, %0 : (tensor<2x4x8xf32>, tensor<2x8x5xf32>) -> tensor<2x4x5xf32>
  return %1 : tensor<2x4x5xf32>
}

// -----

// CHECK-LABEL: @broadcast
// CHECK-NEXT: ef.binary add %arg0, %arg1
func.func @broadcast(%a: tensor<2x4xf32>, %b: tensor<4xf32>) -> tensor<2x4xf32> {
  %0 = ef.broadcast %b : (tensor<4xf32>) -> tensor<2x4xf32>
  %1 = ef.binary add %a, %0 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}

// -----

// A weight takes the shape that is asked of it.
// CHECK-LABEL: @weight
// CHECK-NEXT: ef.weight "w" from "m.onnx" at 8 : tensor<4xf32>
// CHECK-NEXT: return
func.func @weight() -> tensor<4xf32> {
  %w = ef.weight "w" from "m.onnx" at 8 : tensor<4x1x1xf32>
  %0 = ef.reshape %w : (tensor<4x1x1xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// A range of several indices of a transpose stays behind it.
// CHECK-LABEL: @range_of_transpose
// CHECK-NEXT: ef.transpose
// CHECK-NEXT: ef.slice
func.func @range_of_transpose(%x: tensor<4x6xf32>) -> tensor<2x4xf32> {
  %0 = ef.transpose %x {permutation = array<i64: 1, 0>} : (tensor<4x6xf32>) -> tensor<6x4xf32>
  %1 = ef.slice %0 {starts = array<i64: 1, 0>, steps = array<i64: 1, 1>} : (tensor<6x4xf32>) -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}
