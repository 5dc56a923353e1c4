// What the predicates should not have let through, and a mode that is none.
// RUN: efc-opt --pass-pipeline='builtin.module(func.func(efc-npu-print-layers))' --split-input-file --verify-diagnostics %s -o /dev/null
// RUN: not efc-opt --pass-pipeline='builtin.module(func.func(efc-npu-print-layers{mlt=some}))' %s --split-input-file -o /dev/null 2>&1 | FileCheck %s

// CHECK: error: model-level tiling is off, attention or full, not 'some'
func.func private @gather(%x: tensor<4x8xf16>, %i: tensor<2xi64>) -> tensor<2x8xf16> attributes {npu.partition} {
  // expected-error @below {{cannot run on the NPU: }}
  %0 = ef.gather %x, %i {axis = 0 : i64} : (tensor<4x8xf16>, tensor<2xi64>) -> tensor<2x8xf16>
  return %0 : tensor<2x8xf16>
}

// -----

// A vector program reads at most eight operands.
func.func private @crowded(%x: tensor<4x8xf16>, %a: tensor<4x8xf16>, %b: tensor<4x8xf16>, %c: tensor<4x8xf16>, %d: tensor<4x8xf16>, %e: tensor<4x8xf16>, %f: tensor<4x8xf16>, %g: tensor<4x8xf16>, %h: tensor<4x8xf16>) -> tensor<4x8xf16> attributes {npu.partition} {
  // expected-error @below {{cannot run on the NPU: the kernel needs 9 operands and 17 instructions beside its anchor; there are 8 and 48}}
  %0 = ef.fused (%x0 = %x, %a0 = %a, %b0 = %b, %c0 = %c, %d0 = %d, %e0 = %e, %f0 = %f, %g0 = %g, %h0 = %h) : (tensor<4x8xf16>, tensor<4x8xf16>, tensor<4x8xf16>, tensor<4x8xf16>, tensor<4x8xf16>, tensor<4x8xf16>, tensor<4x8xf16>, tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16> {
    %1 = ef.binary add %x0, %a0 : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>
    %2 = ef.binary add %1, %b0 : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>
    %3 = ef.binary add %2, %c0 : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>
    %4 = ef.binary add %3, %d0 : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>
    %5 = ef.binary add %4, %e0 : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>
    %6 = ef.binary add %5, %f0 : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>
    %7 = ef.binary add %6, %g0 : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>
    %8 = ef.binary add %7, %h0 : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>
    ef.yield %8 : tensor<4x8xf16>
  }
  return %0 : tensor<4x8xf16>
}

// -----

// Tensor engines read int16 with int8 weights, or floats with floats.
func.func private @mixed(%x: tensor<4x8x!quant.uniform<i16:f32, 0.5>>) -> tensor<4x8xf32> attributes {npu.partition} {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<8x8xf32>
  // expected-error @below {{cannot run on the NPU: an operand is computed inside the kernel, before its anchor}}
  %0 = ef.fused (%x0 = %x, %w0 = %w) : (tensor<4x8x!quant.uniform<i16:f32, 0.5>>, tensor<8x8xf32>) -> tensor<4x8xf32> {
    %1 = quant.dcast %x0 : tensor<4x8x!quant.uniform<i16:f32, 0.5>> to tensor<4x8xf32>
    %2 = ef.matmul %1, %w0 : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    ef.yield %2 : tensor<4x8xf32>
  }
  return %0 : tensor<4x8xf32>
}
