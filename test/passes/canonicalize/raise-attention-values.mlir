// The values of an attention are the same whether or not it is recognised: masks, scales and the order of heads included.
// The expected numbers, in thousandths, were computed in double precision from the formula softmax(q k^T / 2 + mask) v.
// RUN: efc-opt %s -efc-fold-constants | FileCheck %s
// RUN: efc-opt %s -efc-raise-attention -efc-simplify | FileCheck %s --check-prefix=RAISED
// RUN: efc-opt %s -efc-raise-attention -efc-simplify -efc-fold-constants | FileCheck %s

// RAISED: ef.attention
// CHECK: dense<[1777, -1772, 1183, -642, -852, -1578, -434, 939]> : tensor<8xi32>
func.func @values() -> tensor<8xi32> {
  %q = ef.constant dense<[[[-0.7, -1.4, 0.6, -1.71], [0.14, -0.54, -1.77, 0.03]]]> : tensor<1x2x4xf32>
  %k = ef.constant dense<[[[-1.85, -0.27, -1.72, -1.64], [-0.3, 1.31, -1.5, -1.11], [0.51, 1.79, 0.31, -0.41]]]> : tensor<1x3x4xf32>
  %v = ef.constant dense<[[[1.91, -1.81, 1.43, -0.84], [-1.42, -1.53, -0.77, 1.26], [-1.28, 0.33, 0.56, -0.51]]]> : tensor<1x3x4xf32>
  %m = ef.constant dense<[[0.19, -1.75, -1.76], [-1.18, 0.72, 0xFF800000]]> : tensor<2x3xf32>
  %two = ef.constant dense<2.0> : tensor<f32>
  %thousand = ef.constant dense<1000.0> : tensor<f32>
  %q0 = ef.reshape %q : (tensor<1x2x4xf32>) -> tensor<1x2x2x2xf32>
  %q1 = ef.transpose %q0 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  %q2 = ef.reshape %q1 : (tensor<1x2x2x2xf32>) -> tensor<2x2x2xf32>
  %k0 = ef.reshape %k : (tensor<1x3x4xf32>) -> tensor<1x3x2x2xf32>
  %k1 = ef.transpose %k0 {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x3x2x2xf32>) -> tensor<1x2x2x3xf32>
  %k2 = ef.reshape %k1 : (tensor<1x2x2x3xf32>) -> tensor<2x2x3xf32>
  %v0 = ef.reshape %v : (tensor<1x3x4xf32>) -> tensor<3x2x2xf32>
  %v1 = ef.transpose %v0 {permutation = array<i64: 1, 0, 2>} : (tensor<3x2x2xf32>) -> tensor<2x3x2xf32>
  %0 = ef.matmul %q2, %k2 : (tensor<2x2x2xf32>, tensor<2x2x3xf32>) -> tensor<2x2x3xf32>
  %1 = ef.binary div %0, %two : (tensor<2x2x3xf32>, tensor<f32>) -> tensor<2x2x3xf32>
  %2 = ef.binary add %1, %m : (tensor<2x2x3xf32>, tensor<2x3xf32>) -> tensor<2x2x3xf32>
  %3 = ef.softmax %2 {axis = 2 : i64} : (tensor<2x2x3xf32>) -> tensor<2x2x3xf32>
  %4 = ef.matmul %3, %v1 : (tensor<2x2x3xf32>, tensor<2x3x2xf32>) -> tensor<2x2x2xf32>
  %5 = ef.transpose %4 {permutation = array<i64: 1, 0, 2>} : (tensor<2x2x2xf32>) -> tensor<2x2x2xf32>
  %6 = ef.reshape %5 : (tensor<2x2x2xf32>) -> tensor<8xf32>
  %7 = ef.binary mul %6, %thousand : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %8 = ef.unary round %7 : (tensor<8xf32>) -> tensor<8xf32>
  %9 = ef.cast %8 : (tensor<8xf32>) -> tensor<8xi32>
  return %9 : tensor<8xi32>
}
