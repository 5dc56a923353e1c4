// What looks like an activation function and is none stays as it is.
// RUN: efc-opt %s -efc-raise-activations -split-input-file | FileCheck %s

// 1.7 is not 1.702.
// CHECK-LABEL: @nearly_quick_gelu
// CHECK-NOT: quick_gelu
func.func @nearly_quick_gelu(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = ef.constant dense<1.7> : tensor<f32>
  %0 = ef.binary mul %x, %c : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = ef.unary sigmoid %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = ef.binary mul %x, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %2 : tensor<4xf32>
}

// -----

// The gate of another value.
// CHECK-LABEL: @other_gate
// CHECK-NOT: silu
func.func @other_gate(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %0 = ef.unary sigmoid %y : (tensor<4xf32>) -> tensor<4xf32>
  %1 = ef.binary mul %x, %0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// A clip at 5 is no hard-swish.
// CHECK-LABEL: @other_clip
// CHECK-NOT: hard_swish
func.func @other_clip(%x: tensor<4xf32>) -> tensor<4xf32> {
  %three = ef.constant dense<3.0> : tensor<f32>
  %zero = ef.constant dense<0.0> : tensor<f32>
  %five = ef.constant dense<5.0> : tensor<f32>
  %six = ef.constant dense<6.0> : tensor<f32>
  %0 = ef.binary add %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = ef.binary max %0, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = ef.binary min %1, %five : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = ef.binary mul %x, %2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = ef.binary div %3, %six : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %4 : tensor<4xf32>
}

// -----

// The gate is the first half; ef.geglu has it second.
// CHECK-LABEL: @gate_first
// CHECK-NOT: ef.geglu
func.func @gate_first(%x: tensor<2x8xf32>) -> tensor<2x4xf32> {
  %0 = ef.slice %x {starts = array<i64: 0, 0>, steps = array<i64: 1, 1>} : (tensor<2x8xf32>) -> tensor<2x4xf32>
  %1 = ef.slice %x {starts = array<i64: 0, 4>, steps = array<i64: 1, 1>} : (tensor<2x8xf32>) -> tensor<2x4xf32>
  %2 = ef.unary gelu %0 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = ef.binary mul %1, %2 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %3 : tensor<2x4xf32>
}

// -----

// The halves of another dimension.
// CHECK-LABEL: @first_dimension
// CHECK-NOT: ef.geglu
func.func @first_dimension(%x: tensor<8x2xf32>) -> tensor<4x2xf32> {
  %0 = ef.slice %x {starts = array<i64: 0, 0>, steps = array<i64: 1, 1>} : (tensor<8x2xf32>) -> tensor<4x2xf32>
  %1 = ef.slice %x {starts = array<i64: 4, 0>, steps = array<i64: 1, 1>} : (tensor<8x2xf32>) -> tensor<4x2xf32>
  %2 = ef.unary gelu %1 : (tensor<4x2xf32>) -> tensor<4x2xf32>
  %3 = ef.binary mul %0, %2 : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<4x2xf32>
  return %3 : tensor<4x2xf32>
}
