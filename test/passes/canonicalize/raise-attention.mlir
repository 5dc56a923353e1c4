// Attention in the forms in which exporters write it.
// RUN: efc-opt %s -efc-raise-attention -efc-simplify -canonicalize -split-input-file -verify-diagnostics | FileCheck %s

// torch's older exporter: the square root of the scale on queries and keys, [B, heads, T, d].
// CHECK-LABEL: @scaled_operands
// CHECK-NEXT: %[[Y:.*]] = ef.attention %arg0, %arg1, %arg2 {heads = 4 : i64, kv_heads = 4 : i64, scale = 2.500000e-01 : f64} : (tensor<1x6x32xf32>, tensor<1x5x32xf32>, tensor<1x5x32xf32>) -> tensor<1x6x32xf32>
// CHECK-NEXT: return %[[Y]]
func.func @scaled_operands(%q: tensor<1x6x32xf32>, %k: tensor<1x5x32xf32>, %v: tensor<1x5x32xf32>) -> tensor<1x6x32xf32> {
  %s = ef.constant dense<0.5> : tensor<f32>
  %q0 = ef.reshape %q : (tensor<1x6x32xf32>) -> tensor<1x6x4x8xf32>
  %q1 = ef.transpose %q0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x6x4x8xf32>) -> tensor<1x4x6x8xf32>
  %q2 = ef.binary mul %q1, %s : (tensor<1x4x6x8xf32>, tensor<f32>) -> tensor<1x4x6x8xf32>
  %k0 = ef.reshape %k : (tensor<1x5x32xf32>) -> tensor<1x5x4x8xf32>
  %k1 = ef.transpose %k0 {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x5x4x8xf32>) -> tensor<1x4x8x5xf32>
  %k2 = ef.binary mul %k1, %s : (tensor<1x4x8x5xf32>, tensor<f32>) -> tensor<1x4x8x5xf32>
  %v0 = ef.reshape %v : (tensor<1x5x32xf32>) -> tensor<1x5x4x8xf32>
  %v1 = ef.transpose %v0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x5x4x8xf32>) -> tensor<1x4x5x8xf32>
  %0 = ef.matmul %q2, %k2 : (tensor<1x4x6x8xf32>, tensor<1x4x8x5xf32>) -> tensor<1x4x6x5xf32>
  %1 = ef.softmax %0 {axis = 3 : i64} : (tensor<1x4x6x5xf32>) -> tensor<1x4x6x5xf32>
  %2 = ef.matmul %1, %v1 : (tensor<1x4x6x5xf32>, tensor<1x4x5x8xf32>) -> tensor<1x4x6x8xf32>
  %3 = ef.transpose %2 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x4x6x8xf32>) -> tensor<1x6x4x8xf32>
  %4 = ef.reshape %3 : (tensor<1x6x4x8xf32>) -> tensor<1x6x32xf32>
  return %4 : tensor<1x6x32xf32>
}

// -----

// Older diffusers: batch and heads merged, the scores scaled by a division, two of everything in the batch.
// CHECK-LABEL: @merged_batch
// CHECK-NEXT: %[[Y:.*]] = ef.attention %arg0, %arg1, %arg2 {heads = 4 : i64, kv_heads = 4 : i64, scale = 5.000000e-01 : f64} : (tensor<2x6x32xf32>, tensor<2x5x32xf32>, tensor<2x5x32xf32>) -> tensor<2x6x32xf32>
// CHECK-NEXT: return %[[Y]]
func.func @merged_batch(%q: tensor<2x6x32xf32>, %k: tensor<2x5x32xf32>, %v: tensor<2x5x32xf32>) -> tensor<2x6x32xf32> {
  %s = ef.constant dense<2.0> : tensor<f32>
  %q0 = ef.reshape %q : (tensor<2x6x32xf32>) -> tensor<2x6x4x8xf32>
  %q1 = ef.transpose %q0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x6x4x8xf32>) -> tensor<2x4x6x8xf32>
  %q2 = ef.reshape %q1 : (tensor<2x4x6x8xf32>) -> tensor<8x6x8xf32>
  %k0 = ef.reshape %k : (tensor<2x5x32xf32>) -> tensor<2x5x4x8xf32>
  %k1 = ef.transpose %k0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x5x4x8xf32>) -> tensor<2x4x5x8xf32>
  %k2 = ef.reshape %k1 : (tensor<2x4x5x8xf32>) -> tensor<8x5x8xf32>
  %v0 = ef.reshape %v : (tensor<2x5x32xf32>) -> tensor<2x5x4x8xf32>
  %v1 = ef.transpose %v0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x5x4x8xf32>) -> tensor<2x4x5x8xf32>
  %v2 = ef.reshape %v1 : (tensor<2x4x5x8xf32>) -> tensor<8x5x8xf32>
  %0 = ef.matmul %q2, %k2 {transpose_b} : (tensor<8x6x8xf32>, tensor<8x5x8xf32>) -> tensor<8x6x5xf32>
  %1 = ef.binary div %0, %s : (tensor<8x6x5xf32>, tensor<f32>) -> tensor<8x6x5xf32>
  %2 = ef.softmax %1 {axis = 2 : i64} : (tensor<8x6x5xf32>) -> tensor<8x6x5xf32>
  %3 = ef.matmul %2, %v2 : (tensor<8x6x5xf32>, tensor<8x5x8xf32>) -> tensor<8x6x8xf32>
  %4 = ef.reshape %3 : (tensor<8x6x8xf32>) -> tensor<2x4x6x8xf32>
  %5 = ef.transpose %4 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x4x6x8xf32>) -> tensor<2x6x4x8xf32>
  %6 = ef.reshape %5 : (tensor<2x6x4x8xf32>) -> tensor<2x6x32xf32>
  return %6 : tensor<2x6x32xf32>
}

// -----

// Channels before tokens, one fused projection: einsums bct,bcs->bts and bts,bcs->bct.
// CHECK-LABEL: @channels_first
// CHECK-DAG: %[[Q0:.*]] = ef.slice %arg0 {starts = array<i64: 0, 0, 0>
// CHECK-DAG: %[[K0:.*]] = ef.slice %arg0 {starts = array<i64: 0, 16, 0>
// CHECK-DAG: %[[V0:.*]] = ef.slice %arg0 {starts = array<i64: 0, 32, 0>
// CHECK-DAG: %[[Q:.*]] = ef.transpose %[[Q0]] {permutation = array<i64: 0, 2, 1>} : (tensor<1x16x6xf32>) -> tensor<1x6x16xf32>
// CHECK-DAG: %[[K:.*]] = ef.transpose %[[K0]]
// CHECK-DAG: %[[V:.*]] = ef.transpose %[[V0]]
// CHECK: %[[A:.*]] = ef.attention %[[Q]], %[[K]], %[[V]] {heads = 2 : i64, kv_heads = 2 : i64, scale = 2.500000e-01 : f64}
// CHECK-NEXT: %[[Y:.*]] = ef.transpose %[[A]] {permutation = array<i64: 0, 2, 1>} : (tensor<1x6x16xf32>) -> tensor<1x16x6xf32>
// CHECK-NEXT: return %[[Y]]
func.func @channels_first(%qkv: tensor<1x48x6xf32>) -> tensor<1x16x6xf32> {
  %s = ef.constant dense<0.5> : tensor<f32>
  %q = ef.slice %qkv {starts = array<i64: 0, 0, 0>, steps = array<i64: 1, 1, 1>} : (tensor<1x48x6xf32>) -> tensor<1x16x6xf32>
  %k = ef.slice %qkv {starts = array<i64: 0, 16, 0>, steps = array<i64: 1, 1, 1>} : (tensor<1x48x6xf32>) -> tensor<1x16x6xf32>
  %v = ef.slice %qkv {starts = array<i64: 0, 32, 0>, steps = array<i64: 1, 1, 1>} : (tensor<1x48x6xf32>) -> tensor<1x16x6xf32>
  %q0 = ef.binary mul %q, %s : (tensor<1x16x6xf32>, tensor<f32>) -> tensor<1x16x6xf32>
  %q1 = ef.reshape %q0 : (tensor<1x16x6xf32>) -> tensor<2x8x6xf32>
  %k0 = ef.binary mul %k, %s : (tensor<1x16x6xf32>, tensor<f32>) -> tensor<1x16x6xf32>
  %k1 = ef.reshape %k0 : (tensor<1x16x6xf32>) -> tensor<2x8x6xf32>
  %v1 = ef.reshape %v : (tensor<1x16x6xf32>) -> tensor<2x8x6xf32>
  %0 = ef.matmul %q1, %k1 {transpose_a} : (tensor<2x8x6xf32>, tensor<2x8x6xf32>) -> tensor<2x6x6xf32>
  %1 = ef.softmax %0 {axis = 2 : i64} : (tensor<2x6x6xf32>) -> tensor<2x6x6xf32>
  %2 = ef.matmul %v1, %1 {transpose_b} : (tensor<2x8x6xf32>, tensor<2x6x6xf32>) -> tensor<2x8x6xf32>
  %3 = ef.reshape %2 : (tensor<2x8x6xf32>) -> tensor<1x16x6xf32>
  return %3 : tensor<1x16x6xf32>
}

// -----

// A mask for each head, f32 around the softmax of an f16 model, a guard against NaN.
// CHECK-LABEL: @mask_casts_guard
// CHECK: %[[M:.*]] = ef.cast %arg3 : (tensor<1x2x6x5xf32>) -> tensor<1x2x6x5xf16>
// CHECK: ef.attention %arg0, %arg1, %arg2 mask %[[M]] {heads = 2 : i64, kv_heads = 2 : i64, scale = 1.250000e-01 : f64}
func.func @mask_casts_guard(%q: tensor<1x6x16xf16>, %k: tensor<1x5x16xf16>, %v: tensor<1x5x16xf16>, %m: tensor<1x2x6x5xf32>) -> tensor<1x6x16xf16> {
  %s = ef.constant dense<0.125> : tensor<f16>
  %zero = ef.constant dense<0.0> : tensor<f32>
  %q0 = ef.reshape %q : (tensor<1x6x16xf16>) -> tensor<1x6x2x8xf16>
  %q1 = ef.transpose %q0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x6x2x8xf16>) -> tensor<1x2x6x8xf16>
  %k0 = ef.reshape %k : (tensor<1x5x16xf16>) -> tensor<1x5x2x8xf16>
  %k1 = ef.transpose %k0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x5x2x8xf16>) -> tensor<1x2x5x8xf16>
  %v0 = ef.reshape %v : (tensor<1x5x16xf16>) -> tensor<1x5x2x8xf16>
  %v1 = ef.transpose %v0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x5x2x8xf16>) -> tensor<1x2x5x8xf16>
  %0 = ef.matmul %q1, %k1 {transpose_b} : (tensor<1x2x6x8xf16>, tensor<1x2x5x8xf16>) -> tensor<1x2x6x5xf16>
  %1 = ef.binary mul %s, %0 : (tensor<f16>, tensor<1x2x6x5xf16>) -> tensor<1x2x6x5xf16>
  %2 = ef.cast %1 : (tensor<1x2x6x5xf16>) -> tensor<1x2x6x5xf32>
  %3 = ef.binary add %2, %m : (tensor<1x2x6x5xf32>, tensor<1x2x6x5xf32>) -> tensor<1x2x6x5xf32>
  %4 = ef.softmax %3 {axis = 3 : i64} : (tensor<1x2x6x5xf32>) -> tensor<1x2x6x5xf32>
  %5 = ef.unary is_nan %4 : (tensor<1x2x6x5xf32>) -> tensor<1x2x6x5xi1>
  %6 = ef.select %5, %zero, %4 : (tensor<1x2x6x5xi1>, tensor<f32>, tensor<1x2x6x5xf32>) -> tensor<1x2x6x5xf32>
  %7 = ef.cast %6 : (tensor<1x2x6x5xf32>) -> tensor<1x2x6x5xf16>
  %8 = ef.matmul %7, %v1 : (tensor<1x2x6x5xf16>, tensor<1x2x5x8xf16>) -> tensor<1x2x6x8xf16>
  %9 = ef.transpose %8 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x2x6x8xf16>) -> tensor<1x6x2x8xf16>
  %10 = ef.reshape %9 : (tensor<1x6x2x8xf16>) -> tensor<1x6x16xf16>
  return %10 : tensor<1x6x16xf16>
}

// -----

// A boolean mask, and one head that nothing splits.
// CHECK-LABEL: @boolean_mask
// CHECK: %[[N:.*]] = ef.unary not %arg3
// CHECK: ef.attention %arg0, %arg1, %arg2 mask %[[N]] {heads = 1 : i64, kv_heads = 1 : i64, scale = 1.000000e+00 : f64}
func.func @boolean_mask(%q: tensor<1x6x8xf32>, %k: tensor<1x5x8xf32>, %v: tensor<1x5x8xf32>, %m: tensor<6x5xi1>) -> tensor<1x6x8xf32> {
  %inf = ef.constant dense<0xFF800000> : tensor<f32>
  %0 = ef.matmul %q, %k {transpose_b} : (tensor<1x6x8xf32>, tensor<1x5x8xf32>) -> tensor<1x6x5xf32>
  %1 = ef.select %m, %inf, %0 : (tensor<6x5xi1>, tensor<f32>, tensor<1x6x5xf32>) -> tensor<1x6x5xf32>
  %2 = ef.softmax %1 {axis = 2 : i64} : (tensor<1x6x5xf32>) -> tensor<1x6x5xf32>
  %3 = ef.matmul %2, %v : (tensor<1x6x5xf32>, tensor<1x5x8xf32>) -> tensor<1x6x8xf32>
  return %3 : tensor<1x6x8xf32>
}

// -----

// A mask on [B, heads, T, T] between two views of [B * heads, T, T].
// CHECK-LABEL: @mask_in_another_view
// CHECK: ef.attention %{{.*}}, %{{.*}}, %{{.*}} mask %arg3 {heads = 4 : i64
func.func @mask_in_another_view(%q: tensor<4x6x8xf32>, %k: tensor<1x6x32xf32>, %v: tensor<4x6x8xf32>, %m: tensor<1x1x6x6xf32>) -> tensor<4x6x8xf32> {
  %k0 = ef.reshape %k : (tensor<1x6x32xf32>) -> tensor<1x6x4x8xf32>
  %k1 = ef.transpose %k0 {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x6x4x8xf32>) -> tensor<1x4x8x6xf32>
  %k2 = ef.reshape %k1 : (tensor<1x4x8x6xf32>) -> tensor<4x8x6xf32>
  %0 = ef.matmul %q, %k2 : (tensor<4x6x8xf32>, tensor<4x8x6xf32>) -> tensor<4x6x6xf32>
  %1 = ef.reshape %0 : (tensor<4x6x6xf32>) -> tensor<1x4x6x6xf32>
  %2 = ef.binary add %1, %m : (tensor<1x4x6x6xf32>, tensor<1x1x6x6xf32>) -> tensor<1x4x6x6xf32>
  %3 = ef.reshape %2 : (tensor<1x4x6x6xf32>) -> tensor<4x6x6xf32>
  %4 = ef.softmax %3 {axis = 2 : i64} : (tensor<4x6x6xf32>) -> tensor<4x6x6xf32>
  %5 = ef.matmul %4, %v : (tensor<4x6x6xf32>, tensor<4x6x8xf32>) -> tensor<4x6x8xf32>
  return %5 : tensor<4x6x8xf32>
}

// -----

// A softmax that is no attention gets no remark.
// CHECK-LABEL: @classifier
// CHECK: ef.softmax
func.func @classifier(%x: tensor<1x8xf32>, %w: tensor<8x4xf32>) -> tensor<1x4xf32> {
  %0 = ef.matmul %x, %w : (tensor<1x8xf32>, tensor<8x4xf32>) -> tensor<1x4xf32>
  %1 = ef.softmax %0 {axis = 1 : i64} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %1 : tensor<1x4xf32>
}
