// What the kernels cannot compute, as the compiler says it.
// RUN: efc-opt %s --split-input-file --efc-cpu-lower-to-dispatches --verify-diagnostics

func.func @main(%x: tensor<6x4xf32>) -> tensor<3x8xf32> {
  // expected-error @below {{cannot compile the element-wise kernel 'exp+reshape+reshape+neg': a reshape inside it neither splits nor merges dimensions; compile without element-wise fusion}}
  %0 = ef.fused (%x0 = %x) : (tensor<6x4xf32>) -> tensor<3x8xf32> {
    %a = ef.unary exp %x0 : (tensor<6x4xf32>) -> tensor<6x4xf32>
    %b = ef.reshape %a : (tensor<6x4xf32>) -> tensor<4x6xf32>
    %c = ef.reshape %b : (tensor<4x6xf32>) -> tensor<3x8xf32>
    %d = ef.unary neg %c : (tensor<3x8xf32>) -> tensor<3x8xf32>
    ef.yield %d : tensor<3x8xf32>
  }
  return %0 : tensor<3x8xf32>
}

// -----

func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @below {{cannot compile the kernel 'exp+softmax': it has operations before 'ef.softmax'; compile without epilogue fusion}}
  %0 = ef.fused (%x0 = %x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
    %a = ef.unary exp %x0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %b = ef.softmax %a {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ef.yield %b : tensor<4x8xf32>
  }
  return %0 : tensor<4x8xf32>
}
