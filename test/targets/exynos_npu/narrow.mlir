// Between kernels float32 becomes float16, inside it stays; vectors of
// constants, the function's own types and quantised tensors stay, too.
// RUN: efc-opt --pass-pipeline='builtin.module(func.func(efc-npu-narrow))' --split-input-file %s | FileCheck %s

// CHECK-LABEL: func.func private @npu_0
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>) -> tensor<4x6xf32>
// CHECK: %[[X16:.*]] = ef.cast %[[X]] : (tensor<4x8xf32>) -> tensor<4x8xf16>
// CHECK: %[[W:.*]] = ef.weight "w"
// CHECK: %[[W16:.*]] = ef.cast %[[W]] : (tensor<8x6xf32>) -> tensor<8x6xf16>
// CHECK: %[[BIAS:.*]] = ef.weight "bias" {{.*}} : tensor<6xf32>
// CHECK: %[[Y:.*]] = ef.fused (%[[A:.*]] = %[[X16]], %[[B:.*]] = %[[W16]], %[[C:.*]] = %[[BIAS]]) : (tensor<4x8xf16>, tensor<8x6xf16>, tensor<6xf32>) -> tensor<4x6xf16> {
// CHECK-DAG: %[[A32:.*]] = ef.cast %[[A]] : (tensor<4x8xf16>) -> tensor<4x8xf32>
// CHECK-DAG: %[[B32:.*]] = ef.cast %[[B]] : (tensor<8x6xf16>) -> tensor<8x6xf32>
// CHECK: %[[M:.*]] = ef.matmul %[[A32]], %[[B32]]
// CHECK: %[[S:.*]] = ef.binary add %[[M]], %[[C]]
// CHECK: %[[S16:.*]] = ef.cast %[[S]] : (tensor<4x6xf32>) -> tensor<4x6xf16>
// CHECK: ef.yield %[[S16]]
// CHECK: %[[Z:.*]] = ef.fused (%[[D:.*]] = %[[Y]]) : (tensor<4x6xf16>) -> tensor<4x6xf32> {
// CHECK: ef.unary silu
// CHECK: return %[[Z]] : tensor<4x6xf32>
func.func private @npu_0(%x: tensor<4x8xf32>) -> tensor<4x6xf32> attributes {npu.partition} {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<8x6xf32>
  %bias = ef.weight "bias" from "m.onnx" at 192 : tensor<6xf32>
  %0 = ef.fused (%x0 = %x, %w0 = %w, %b0 = %bias) : (tensor<4x8xf32>, tensor<8x6xf32>, tensor<6xf32>) -> tensor<4x6xf32> {
    %2 = ef.matmul %x0, %w0 : (tensor<4x8xf32>, tensor<8x6xf32>) -> tensor<4x6xf32>
    %3 = ef.binary add %2, %b0 : (tensor<4x6xf32>, tensor<6xf32>) -> tensor<4x6xf32>
    ef.yield %3 : tensor<4x6xf32>
  }
  %1 = ef.unary silu %0 : (tensor<4x6xf32>) -> tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}

// -----

// An operand that only an element-wise kernel reads needs no cast, and what
// only leaves the partition, moved or not, is stored as float32.
// CHECK-LABEL: func.func private @npu_1
// CHECK-NEXT: %[[S:.*]] = ef.fused (%[[A:.*]] = %{{.*}}) : (tensor<4x8xf32>) -> tensor<4x8xf32>
// CHECK: %[[T:.*]] = ef.transpose %[[S]] {{.*}} -> tensor<8x4xf32>
// CHECK: return %[[T]]
func.func private @npu_1(%x: tensor<4x8xf32>) -> tensor<8x4xf32> attributes {npu.partition} {
  %0 = ef.unary silu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ef.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// -----

// CHECK-LABEL: func.func private @npu_2
// CHECK: ef.fused {{.*}} -> tensor<4x8x!quant.uniform<i16:f32, 5.000000e-01>>
// CHECK-NEXT: %[[D:.*]] = quant.dcast
// CHECK-NEXT: %[[S:.*]] = ef.unary silu %[[D]]
// CHECK-NEXT: %[[Q:.*]] = quant.qcast %[[S]]
// CHECK-NEXT: ef.yield %[[Q]]
func.func private @npu_2(%x: tensor<4x8x!quant.uniform<i16:f32, 0.25>>) -> tensor<4x8x!quant.uniform<i16:f32, 0.5>> attributes {npu.partition} {
  %0 = ef.fused (%x0 = %x) : (tensor<4x8x!quant.uniform<i16:f32, 0.25>>) -> tensor<4x8x!quant.uniform<i16:f32, 0.5>> {
    %1 = quant.dcast %x0 : tensor<4x8x!quant.uniform<i16:f32, 0.25>> to tensor<4x8xf32>
    %2 = ef.unary silu %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %3 = quant.qcast %2 : tensor<4x8xf32> to tensor<4x8x!quant.uniform<i16:f32, 0.5>>
    ef.yield %3 : tensor<4x8x!quant.uniform<i16:f32, 0.5>>
  }
  return %0 : tensor<4x8x!quant.uniform<i16:f32, 0.5>>
}

// -----

// Other functions are none of its business.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: ef.unary silu %{{.*}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = ef.unary silu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
