// Layers of float16 kernels: what they read, compute and write.
// RUN: efc-opt --pass-pipeline='builtin.module(func.func(efc-npu-print-layers{mlt=off}))' --split-input-file %s -o /dev/null | FileCheck %s

// A 1x1 convolution is a matrix product, tokens and image are one tensor, a
// channel slice is read where it stands.
// CHECK-LABEL: layers of @product
// CHECK-NEXT: matmul "{{.*}}" conv1x1+add+silu: %1 [6 x 8 f16] = rows %0 weights [8 x 1 x 4 f16]
// CHECK-NEXT: 0 = channel c1<8>;
// CHECK-NEXT: r1 = load 0; r0 = add r0, r1; r0 = silu r0; store r0
// CHECK-NEXT: elementwise "{{.*}}" add: %2 [6 x 4 f16] (output 0) =
// CHECK-NEXT: 0 = rows %0; 1 = rows %1 from 4;
// CHECK-NEXT: r0 = load 0; r1 = load 1; r0 = add r0, r1; store r0
func.func private @product(%x: tensor<1x2x3x4xf16>) -> tensor<1x6x4xf16> attributes {npu.partition} {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<8x4x1x1xf16>
  %b = ef.weight "b" from "m.onnx" at 64 : tensor<1x8x1x1xf32>
  %0 = ef.fused (%x0 = %x, %w0 = %w, %b0 = %b) : (tensor<1x2x3x4xf16>, tensor<8x4x1x1xf16>, tensor<1x8x1x1xf32>) -> tensor<1x6x8xf16> {
    %5 = ef.cast %x0 : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf32>
    %6 = ef.cast %w0 : (tensor<8x4x1x1xf16>) -> tensor<8x4x1x1xf32>
    %7 = ef.conv %5, %6 {dilations = array<i64: 1, 1>, layout = #ef<layout channels_last>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x2x3x4xf32>, tensor<8x4x1x1xf32>) -> tensor<1x2x3x8xf32>
    %8 = ef.reshape %b0 : (tensor<1x8x1x1xf32>) -> tensor<8xf32>
    %9 = ef.binary add %7, %8 : (tensor<1x2x3x8xf32>, tensor<8xf32>) -> tensor<1x2x3x8xf32>
    %10 = ef.unary silu %9 : (tensor<1x2x3x8xf32>) -> tensor<1x2x3x8xf32>
    %11 = ef.reshape %10 : (tensor<1x2x3x8xf32>) -> tensor<1x6x8xf32>
    %12 = ef.cast %11 : (tensor<1x6x8xf32>) -> tensor<1x6x8xf16>
    ef.yield %12 : tensor<1x6x8xf16>
  }
  %1 = ef.slice %0 {starts = array<i64: 0, 0, 4>, steps = array<i64: 1, 1, 1>} : (tensor<1x6x8xf16>) -> tensor<1x6x4xf16>
  %2 = ef.reshape %x : (tensor<1x2x3x4xf16>) -> tensor<1x6x4xf16>
  %3 = ef.binary add %2, %1 : (tensor<1x6x4xf16>, tensor<1x6x4xf16>) -> tensor<1x6x4xf16>
  return %3 : tensor<1x6x4xf16>
}

// -----

// A gate is computed beside what it gates; alone its halves are two operands.
// CHECK-LABEL: layers of @gates
// CHECK-NEXT: matmul "{{.*}}" matmul+add+geglu: %1 [5 x 8 f16] = rows %0 weights [16 x 1 x 4 f16]
// CHECK-NEXT: gated 0 = channel c1<16>; 1 = channel c1<16> from 8;
// CHECK-NEXT: r2 = load 0; r0 = add r0, r2; r2 = load 1; r1 = add r1, r2; r1 = gelu r1; r0 = mul r0, r1; store r0
// CHECK-NEXT: elementwise "{{.*}}" geglu: %2 [5 x 4 f16] (output 0) =
// CHECK-NEXT: 0 = rows %1; 1 = rows %1 from 4;
// CHECK-NEXT: r0 = load 0; r1 = load 1; r1 = gelu r1; r0 = mul r0, r1; store r0
func.func private @gates(%x: tensor<5x4xf16>) -> tensor<5x4xf16> attributes {npu.partition} {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<4x16xf16>
  %b = ef.weight "b" from "m.onnx" at 128 : tensor<16xf16>
  %0 = ef.fused (%x0 = %x, %w0 = %w, %b0 = %b) : (tensor<5x4xf16>, tensor<4x16xf16>, tensor<16xf16>) -> tensor<5x8xf16> {
    %2 = ef.matmul %x0, %w0 : (tensor<5x4xf16>, tensor<4x16xf16>) -> tensor<5x16xf16>
    %3 = ef.binary add %2, %b0 : (tensor<5x16xf16>, tensor<16xf16>) -> tensor<5x16xf16>
    %4 = ef.geglu %3 : (tensor<5x16xf16>) -> tensor<5x8xf16>
    ef.yield %4 : tensor<5x8xf16>
  }
  %1 = ef.geglu %0 : (tensor<5x8xf16>) -> tensor<5x4xf16>
  return %1 : tensor<5x4xf16>
}

// -----

// A value a channel that a layer computes, a single number, and constants.
// CHECK-LABEL: layers of @broadcasts
// CHECK: matmul "{{.*}}" matmul: %[[T:[0-9]+]] [1 x 4 f16]
// CHECK: elementwise "{{.*}}" add+mul+max: %{{[0-9]+}} [6 x 4 f16] (output 0) =
// CHECK-NEXT: 0 = rows %0; 1 = channel %[[T]]; 2 = channel %2;
// CHECK-NEXT: r0 = load 0; r1 = load 1; r0 = add r0, r1; r1 = load 2; r0 = mul r0, r1; r1 = constant -1; r0 = max r0, r1; store r0
func.func private @broadcasts(%x: tensor<1x2x3x4xf16>, %t: tensor<1x8xf16>, %s: tensor<1xf32>) -> tensor<1x2x3x4xf16> attributes {npu.partition} {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<8x4xf16>
  %low = ef.constant dense<-1.0> : tensor<f32>
  %0 = ef.matmul %t, %w : (tensor<1x8xf16>, tensor<8x4xf16>) -> tensor<1x4xf16>
  %1 = ef.fused (%x0 = %x, %t0 = %0, %s0 = %s, %l0 = %low) : (tensor<1x2x3x4xf16>, tensor<1x4xf16>, tensor<1xf32>, tensor<f32>) -> tensor<1x2x3x4xf16> {
    %2 = ef.cast %x0 : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf32>
    %3 = ef.cast %t0 : (tensor<1x4xf16>) -> tensor<1x4xf32>
    %4 = ef.reshape %3 : (tensor<1x4xf32>) -> tensor<4xf32>
    %5 = ef.binary add %2, %4 : (tensor<1x2x3x4xf32>, tensor<4xf32>) -> tensor<1x2x3x4xf32>
    %6 = ef.binary mul %5, %s0 : (tensor<1x2x3x4xf32>, tensor<1xf32>) -> tensor<1x2x3x4xf32>
    %7 = ef.binary max %6, %l0 : (tensor<1x2x3x4xf32>, tensor<f32>) -> tensor<1x2x3x4xf32>
    %8 = ef.cast %7 : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf16>
    ef.yield %8 : tensor<1x2x3x4xf16>
  }
  return %1 : tensor<1x2x3x4xf16>
}

// -----

// Statistics need all positions, their application does not.
// CHECK-LABEL: layers of @norms
// CHECK-NEXT: group_stats "{{.*}}" group_norm.stats: %1 [1 x 4 f32] %2 [1 x 4 f32] = rows %0 groups 2
// CHECK-NEXT: elementwise "{{.*}}" group_norm+silu: %3 [6 x 4 f16] =
// CHECK-NEXT: 0 = rows %0 raw; 1 = factors %1; 2 = factors %2;
// CHECK-NEXT: r0 = load 0; r1 = load 1; r0 = mul r0, r1; r1 = load 2; r0 = add r0, r1; r0 = silu r0; store r0
// CHECK-NEXT: layer_norm "{{.*}}" layer_norm: %4 [6 x 4 f16] (output 0) = rows %3
func.func private @norms(%x: tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16> attributes {npu.partition} {
  %g = ef.weight "g" from "m.onnx" at 0 : tensor<4xf32>
  %b = ef.weight "b" from "m.onnx" at 16 : tensor<4xf32>
  %0 = ef.fused (%x0 = %x, %g0 = %g, %b0 = %b) : (tensor<1x2x3x4xf16>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x2x3x4xf16> {
    %2 = ef.group_norm %x0, %g0, %b0 {epsilon = 1.0e-5 : f64, groups = 2 : i64, layout = #ef<layout channels_last>} : (tensor<1x2x3x4xf16>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x2x3x4xf16>
    %3 = ef.unary silu %2 : (tensor<1x2x3x4xf16>) -> tensor<1x2x3x4xf16>
    ef.yield %3 : tensor<1x2x3x4xf16>
  }
  %1 = ef.layer_norm %0 scale %g bias %b {axis = 3 : i64, epsilon = 1.0e-5 : f64} : (tensor<1x2x3x4xf16>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x2x3x4xf16>
  return %1 : tensor<1x2x3x4xf16>
}

// -----

// Windows, averages and what the DMA moves.
// CHECK-LABEL: layers of @images
// CHECK: conv "{{.*}}" conv3x3: %[[C:[0-9]+]] [4 x 4 f16] = rows %0 3x3 stride 2x2 pad 1,1 depthwise weights [4 x 9 x 1 f16]
// CHECK: resize "{{.*}}" resize: %[[R:[0-9]+]] [16 x 4 f16] = rows %[[C]] 2x2
// CHECK: concat "{{.*}}" concat: %[[K:[0-9]+]] [16 x 8 f16] = rows %[[R]] rows %0
// CHECK: conv "{{.*}}" pool: %[[P:[0-9]+]] [4 x 8 f16] = rows %[[K]] 2x2 stride 2x2 pad 0,0 depthwise weights [8 x 4 x 1 f16]
// CHECK: r1 = constant 0.25; r0 = mul r0, r1; store r0
// CHECK: transpose "{{.*}}" transpose: %{{[0-9]+}} [16 x 2 f16] (output 0) = rows %[[P]] [4x8] by [1, 0]
func.func private @images(%x: tensor<1x4x4x4xf16>) -> tensor<1x8x2x2xf16> attributes {npu.partition} {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<4x1x3x3xf16>
  %0 = ef.conv %x, %w {dilations = array<i64: 1, 1>, groups = 4 : i64, layout = #ef<layout channels_last>, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>} : (tensor<1x4x4x4xf16>, tensor<4x1x3x3xf16>) -> tensor<1x2x2x4xf16>
  %1 = ef.resize nearest %0 {coordinates = #ef<coordinates asymmetric>, cubic_coeff_a = -7.5e-01 : f64, extrapolation_value = 0.0 : f64, roi = array<f64>, rounding = #ef<rounding floor>, scales = array<f64: 1.0, 2.0, 2.0, 1.0>} : (tensor<1x2x2x4xf16>) -> tensor<1x4x4x4xf16>
  %2 = ef.concat %1, %x {axis = 3 : i64} : (tensor<1x4x4x4xf16>, tensor<1x4x4x4xf16>) -> tensor<1x4x4x8xf16>
  %3 = ef.pool avg %2 {counted_pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, kernel = array<i64: 2, 2>, layout = #ef<layout channels_last>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 2, 2>} : (tensor<1x4x4x8xf16>) -> tensor<1x2x2x8xf16>
  %4 = ef.transpose %3 {permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x2x2x8xf16>) -> tensor<1x8x2x2xf16>
  return %4 : tensor<1x8x2x2xf16>
}

// -----

// An intermediate whose channels a reshape changes is copied; an input is not,
// nor is what leaves.
// CHECK-LABEL: layers of @reshapes
// CHECK-NEXT: elementwise "{{.*}}" silu: %[[S:[0-9]+]] [8 x 3 f16] =
// CHECK-NEXT: 0 = rows %1;
// CHECK-NEXT: r0 = load 0; r0 = silu r0; store r0
// CHECK-NEXT: transpose "{{.*}}" reshape: %[[V:[0-9]+]] [4 x 6 f16] = rows %[[S]] [24] by [0]
// CHECK-NEXT: elementwise "{{.*}}" add: %{{[0-9]+}} [4 x 6 f16] (output 0) =
// CHECK-NEXT: 0 = rows %[[V]]; 1 = rows %0;
func.func private @reshapes(%x: tensor<4x6xf16>) -> tensor<3x8xf16> attributes {npu.partition} {
  %0 = ef.reshape %x : (tensor<4x6xf16>) -> tensor<8x3xf16>
  %1 = ef.unary silu %0 : (tensor<8x3xf16>) -> tensor<8x3xf16>
  %2 = ef.reshape %1 : (tensor<8x3xf16>) -> tensor<4x6xf16>
  %3 = ef.binary add %2, %x : (tensor<4x6xf16>, tensor<4x6xf16>) -> tensor<4x6xf16>
  %4 = ef.reshape %3 : (tensor<4x6xf16>) -> tensor<3x8xf16>
  return %4 : tensor<3x8xf16>
}
