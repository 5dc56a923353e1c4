// Data movement: what the verifiers refuse, and in which words.
// RUN: not efc-opt %s -split-input-file 2>&1 | FileCheck %s

func.func @reshape(%x: tensor<2x3xf32>) {
  // CHECK: cannot give the 6 elements of 'tensor<2x3xf32>' the shape of 'tensor<7xf32>', which has 7
  %0 = ef.reshape %x : (tensor<2x3xf32>) -> tensor<7xf32>
  return
}

// -----

func.func @transpose(%x: tensor<2x3xf32>) {
  // CHECK: ef.transpose needs each dimension of 'tensor<2x3xf32>' exactly once in its permutation, but has [1, 1]
  %0 = ef.transpose %x {permutation = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<3x3xf32>
  return
}

// -----

func.func @broadcast(%x: tensor<2x3xf32>) {
  // CHECK: cannot broadcast 'tensor<2x3xf32>' to 'tensor<4x2x4xf32>': dimension 1 is 3, neither 1 nor 4
  %0 = ef.broadcast %x : (tensor<2x3xf32>) -> tensor<4x2x4xf32>
  return
}

// -----

func.func @slice(%x: tensor<8xf32>) {
  // CHECK: takes 4 elements from 2 by steps of 2 in dimension 0, which leaves its extent of 8
  %0 = ef.slice %x {starts = array<i64: 2>, steps = array<i64: 2>} : (tensor<8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @slice_overflow(%x: tensor<8xf32>) {
  // CHECK: leaves its extent of 8
  %0 = ef.slice %x {starts = array<i64: 2>, steps = array<i64: 9223372036854775807>} : (tensor<8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @concat(%x: tensor<2x3xf32>, %y: tensor<3x3xf32>) {
  // CHECK: ef.concat cannot join operand 1 of type 'tensor<3x3xf32>' to the first one of type 'tensor<2x3xf32>' along dimension 1
  %0 = ef.concat %x, %y {axis = 1 : i64} : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x6xf32>
  return
}

// -----

func.func @pad(%x: tensor<4xf32>) {
  // CHECK: ef.pad by -3 and -2 of dimension 0 of 'tensor<4xf32>' leaves no valid extent
  %0 = ef.pad constant %x {pads = array<i64: -3, -2>} : (tensor<4xf32>) -> tensor<0xf32>
  return
}

// -----

func.func @gather(%x: tensor<4xf32>, %i: tensor<2xi64>) {
  // CHECK: ef.gather has axis 1, but 'tensor<4xf32>' has 1 dimensions
  %0 = ef.gather %x, %i {axis = 1 : i64} : (tensor<4xf32>, tensor<2xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_nd(%x: tensor<4x4xf32>, %i: tensor<2x3xi64>) {
  // CHECK: ef.gather_nd has indices of 3 coordinates into the 2 indexed dimensions of 'tensor<4x4xf32>'
  %0 = ef.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<4x4xf32>, tensor<2x3xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @scatter_nd(%x: tensor<4x4xf32>, %i: tensor<2x1xi64>, %u: tensor<2x3xf32>) {
  // CHECK: needs updates of type 'tensor<2x4xf32>', but has 'tensor<2x3xf32>'
  %0 = ef.scatter_nd none %x, %i, %u : (tensor<4x4xf32>, tensor<2x1xi64>, tensor<2x3xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @resize(%x: tensor<1x1x4x4xf32>) {
  // CHECK: has scale 0.000000e+00 in dimension 3; a scale must be positive
  %0 = ef.resize nearest %x {coordinates = #ef<coordinates asymmetric>, rounding = #ef<rounding floor>, scales = array<f64: 1.0, 1.0, 2.0, 0.0>, roi = array<f64>, cubic_coeff_a = -0.75 : f64, extrapolation_value = 0.0 : f64} : (tensor<1x1x4x4xf32>) -> tensor<1x1x8x8xf32>
  return
}

// -----

func.func @weight() {
  // CHECK: 'w' starts at the negative offset -8
  %0 = ef.weight "w" from "model.onnx" at -8 : tensor<4xf32>
  return
}

// -----

func.func @two_anchors(%x: tensor<2x2xf32>) {
  // CHECK: holds two anchors, 'ef.matmul' and 'ef.matmul'
  %0 = ef.fused (%a = %x) : (tensor<2x2xf32>) -> tensor<2x2xf32> {
    %1 = ef.matmul %a, %a : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    %2 = ef.matmul %1, %a : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    ef.yield %2 : tensor<2x2xf32>
  }
  return
}

// -----

func.func @weight_in_kernel(%x: tensor<4xf32>) {
  // CHECK: cannot hold 'ef.weight'
  %0 = ef.fused (%a = %x) : (tensor<4xf32>) -> tensor<4xf32> {
    %1 = ef.weight "w" from "model.onnx" at 8 : tensor<4xf32>
    ef.yield %1 : tensor<4xf32>
  }
  return
}

// -----

func.func @wrong_yield(%x: tensor<4xf32>) {
  // CHECK: yields values that do not have the types of its results
  %0 = ef.fused (%a = %x) : (tensor<4xf32>) -> tensor<5xf32> {
    ef.yield %a : tensor<4xf32>
  }
  return
}
