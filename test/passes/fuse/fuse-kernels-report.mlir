// RUN: efc-opt %s --efc-fuse-kernels="report=true" -verify-diagnostics -o /dev/null

// expected-remark @+1 {{fused 4 operations into kernels: 1 x matmul; with: 1 x activation, 1 x bias add, 1 x residual add; operations in the function now: 1}}
func.func @counts(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %w = ef.weight "w" from "m.data" at 0 : tensor<8x8xf32>
  %b = ef.weight "b" from "m.data" at 256 : tensor<8xf32>
  %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = ef.binary add %0, %b : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %2 = ef.unary silu %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ef.binary add %2, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %3 : tensor<4x8xf32>
}
