// One layer if the scores stay in the scratchpad, else three; the factors of
// quantised operands are in the code.
// RUN: efc-opt --pass-pipeline='builtin.module(func.func(efc-npu-print-layers{mlt=off}))' %s -o /dev/null | FileCheck %s --check-prefix=OFF
// RUN: efc-opt --pass-pipeline='builtin.module(func.func(efc-npu-print-layers{mlt=attention}))' %s -o /dev/null | FileCheck %s

// c = 0.5 * 0.25 * 0.125 = 0.015625, s_v = 2.
// CHECK-LABEL: layers of @quantized
// CHECK-NEXT: attention "{{.*}}" attention: %3 [6 x 8 i16] (output 0) = rows %0 whole %1 whole %2 heads 2 keys 5 d 4,4 factor 1.562500e-02
// CHECK-NEXT: 0 = rows sums;
// CHECK-NEXT: r1 = constant 2; r0 = mul r0, r1; r1 = load 0; r0 = div r0, r1; store r0

// OFF-LABEL: layers of @quantized
// OFF-NEXT: scores "{{.*}}" attention.scores: %3 [12 x 5 i16] = rows %0 whole %1 heads 2 keys 5
// OFF: r1 = constant 0.015625; r0 = mul r0, r1; store r0
// OFF-NEXT: softmax "{{.*}}" attention.softmax: %4 [12 x 5 i16] %5 [12 x 1 i32] = rows %3
// OFF-NEXT: context "{{.*}}" attention.context: %6 [6 x 8 i16] (output 0) = rows %4 whole %2
// OFF-NEXT: 0 = rows %5;
// OFF-NEXT: r1 = constant 2; r0 = mul r0, r1; r1 = load 0; r0 = div r0, r1; store r0
func.func private @quantized(%q: tensor<1x6x8x!quant.uniform<i16:f32, 0.5>>, %k: tensor<1x5x8x!quant.uniform<i16:f32, 0.25>>, %v: tensor<1x5x8x!quant.uniform<i16:f32, 2.0>>) -> tensor<1x6x8x!quant.uniform<i16:f32, 1.0>> attributes {npu.partition} {
  %0 = ef.fused (%q0 = %q, %k0 = %k, %v0 = %v) : (tensor<1x6x8x!quant.uniform<i16:f32, 0.5>>, tensor<1x5x8x!quant.uniform<i16:f32, 0.25>>, tensor<1x5x8x!quant.uniform<i16:f32, 2.0>>) -> tensor<1x6x8x!quant.uniform<i16:f32, 1.0>> {
    %1 = ef.attention %q0, %k0, %v0 {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.125 : f64, score_scale = 0.001953125 : f64} : (tensor<1x6x8x!quant.uniform<i16:f32, 0.5>>, tensor<1x5x8x!quant.uniform<i16:f32, 0.25>>, tensor<1x5x8x!quant.uniform<i16:f32, 2.0>>) -> tensor<1x6x8xf32>
    %2 = quant.qcast %1 : tensor<1x6x8xf32> to tensor<1x6x8x!quant.uniform<i16:f32, 1.0>>
    ef.yield %2 : tensor<1x6x8x!quant.uniform<i16:f32, 1.0>>
  }
  return %0 : tensor<1x6x8x!quant.uniform<i16:f32, 1.0>>
}

// CHECK-LABEL: layers of @causal
// CHECK-NEXT: attention "{{.*}}" attention: %1 [6 x 8 f16] (output 0) = rows %0 whole %0 whole %0 heads 1 keys 6 d 8,8 factor 1.250000e-01 causal
// CHECK-NEXT: 0 = rows sums;
// CHECK-NEXT: r1 = load 0; r0 = div r0, r1; store r0
// OFF-LABEL: layers of @causal
// OFF: softmax {{.*}} %2 [6 x 6 f16] %3 [6 x 1 f32] = rows %1 heads 1 keys 6 {{.*}} causal
func.func private @causal(%x: tensor<1x6x8xf16>) -> tensor<1x6x8xf16> attributes {npu.partition} {
  %0 = ef.attention %x, %x, %x {causal, heads = 1 : i64, kv_heads = 1 : i64, scale = 0.125 : f64} : (tensor<1x6x8xf16>, tensor<1x6x8xf16>, tensor<1x6x8xf16>) -> tensor<1x6x8xf16>
  return %0 : tensor<1x6x8xf16>
}
