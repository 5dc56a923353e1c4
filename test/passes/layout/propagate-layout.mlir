// RUN: efc-opt %s --efc-propagate-layout | FileCheck %s

// Transposes only at the function's borders; a bias [C, 1, 1] is read as [C].
// CHECK-LABEL: func.func @conv_bias_silu_conv
// CHECK-SAME: (%[[X:.*]]: tensor<1x3x8x6xf32>, %[[W0:[^:]*]]: tensor<4x3x3x3xf32>, %[[B:[^:]*]]: tensor<4xf32>
// CHECK: %[[XL:.*]] = ef.transpose %[[X]] {permutation = array<i64: 0, 2, 3, 1>}
// CHECK-NEXT: %[[C0:.*]] = ef.conv %[[XL]], %[[W0]] {{.*}}layout = #ef<layout channels_last>{{.*}} -> tensor<1x8x6x4xf32>
// CHECK-NEXT: %[[A:.*]] = ef.binary add %[[C0]], %[[B]] : (tensor<1x8x6x4xf32>, tensor<4xf32>)
// CHECK-NEXT: %[[S:.*]] = ef.unary silu %[[A]] : (tensor<1x8x6x4xf32>)
// CHECK-NEXT: %[[C1:.*]] = ef.conv %[[S]], {{.*}} -> tensor<1x8x6x2xf32>
// CHECK-NEXT: %[[R:.*]] = ef.transpose %[[C1]] {permutation = array<i64: 0, 3, 1, 2>}
// CHECK-NEXT: return %[[R]] : tensor<1x2x8x6xf32>
func.func @conv_bias_silu_conv(%x: tensor<1x3x8x6xf32>, %w0: tensor<4x3x3x3xf32>, %b: tensor<4xf32>, %w1: tensor<2x4x1x1xf32>) -> tensor<1x2x8x6xf32> {
  %0 = ef.conv %x, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x6xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x8x6xf32>
  %1 = ef.reshape %b : (tensor<4xf32>) -> tensor<4x1x1xf32>
  %2 = ef.binary add %0, %1 : (tensor<1x4x8x6xf32>, tensor<4x1x1xf32>) -> tensor<1x4x8x6xf32>
  %3 = ef.unary silu %2 : (tensor<1x4x8x6xf32>) -> tensor<1x4x8x6xf32>
  %4 = ef.conv %3, %w1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x8x6xf32>, tensor<2x4x1x1xf32>) -> tensor<1x2x8x6xf32>
  return %4 : tensor<1x2x8x6xf32>
}

// Pictures to tokens and back: only reshapes remain between the convolutions.
// CHECK-LABEL: func.func @tokens
// CHECK: %[[C:.*]] = ef.conv
// CHECK-NEXT: %[[T:.*]] = ef.reshape %[[C]] : (tensor<1x8x6x4xf32>) -> tensor<1x48x4xf32>
// CHECK-NEXT: %[[N:.*]] = ef.layer_norm %[[T]]
// CHECK-NEXT: %[[P:.*]] = ef.reshape %[[N]] : (tensor<1x48x4xf32>) -> tensor<1x8x6x4xf32>
// CHECK-NEXT: ef.conv %[[P]]
func.func @tokens(%x: tensor<1x3x8x6xf32>, %w0: tensor<4x3x1x1xf32>, %w1: tensor<2x4x1x1xf32>) -> tensor<1x2x8x6xf32> {
  %0 = ef.conv %x, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x6xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x6xf32>
  %1 = ef.transpose %0 {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x4x8x6xf32>) -> tensor<1x8x6x4xf32>
  %2 = ef.reshape %1 : (tensor<1x8x6x4xf32>) -> tensor<1x48x4xf32>
  %3 = ef.layer_norm %2 {axis = 2 : i64, epsilon = 1.0e-05 : f64} : (tensor<1x48x4xf32>) -> tensor<1x48x4xf32>
  %4 = ef.reshape %3 : (tensor<1x48x4xf32>) -> tensor<1x8x6x4xf32>
  %5 = ef.transpose %4 {permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x8x6x4xf32>) -> tensor<1x4x8x6xf32>
  %6 = ef.conv %5, %w1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x8x6xf32>, tensor<2x4x1x1xf32>) -> tensor<1x2x8x6xf32>
  return %6 : tensor<1x2x8x6xf32>
}

// The same with the spatial dimensions merged before they are moved, as the VAE's attention does, and a group norm in between.
// CHECK-LABEL: func.func @merged_tokens
// CHECK: %[[C:.*]] = ef.conv
// CHECK-NEXT: %[[T:.*]] = ef.reshape %[[C]] : (tensor<1x8x6x4xf32>) -> tensor<1x48x4xf32>
// CHECK-NEXT: %[[N:.*]] = ef.group_norm %[[T]]{{.*}}layout = #ef<layout channels_last>
// CHECK-NEXT: return %[[N]]
func.func @merged_tokens(%x: tensor<1x3x8x6xf32>, %w0: tensor<4x3x1x1xf32>, %s: tensor<4xf32>) -> tensor<1x48x4xf32> {
  %0 = ef.conv %x, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x6xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x6xf32>
  %1 = ef.reshape %0 : (tensor<1x4x8x6xf32>) -> tensor<1x4x48xf32>
  %2 = ef.group_norm %1, %s, %s {groups = 2 : i64, epsilon = 1.0e-05 : f64} : (tensor<1x4x48xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x48xf32>
  %3 = ef.transpose %2 {permutation = array<i64: 0, 2, 1>} : (tensor<1x4x48xf32>) -> tensor<1x48x4xf32>
  return %3 : tensor<1x48x4xf32>
}

// Axes, pads, starts, scales follow the dimensions.
// CHECK-LABEL: func.func @attributes_follow
// CHECK: %[[C:.*]] = ef.conv
// CHECK-NEXT: %[[Z:.*]] = ef.resize nearest %[[C]] {{.*}}scales = array<f64: 1.000000e+00, 2.000000e+00, 2.000000e+00, 1.000000e+00>{{.*}} -> tensor<1x16x12x4xf32>
// CHECK-NEXT: %[[P:.*]] = ef.pad constant %[[Z]] {pads = array<i64: 0, 1, 3, 0, 0, 2, 4, 0>} : {{.*}} -> tensor<1x19x19x4xf32>
// CHECK-NEXT: %[[S:.*]] = ef.slice %[[P]] {starts = array<i64: 0, 3, 4, 1>, steps = array<i64: 1, 1, 1, 2>} : {{.*}} -> tensor<1x16x15x2xf32>
// CHECK-NEXT: %[[CC:.*]] = ef.concat %[[S]], %[[S]] {axis = 3 : i64} : {{.*}} -> tensor<1x16x15x4xf32>
// CHECK-NEXT: %[[SM:.*]] = ef.softmax %[[CC]] {axis = 3 : i64}
// CHECK-NEXT: %[[R:.*]] = ef.reduce mean %[[SM]] {axes = array<i64: 1, 2>} : {{.*}} -> tensor<1x4xf32>
// CHECK-NEXT: return %[[R]]
func.func @attributes_follow(%x: tensor<1x3x8x6xf32>, %w0: tensor<4x3x1x1xf32>) -> tensor<1x4xf32> {
  %0 = ef.conv %x, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x6xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x6xf32>
  %1 = ef.resize nearest %0 {coordinates = #ef<coordinates asymmetric>, rounding = #ef<rounding floor>, scales = array<f64: 1.0, 1.0, 2.0, 2.0>, roi = array<f64>, cubic_coeff_a = -0.75 : f64, extrapolation_value = 0.0 : f64} : (tensor<1x4x8x6xf32>) -> tensor<1x4x16x12xf32>
  %2 = ef.pad constant %1 {pads = array<i64: 0, 0, 1, 3, 0, 0, 2, 4>} : (tensor<1x4x16x12xf32>) -> tensor<1x4x19x19xf32>
  %3 = ef.slice %2 {starts = array<i64: 0, 1, 3, 4>, steps = array<i64: 1, 2, 1, 1>} : (tensor<1x4x19x19xf32>) -> tensor<1x2x16x15xf32>
  %4 = ef.concat %3, %3 {axis = 1 : i64} : (tensor<1x2x16x15xf32>, tensor<1x2x16x15xf32>) -> tensor<1x4x16x15xf32>
  %5 = ef.softmax %4 {axis = 1 : i64} : (tensor<1x4x16x15xf32>) -> tensor<1x4x16x15xf32>
  %6 = ef.reduce mean %5 {axes = array<i64: 2, 3>} : (tensor<1x4x16x15xf32>) -> tensor<1x4xf32>
  return %6 : tensor<1x4xf32>
}

// A value for each batch and channel, the time embedding: one more reshape, no transpose.
// CHECK-LABEL: func.func @time_embedding
// CHECK-SAME: %[[T:[^:]*]]: tensor<2x4xf32>
// CHECK: %[[C:.*]] = ef.conv
// CHECK-NEXT: %[[E:.*]] = ef.reshape %[[T]] : (tensor<2x4xf32>) -> tensor<2x1x1x4xf32>
// CHECK-NEXT: ef.binary add %[[C]], %[[E]]
func.func @time_embedding(%x: tensor<2x3x8x6xf32>, %w0: tensor<4x3x1x1xf32>, %t: tensor<2x4xf32>) -> tensor<2x4x8x6xf32> {
  %0 = ef.conv %x, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x3x8x6xf32>, tensor<4x3x1x1xf32>) -> tensor<2x4x8x6xf32>
  %1 = ef.reshape %t : (tensor<2x4xf32>) -> tensor<2x4x1x1xf32>
  %2 = ef.binary add %0, %1 : (tensor<2x4x8x6xf32>, tensor<2x4x1x1xf32>) -> tensor<2x4x8x6xf32>
  return %2 : tensor<2x4x8x6xf32>
}

// One channel: nothing moves, so the borders are reshapes.
// CHECK-LABEL: func.func @one_channel
// CHECK-NOT: ef.transpose
// CHECK: return
func.func @one_channel(%x: tensor<1x1x8x6xf32>, %w0: tensor<1x1x3x3xf32>) -> tensor<1x1x6x4xf32> {
  %0 = ef.conv %x, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x8x6xf32>, tensor<1x1x3x3xf32>) -> tensor<1x1x6x4xf32>
  return %0 : tensor<1x1x6x4xf32>
}

// A matmul of transposed tokens reads the tokens themselves.
// CHECK-LABEL: func.func @matmul_of_tokens
// CHECK: %[[C:.*]] = ef.conv
// CHECK-NEXT: %[[T:.*]] = ef.reshape %[[C]] : (tensor<1x8x6x4xf32>) -> tensor<1x48x4xf32>
// CHECK-NEXT: ef.matmul %[[T]], {{.*}} : (tensor<1x48x4xf32>, tensor<4x4xf32>) -> tensor<1x48x4xf32>
func.func @matmul_of_tokens(%x: tensor<1x3x8x6xf32>, %w0: tensor<4x3x1x1xf32>, %w1: tensor<4x4xf32>) -> tensor<1x48x4xf32> {
  %0 = ef.conv %x, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x6xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x6xf32>
  %1 = ef.reshape %0 : (tensor<1x4x8x6xf32>) -> tensor<1x4x48xf32>
  %2 = ef.matmul %1, %w1 {transpose_a} : (tensor<1x4x48xf32>, tensor<4x4xf32>) -> tensor<1x48x4xf32>
  return %2 : tensor<1x48x4xf32>
}
