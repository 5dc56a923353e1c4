// What stays: operations on weights and on large constants; an index out of range is an error at the operation.
// RUN: efc-opt %s -efc-fold-constants=max-bytes=64 -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: @weight
// CHECK: ef.unary neg
func.func @weight() -> tensor<4xf32> {
  %w = ef.weight "w" from "model.onnx" at 0 : tensor<4xf32>
  %0 = ef.unary neg %w : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: @large
// CHECK: ef.broadcast
func.func @large() -> tensor<1000xf32> {
  %c = ef.constant dense<1.0> : tensor<1xf32>
  %0 = ef.broadcast %c : (tensor<1xf32>) -> tensor<1000xf32>
  return %0 : tensor<1000xf32>
}

// -----

func.func @out_of_range() -> tensor<1xf32> {
  %c = ef.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %i = ef.constant dense<2> : tensor<1xi64>
  // expected-error @below {{reads or writes index 2 of dimension 0, which has 2 elements}}
  %0 = ef.gather %c, %i {axis = 0 : i64} : (tensor<2xf32>, tensor<1xi64>) -> tensor<1xf32>
  return %0 : tensor<1xf32>
}
