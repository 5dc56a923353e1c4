// One projection for queries, keys and values, taken apart behind the split of the heads: its slices come first, and attention is recognised.
// RUN: efc-opt %s -efc-canonicalize-pipeline | FileCheck %s

// CHECK-LABEL: @main
// CHECK-DAG: %[[Q:.*]] = ef.slice %arg0 {starts = array<i64: 0, 0, 0>, steps = array<i64: 1, 1, 1>} : (tensor<1x6x48xf32>) -> tensor<1x6x16xf32>
// CHECK-DAG: %[[K:.*]] = ef.slice %arg0 {starts = array<i64: 0, 0, 16>
// CHECK-DAG: %[[V:.*]] = ef.slice %arg0 {starts = array<i64: 0, 0, 32>
// CHECK: %[[Y:.*]] = ef.attention %[[Q]], %[[K]], %[[V]] {heads = 2 : i64, kv_heads = 2 : i64, scale = 1.250000e-01 : f64}
// CHECK-NEXT: return %[[Y]]
func.func @main(%qkv: tensor<1x6x48xf32>) -> tensor<1x6x16xf32> {
  %i0 = ef.constant dense<0> : tensor<i64>
  %i1 = ef.constant dense<1> : tensor<i64>
  %i2 = ef.constant dense<-1> : tensor<i64>
  %s = ef.constant dense<8.0> : tensor<f32>
  %0 = ef.reshape %qkv : (tensor<1x6x48xf32>) -> tensor<1x6x3x2x8xf32>
  %1 = ef.transpose %0 {permutation = array<i64: 2, 0, 3, 1, 4>} : (tensor<1x6x3x2x8xf32>) -> tensor<3x1x2x6x8xf32>
  %q = ef.gather %1, %i0 {axis = 0 : i64} : (tensor<3x1x2x6x8xf32>, tensor<i64>) -> tensor<1x2x6x8xf32>
  %k = ef.gather %1, %i1 {axis = 0 : i64} : (tensor<3x1x2x6x8xf32>, tensor<i64>) -> tensor<1x2x6x8xf32>
  %v = ef.gather %1, %i2 {axis = 0 : i64} : (tensor<3x1x2x6x8xf32>, tensor<i64>) -> tensor<1x2x6x8xf32>
  %kt = ef.transpose %k {permutation = array<i64: 0, 1, 3, 2>} : (tensor<1x2x6x8xf32>) -> tensor<1x2x8x6xf32>
  %2 = ef.matmul %q, %kt : (tensor<1x2x6x8xf32>, tensor<1x2x8x6xf32>) -> tensor<1x2x6x6xf32>
  %3 = ef.binary div %2, %s : (tensor<1x2x6x6xf32>, tensor<f32>) -> tensor<1x2x6x6xf32>
  %4 = ef.softmax %3 {axis = 3 : i64} : (tensor<1x2x6x6xf32>) -> tensor<1x2x6x6xf32>
  %5 = ef.matmul %4, %v : (tensor<1x2x6x6xf32>, tensor<1x2x6x8xf32>) -> tensor<1x2x6x8xf32>
  %6 = ef.transpose %5 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x2x6x8xf32>) -> tensor<1x6x2x8xf32>
  %7 = ef.reshape %6 : (tensor<1x6x2x8xf32>) -> tensor<1x6x16xf32>
  return %7 : tensor<1x6x16xf32>
}
