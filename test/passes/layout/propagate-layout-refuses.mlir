// RUN: efc-opt %s --efc-propagate-layout | FileCheck %s

// Without an operation that wants channels-last, nothing changes.
// CHECK-LABEL: func.func @no_anchor
// CHECK-NEXT: ef.group_norm
// CHECK-NOT: layout
// CHECK-NEXT: return
func.func @no_anchor(%x: tensor<1x4x8x6xf32>, %s: tensor<4xf32>) -> tensor<1x4x8x6xf32> {
  %0 = ef.group_norm %x, %s, %s {groups = 2 : i64, epsilon = 1.0e-05 : f64} : (tensor<1x4x8x6xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8x6xf32>
  return %0 : tensor<1x4x8x6xf32>
}

// A reshape that mixes channels and space keeps the channels-first order of elements.
// CHECK-LABEL: func.func @mixing_reshape
// CHECK: %[[C:.*]] = ef.conv
// CHECK-NEXT: %[[T:.*]] = ef.transpose %[[C]] {permutation = array<i64: 0, 3, 1, 2>}
// CHECK-NEXT: ef.reshape %[[T]]
func.func @mixing_reshape(%x: tensor<1x3x8x6xf32>, %w0: tensor<4x3x1x1xf32>) -> tensor<1x2x96xf32> {
  %0 = ef.conv %x, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x6xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x6xf32>
  %1 = ef.reshape %0 : (tensor<1x4x8x6xf32>) -> tensor<1x2x96xf32>
  return %1 : tensor<1x2x96xf32>
}

// The other operand would need a transpose as large as the one that is saved.
// CHECK-LABEL: func.func @foreign_residual
// CHECK: %[[C:.*]] = ef.conv
// CHECK-NEXT: %[[T:.*]] = ef.transpose %[[C]]
// CHECK-NEXT: ef.binary add %[[T]], %arg2
func.func @foreign_residual(%x: tensor<1x3x8x6xf32>, %w0: tensor<4x3x1x1xf32>, %r: tensor<1x4x8x6xf32>) -> tensor<1x4x8x6xf32> {
  %0 = ef.conv %x, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x6xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x6xf32>
  %1 = ef.binary add %0, %r : (tensor<1x4x8x6xf32>, tensor<1x4x8x6xf32>) -> tensor<1x4x8x6xf32>
  return %1 : tensor<1x4x8x6xf32>
}
