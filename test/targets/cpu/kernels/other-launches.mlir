// Which launches an operation becomes, and how much work they have. What the
// kernels compute is tested in test/conformance.
// RUN: efc-opt %s --efc-cpu-lower-to-dispatches | FileCheck %s

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2x16x16x64xf32>, %scale: tensor<64xf32>, %bias: tensor<64xf32>, %time: tensor<2x1x1x64xf32>,
                %q: tensor<2x3x16x64xi8>, %s: tensor<f32>, %i: tensor<5xi64>, %t: tensor<2xf32>, %f: tensor<8xf32>)
    -> (tensor<2x16x16x64xf32>, tensor<2x16x16x64xf32>, tensor<2x64x16x16xf32>, tensor<2x32x32x64xf32>, tensor<2x1x1x64xf32>,
        tensor<2x3x16x64xf32>, tensor<5x16x16x64xf32>, tensor<2x16xf32>) {
  // Sums over chunks, parameters of each sample, result with its epilogue.
  // CHECK: %[[SUMS:.*]] = cpu.dispatch @group_norm_sums_0(%{{.*}}) work 2 scratch 1024 {op = "group_norm.sums"} : (tensor<2x16x16x64xf32>) -> tensor<2x1x8x2xf64>
  // CHECK: %[[PARAMETERS:.*]] = cpu.dispatch @group_norm_parameters_0(%[[SUMS]], %{{.*}}) work 2 scratch 0
  // CHECK-SAME: -> tensor<2x2x64xf32>
  // CHECK: cpu.dispatch @group_norm_0(%{{.*}}, %[[PARAMETERS]], %{{.*}}) work 2 scratch 0 {op = "group_norm+silu"}
  %0 = ef.fused (%x0 = %x, %s0 = %scale, %b0 = %bias) : (tensor<2x16x16x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<2x16x16x64xf32> {
    %a = ef.group_norm %x0, %s0, %b0 {epsilon = 1.0e-5 : f64, groups = 8 : i64, layout = #ef<layout channels_last>}
      : (tensor<2x16x16x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<2x16x16x64xf32>
    %b = ef.unary silu %a : (tensor<2x16x16x64xf32>) -> tensor<2x16x16x64xf32>
    ef.yield %b : tensor<2x16x16x64xf32>
  }
  // One pass for a whole group, blocks of 16384 elements.
  // CHECK: cpu.dispatch @elementwise_0(%{{.*}}, %{{.*}}) work 2 scratch 0 {op = "add+silu"}
  %1 = ef.fused (%x1 = %x, %t1 = %time) : (tensor<2x16x16x64xf32>, tensor<2x1x1x64xf32>) -> tensor<2x16x16x64xf32> {
    %a = ef.binary add %x1, %t1 : (tensor<2x16x16x64xf32>, tensor<2x1x1x64xf32>) -> tensor<2x16x16x64xf32>
    %b = ef.unary silu %a : (tensor<2x16x16x64xf32>) -> tensor<2x16x16x64xf32>
    ef.yield %b : tensor<2x16x16x64xf32>
  }
  // Blocks of 64 x 64 elements.
  // CHECK: cpu.dispatch @transpose_0(%{{.*}}) work 8 scratch 0 {op = "transpose"}
  %2 = ef.transpose %x {permutation = array<i64: 0, 3, 1, 2>} : (tensor<2x16x16x64xf32>) -> tensor<2x64x16x16xf32>
  // A table for each dimension that changes.
  // CHECK: cpu.dispatch @table_copy_0(%{{.*}}, %{{.*}}, %{{.*}}) work 8 scratch 0 {op = "resize"} : (tensor<2x16x16x64xf32>, tensor<32xi32>, tensor<32xi32>)
  %3 = ef.resize nearest %x {coordinates = #ef<coordinates asymmetric>, rounding = #ef<rounding floor>,
    scales = array<f64: 1.0, 2.0, 2.0, 1.0>, roi = array<f64>, cubic_coeff_a = -0.75 : f64, extrapolation_value = 0.0 : f64}
    : (tensor<2x16x16x64xf32>) -> tensor<2x32x32x64xf32>
  // CHECK: cpu.dispatch @reduce_0(%{{.*}}) work 2 scratch 0 {op = "mean"}
  %4 = ef.reduce mean %x {axes = array<i64: 1, 2>, keep_dims} : (tensor<2x16x16x64xf32>) -> tensor<2x1x1x64xf32>
  // CHECK: cpu.dispatch @dequantize_0(%{{.*}}, %{{.*}}) work 1 scratch 0
  %5 = ef.dequantize %q, %s {axis = 0 : i64, block_size = 0 : i64} : (tensor<2x3x16x64xi8>, tensor<f32>) -> tensor<2x3x16x64xf32>
  // CHECK: cpu.dispatch @gather_0(%{{.*}}, %{{.*}}) work 5 scratch 0
  %6 = ef.gather %x, %i {axis = 0 : i64} : (tensor<2x16x16x64xf32>, tensor<5xi64>) -> tensor<5x16x16x64xf32>
  // CHECK: cpu.dispatch @timestep_embedding_0(%{{.*}}, %{{.*}}) work 2 scratch 0
  %7 = ef.timestep_embedding %t, %f {scale = 1.0 : f64} : (tensor<2xf32>, tensor<8xf32>) -> tensor<2x16xf32>
  return %0, %1, %2, %3, %4, %5, %6, %7 : tensor<2x16x16x64xf32>, tensor<2x16x16x64xf32>, tensor<2x64x16x16xf32>, tensor<2x32x32x64xf32>, tensor<2x1x1x64xf32>,
    tensor<2x3x16x64xf32>, tensor<5x16x16x64xf32>, tensor<2x16xf32>
}
