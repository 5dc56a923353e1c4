// Near misses of attention: a remark at the softmax says why.
// RUN: efc-opt %s -efc-raise-attention -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: @other_user
// CHECK: ef.softmax
func.func @other_user(%q: tensor<1x6x8xf32>, %k: tensor<1x5x8xf32>, %v: tensor<1x5x8xf32>) -> (tensor<1x6x8xf32>, tensor<1x6x5xf32>) {
  %0 = ef.matmul %q, %k {transpose_b} : (tensor<1x6x8xf32>, tensor<1x5x8xf32>) -> tensor<1x6x5xf32>
  // expected-remark @below {{is not compiled as one attention: the scores have another user (node logits)}}
  %1 = ef.softmax %0 {axis = 2 : i64} : (tensor<1x6x5xf32>) -> tensor<1x6x5xf32>
  %2 = ef.matmul %1, %v : (tensor<1x6x5xf32>, tensor<1x5x8xf32>) -> tensor<1x6x8xf32>
  %3 = ef.unary neg %0 : (tensor<1x6x5xf32>) -> tensor<1x6x5xf32> loc("minus"("logits"))
  return %2, %3 : tensor<1x6x8xf32>, tensor<1x6x5xf32>
}

// -----

// CHECK-LABEL: @probabilities_returned
// CHECK: ef.softmax
func.func @probabilities_returned(%q: tensor<1x6x8xf32>, %k: tensor<1x5x8xf32>, %v: tensor<1x5x8xf32>) -> (tensor<1x6x8xf32>, tensor<1x6x5xf32>) {
  %0 = ef.matmul %q, %k {transpose_b} : (tensor<1x6x8xf32>, tensor<1x5x8xf32>) -> tensor<1x6x5xf32>
  // expected-remark @below {{the probabilities have another user ('func.return')}}
  %1 = ef.softmax %0 {axis = 2 : i64} : (tensor<1x6x5xf32>) -> tensor<1x6x5xf32>
  %2 = ef.matmul %1, %v : (tensor<1x6x5xf32>, tensor<1x5x8xf32>) -> tensor<1x6x8xf32>
  return %2, %1 : tensor<1x6x8xf32>, tensor<1x6x5xf32>
}

// -----

// CHECK-LABEL: @scaled_mask
// CHECK: ef.softmax
func.func @scaled_mask(%q: tensor<1x6x8xf32>, %k: tensor<1x5x8xf32>, %v: tensor<1x5x8xf32>, %m: tensor<6x5xf32>) -> tensor<1x6x8xf32> {
  %s = ef.constant dense<0.5> : tensor<f32>
  %0 = ef.matmul %q, %k {transpose_b} : (tensor<1x6x8xf32>, tensor<1x5x8xf32>) -> tensor<1x6x5xf32>
  %1 = ef.binary add %0, %m : (tensor<1x6x5xf32>, tensor<6x5xf32>) -> tensor<1x6x5xf32>
  %2 = ef.binary mul %1, %s : (tensor<1x6x5xf32>, tensor<f32>) -> tensor<1x6x5xf32>
  // expected-remark @below {{the mask is scaled together with the scores}}
  %3 = ef.softmax %2 {axis = 2 : i64} : (tensor<1x6x5xf32>) -> tensor<1x6x5xf32>
  %4 = ef.matmul %3, %v : (tensor<1x6x5xf32>, tensor<1x5x8xf32>) -> tensor<1x6x8xf32>
  return %4 : tensor<1x6x8xf32>
}

// -----

// CHECK-LABEL: @over_queries
// CHECK: ef.softmax
func.func @over_queries(%q: tensor<1x6x8xf32>, %k: tensor<1x5x8xf32>, %v: tensor<1x5x8xf32>) -> tensor<1x6x8xf32> {
  %0 = ef.matmul %q, %k {transpose_b} : (tensor<1x6x8xf32>, tensor<1x5x8xf32>) -> tensor<1x6x5xf32>
  // expected-remark @below {{the softmax is not over the last dimension}}
  %1 = ef.softmax %0 {axis = 1 : i64} : (tensor<1x6x5xf32>) -> tensor<1x6x5xf32>
  %2 = ef.matmul %1, %v : (tensor<1x6x5xf32>, tensor<1x5x8xf32>) -> tensor<1x6x8xf32>
  return %2 : tensor<1x6x8xf32>
}

// -----

// CHECK-LABEL: @soft_cap
// CHECK: ef.softmax
func.func @soft_cap(%q: tensor<1x6x8xf32>, %k: tensor<1x5x8xf32>, %v: tensor<1x5x8xf32>, %b: tensor<1x6x5xf32>) -> tensor<1x6x8xf32> {
  %0 = ef.matmul %q, %k {transpose_b} : (tensor<1x6x8xf32>, tensor<1x5x8xf32>) -> tensor<1x6x5xf32>
  %1 = ef.binary min %0, %b : (tensor<1x6x5xf32>, tensor<1x6x5xf32>) -> tensor<1x6x5xf32>
  // expected-remark @below {{an operation other than a scale, a mask or a cast works on the scores ('ef.binary')}}
  %2 = ef.softmax %1 {axis = 2 : i64} : (tensor<1x6x5xf32>) -> tensor<1x6x5xf32>
  %3 = ef.matmul %2, %v : (tensor<1x6x5xf32>, tensor<1x5x8xf32>) -> tensor<1x6x8xf32>
  return %3 : tensor<1x6x8xf32>
}

// -----

// A finite fill keeps masked keys where a row has no other: that is not what a boolean mask means.
// CHECK-LABEL: @finite_fill
// CHECK: ef.softmax
func.func @finite_fill(%q: tensor<1x6x8xf32>, %k: tensor<1x5x8xf32>, %v: tensor<1x5x8xf32>, %m: tensor<6x5xi1>) -> tensor<1x6x8xf32> {
  %fill = ef.constant dense<-1.0e4> : tensor<f32>
  %0 = ef.matmul %q, %k {transpose_b} : (tensor<1x6x8xf32>, tensor<1x5x8xf32>) -> tensor<1x6x5xf32>
  %1 = ef.select %m, %0, %fill : (tensor<6x5xi1>, tensor<1x6x5xf32>, tensor<f32>) -> tensor<1x6x5xf32>
  // expected-remark @below {{the masked scores are not minus infinity}}
  %2 = ef.softmax %1 {axis = 2 : i64} : (tensor<1x6x5xf32>) -> tensor<1x6x5xf32>
  %3 = ef.matmul %2, %v : (tensor<1x6x5xf32>, tensor<1x5x8xf32>) -> tensor<1x6x8xf32>
  return %3 : tensor<1x6x8xf32>
}

// -----

// Keys shared by all of the batch.
// CHECK-LABEL: @broadcast_batch
// CHECK: ef.softmax
func.func @broadcast_batch(%q: tensor<2x6x8xf32>, %k: tensor<1x5x8xf32>, %v: tensor<1x5x8xf32>) -> tensor<2x6x8xf32> {
  %0 = ef.matmul %q, %k {transpose_b} : (tensor<2x6x8xf32>, tensor<1x5x8xf32>) -> tensor<2x6x5xf32>
  // expected-remark @below {{a product broadcasts its batch}}
  %1 = ef.softmax %0 {axis = 2 : i64} : (tensor<2x6x5xf32>) -> tensor<2x6x5xf32>
  %2 = ef.matmul %1, %v : (tensor<2x6x5xf32>, tensor<1x5x8xf32>) -> tensor<2x6x8xf32>
  return %2 : tensor<2x6x8xf32>
}
