// Constants are folded by reference evaluation: these check the values of the operations that move data, too.
// RUN: efc-opt %s -efc-fold-constants | FileCheck %s

// CHECK-LABEL: @chain
// CHECK-NEXT: %[[C:.*]] = ef.constant dense<[8, 12]> : tensor<2xi64>
// CHECK-NEXT: return %[[C]]
func.func @chain() -> tensor<2xi64> {
  %a = ef.constant dense<[2, 3]> : tensor<2xi64>
  %b = ef.constant dense<4> : tensor<i64>
  %0 = ef.binary mul %a, %b : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  %1 = ef.slice %0 {starts = array<i64: 1>, steps = array<i64: -1>} : (tensor<2xi64>) -> tensor<2xi64>
  %2 = ef.slice %1 {starts = array<i64: 1>, steps = array<i64: -1>} : (tensor<2xi64>) -> tensor<2xi64>
  return %2 : tensor<2xi64>
}

// CHECK-LABEL: @transpose
// CHECK-NEXT: ef.constant dense<{{\[\[}}1, 4], [2, 5], [3, 6]]> : tensor<3x2xi8>
func.func @transpose() -> tensor<3x2xi8> {
  %c = ef.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi8>
  %0 = ef.transpose %c {permutation = array<i64: 1, 0>} : (tensor<2x3xi8>) -> tensor<3x2xi8>
  return %0 : tensor<3x2xi8>
}

// CHECK-LABEL: @booleans
// CHECK-NEXT: ef.constant dense<{{\[\[}}true, false], [true, false]]> : tensor<2x2xi1>
func.func @booleans() -> tensor<2x2xi1> {
  %c = ef.constant dense<[true, false]> : tensor<2xi1>
  %0 = ef.broadcast %c : (tensor<2xi1>) -> tensor<2x2xi1>
  return %0 : tensor<2x2xi1>
}

// CHECK-LABEL: @pads
// CHECK-DAG: dense<[3, 2, 1, 2, 3, 4, 3, 2, 1]>
// CHECK-DAG: dense<[1, 1, 1, 2, 3, 4]>
// CHECK-DAG: dense<[3, 4, 1, 2, 3, 4, 1]>
// CHECK-DAG: dense<[2, 3, 4, 9, 9]>
func.func @pads() -> (tensor<9xi32>, tensor<6xi32>, tensor<7xi32>, tensor<5xi32>) {
  %c = ef.constant dense<[1, 2, 3, 4]> : tensor<4xi32>
  %v = ef.constant dense<9> : tensor<i32>
  %0 = ef.pad reflect %c {pads = array<i64: 2, 3>} : (tensor<4xi32>) -> tensor<9xi32>
  %1 = ef.pad edge %c {pads = array<i64: 2, 0>} : (tensor<4xi32>) -> tensor<6xi32>
  %2 = ef.pad wrap %c {pads = array<i64: 2, 1>} : (tensor<4xi32>) -> tensor<7xi32>
  %3 = ef.pad constant %c value %v {pads = array<i64: -1, 2>} : (tensor<4xi32>, tensor<i32>) -> tensor<5xi32>
  return %0, %1, %2, %3 : tensor<9xi32>, tensor<6xi32>, tensor<7xi32>, tensor<5xi32>
}

// CHECK-LABEL: @gathers
// CHECK-DAG: dense<{{\[\[}}5, 6], [1, 2]]>
// CHECK-DAG: dense<{{\[\[}}2, 1], [3, 3]]>
// CHECK-DAG: dense<[4, 5]>
// CHECK-DAG: dense<[2, 3]>
func.func @gathers() -> (tensor<2x2xi32>, tensor<2x2xi32>, tensor<2xi32>, tensor<2xi32>) {
  %c = ef.constant dense<[[1, 2], [3, 4], [5, 6]]> : tensor<3x2xi32>
  %d = ef.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi32>
  %i = ef.constant dense<[-1, 0]> : tensor<2xi64>
  %e = ef.constant dense<[[1, 0], [0, -2]]> : tensor<2x2xi64>
  %n = ef.constant dense<[[1, 1], [2, 0]]> : tensor<2x2xi32>
  %b = ef.constant dense<[[1], [0]]> : tensor<2x1xi64>
  %0 = ef.gather %c, %i {axis = 0 : i64} : (tensor<3x2xi32>, tensor<2xi64>) -> tensor<2x2xi32>
  %1 = ef.gather_elements %d, %e {axis = 1 : i64} : (tensor<2x2xi32>, tensor<2x2xi64>) -> tensor<2x2xi32>
  %2 = ef.gather_nd %c, %n {batch_dims = 0 : i64} : (tensor<3x2xi32>, tensor<2x2xi32>) -> tensor<2xi32>
  %3 = ef.gather_nd %d, %b {batch_dims = 1 : i64} : (tensor<2x2xi32>, tensor<2x1xi64>) -> tensor<2xi32>
  return %0, %1, %2, %3 : tensor<2x2xi32>, tensor<2x2xi32>, tensor<2xi32>, tensor<2xi32>
}

// CHECK-LABEL: @scatters
// CHECK-DAG: dense<[1.000000e+00, 7.000000e+00, 3.000000e+00, 5.000000e+00]>
// CHECK-DAG: dense<[1.000000e+00, 1.400000e+01, 3.000000e+00, 4.000000e+00]>
func.func @scatters() -> (tensor<4xf16>, tensor<4xf32>) {
  %h = ef.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf16>
  %hu = ef.constant dense<[5.0, 6.0, 7.0]> : tensor<3xf16>
  %hi = ef.constant dense<[-1, 1, 1]> : tensor<3xi64>
  %f = ef.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %fu = ef.constant dense<[5.0, 7.0]> : tensor<2xf32>
  %fi = ef.constant dense<1> : tensor<2x1xi64>
  %0 = ef.scatter_elements none %h, %hi, %hu {axis = 0 : i64} : (tensor<4xf16>, tensor<3xi64>, tensor<3xf16>) -> tensor<4xf16>
  %1 = ef.scatter_nd add %f, %fi, %fu : (tensor<4xf32>, tensor<2x1xi64>, tensor<2xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf16>, tensor<4xf32>
}

// CHECK-LABEL: @resizes
// CHECK-DAG: dense<[1.000000e+00, 1.000000e+00, 2.000000e+00, 2.000000e+00]>
// CHECK-DAG: dense<[1.000000e+00, 1.250000e+00, 1.750000e+00, 2.000000e+00]>
func.func @resizes() -> (tensor<4xf32>, tensor<4xf32>) {
  %c = ef.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %0 = ef.resize nearest %c {coordinates = #ef<coordinates asymmetric>, rounding = #ef<rounding floor>, scales = array<f64: 2.0>, roi = array<f64>, cubic_coeff_a = -0.75 : f64, extrapolation_value = 0.0 : f64} : (tensor<2xf32>) -> tensor<4xf32>
  %1 = ef.resize linear %c {coordinates = #ef<coordinates half_pixel>, rounding = #ef<rounding floor>, scales = array<f64: 2.0>, roi = array<f64>, cubic_coeff_a = -0.75 : f64, extrapolation_value = 0.0 : f64} : (tensor<2xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: @fused
// CHECK-NEXT: ef.constant dense<[-1.000000e+00, 2.000000e+00]> : tensor<2xf32>
func.func @fused() -> tensor<2xf32> {
  %c = ef.constant dense<[1.0, -2.0]> : tensor<2xf32>
  %0 = ef.fused (%a = %c) : (tensor<2xf32>) -> tensor<2xf32> {
    %1 = ef.unary neg %a : (tensor<2xf32>) -> tensor<2xf32>
    ef.yield %1 : tensor<2xf32>
  }
  return %0 : tensor<2xf32>
}
