// Sinusoidal embeddings of the timestep, and what is none.
// RUN: efc-opt %s -efc-raise-timestep-embedding -split-input-file | FileCheck %s

// CHECK-LABEL: @cosine_first
// CHECK: %[[T:.*]] = ef.reshape %arg0 : (tensor<2x1xf32>) -> tensor<2xf32>
// CHECK: ef.timestep_embedding %[[T]], %{{.*}} {flip, scale = 1.000000e+00 : f64} : (tensor<2xf32>, tensor<4xf32>) -> tensor<2x8xf32>
func.func @cosine_first(%t: tensor<2x1xf32>) -> tensor<2x8xf32> {
  %f = ef.weight "frequencies" from "m.onnx" at 0 : tensor<1x4xf32>
  %1 = ef.binary mul %t, %f : (tensor<2x1xf32>, tensor<1x4xf32>) -> tensor<2x4xf32>
  %2 = ef.unary sin %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = ef.unary cos %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %4 = ef.concat %3, %2 {axis = 1 : i64} : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x8xf32>
  return %4 : tensor<2x8xf32>
}

// -----

// CHECK-LABEL: @scaled
// CHECK: ef.timestep_embedding %{{.*}}, %{{.*}} {scale = 2.500000e+02 : f64}
func.func @scaled(%t: tensor<1x1xf32>) -> tensor<1x4xf32> {
  %f = ef.constant dense<[[1.0, 0.5]]> : tensor<1x2xf32>
  %s = ef.constant dense<250.0> : tensor<f32>
  %0 = ef.binary mul %t, %s : (tensor<1x1xf32>, tensor<f32>) -> tensor<1x1xf32>
  %1 = ef.binary mul %f, %0 : (tensor<1x2xf32>, tensor<1x1xf32>) -> tensor<1x2xf32>
  %2 = ef.unary sin %1 : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %3 = ef.unary cos %1 : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %4 = ef.concat %2, %3 {axis = 1 : i64} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x4xf32>
  return %4 : tensor<1x4xf32>
}

// -----

// Two sines.
// CHECK-LABEL: @two_sines
// CHECK-NOT: ef.timestep_embedding
func.func @two_sines(%t: tensor<1x1xf32>) -> tensor<1x4xf32> {
  %f = ef.constant dense<[[1.0, 0.5]]> : tensor<1x2xf32>
  %1 = ef.binary mul %t, %f : (tensor<1x1xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %2 = ef.unary sin %1 : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %4 = ef.concat %2, %2 {axis = 1 : i64} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x4xf32>
  return %4 : tensor<1x4xf32>
}

// -----

// Frequencies that are computed from an input.
// CHECK-LABEL: @computed_frequencies
// CHECK-NOT: ef.timestep_embedding
func.func @computed_frequencies(%t: tensor<1x1xf32>, %f: tensor<1x2xf32>) -> tensor<1x4xf32> {
  %1 = ef.binary mul %t, %f : (tensor<1x1xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %2 = ef.unary sin %1 : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %3 = ef.unary cos %1 : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %4 = ef.concat %2, %3 {axis = 1 : i64} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x4xf32>
  return %4 : tensor<1x4xf32>
}
