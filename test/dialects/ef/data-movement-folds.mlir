// Data movement: identities and compositions.
// RUN: efc-opt %s -canonicalize -split-input-file | FileCheck %s

// CHECK-LABEL: @identities
// CHECK-NEXT: return %arg0
func.func @identities(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = ef.reshape %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = ef.transpose %0 {permutation = array<i64: 0, 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = ef.broadcast %1 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = ef.slice %2 {starts = array<i64: 0, 0>, steps = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %4 = ef.concat %3 {axis = 0 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %4 : tensor<2x3xf32>
}

// -----

// CHECK-LABEL: @inverse
// CHECK-NEXT: return %arg0
func.func @inverse(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %0 = ef.transpose %x {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  %1 = ef.transpose %0 {permutation = array<i64: 1, 2, 0>} : (tensor<4x2x3xf32>) -> tensor<2x3x4xf32>
  %2 = ef.reshape %1 : (tensor<2x3x4xf32>) -> tensor<24xf32>
  %3 = ef.reshape %2 : (tensor<24xf32>) -> tensor<2x3x4xf32>
  return %3 : tensor<2x3x4xf32>
}

// -----

// CHECK-LABEL: @compose
// CHECK-NEXT: %[[T:.*]] = ef.transpose %arg0 {permutation = array<i64: 1, 0, 2>} : (tensor<2x3x8xf32>) -> tensor<3x2x8xf32>
// CHECK-NEXT: %[[S:.*]] = ef.slice %[[T]] {starts = array<i64: 1, 0, 5>, steps = array<i64: 1, 1, -4>} : (tensor<3x2x8xf32>) -> tensor<1x2x2xf32>
// CHECK-NEXT: return %[[S]]
func.func @compose(%x: tensor<2x3x8xf32>) -> tensor<1x2x2xf32> {
  %0 = ef.transpose %x {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x8xf32>) -> tensor<8x2x3xf32>
  %1 = ef.transpose %0 {permutation = array<i64: 2, 1, 0>} : (tensor<8x2x3xf32>) -> tensor<3x2x8xf32>
  %2 = ef.slice %1 {starts = array<i64: 0, 0, 1>, steps = array<i64: 1, 1, 2>} : (tensor<3x2x8xf32>) -> tensor<2x2x4xf32>
  %3 = ef.slice %2 {starts = array<i64: 1, 0, 2>, steps = array<i64: 1, 1, -2>} : (tensor<2x2x4xf32>) -> tensor<1x2x2xf32>
  return %3 : tensor<1x2x2xf32>
}

// -----

// CHECK-LABEL: @splat
// CHECK-NEXT: %[[C:.*]] = ef.constant dense<2.500000e+00> : tensor<3x4x4xf32>
// CHECK-NEXT: return %[[C]]
func.func @splat() -> tensor<3x4x4xf32> {
  %c = ef.constant dense<2.5> : tensor<4x1xf32>
  %0 = ef.transpose %c {permutation = array<i64: 1, 0>} : (tensor<4x1xf32>) -> tensor<1x4xf32>
  %1 = ef.reshape %0 : (tensor<1x4xf32>) -> tensor<1x1x4xf32>
  %2 = ef.broadcast %1 : (tensor<1x1x4xf32>) -> tensor<3x4x4xf32>
  return %2 : tensor<3x4x4xf32>
}

// -----

// A weight is never folded.
// CHECK-LABEL: @weight
// CHECK: ef.transpose
func.func @weight() -> tensor<4x2xf32> {
  %w = ef.weight "w" from "model.onnx" at 0 : tensor<2x4xf32>
  %0 = ef.transpose %w {permutation = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  return %0 : tensor<4x2xf32>
}
