// RUN: efc-opt %s --pass-pipeline='builtin.module(func.func(efc-npu-tile),efc-npu-emit-commands)' | FileCheck %s

// CHECK: #[[CODE:.*]] = #npu.code<-> r0>
// CHECK-NOT: func.func private @npu_0
// CHECK: npu.program @npu_0 : (tensor<64x32xf16>) -> tensor<64x16xf16> attributes {machine = "exynos2400", slot_bytes = array<i64: 1024, 0, 4096, 2048>} {
// CHECK: npu.constant %{{.*}} matrix_kn[16, 1, 32] <f16> at 0 : tensor<32x16xf16>
// CHECK: %[[X:.*]] = npu.alloc 4096
// CHECK: npu.dma_load %[[X]] <slot 2 at 0 to 0 [1, 1, 1, 1, 2048] of 2
// CHECK: %[[W:.*]] = npu.alloc 1024
// CHECK: npu.dma_load %[[W]] <slot 0 at 0 to 0 [1, 1, 1, 1, 512] of 2
// CHECK: %[[Y:.*]] = npu.alloc 2048
// CHECK: npu.tensor (%[[X]] <f16 [1, 64, 1, 32]>, %[[W]] <f16 [16, 1, 1, 32]>, %[[Y]] <f16 [1, 64, 1, 16]>) {code = #[[CODE]]
// CHECK: npu.dma_store %[[Y]] <slot 3 at 0 to 0 [1, 1, 1, 1, 1024] of 2
func.func private @npu_0(%x: tensor<64x32xf16>) -> tensor<64x16xf16> attributes {npu.partition} {
  %w = ef.weight "w" from "m.bin" at 0 : tensor<32x16xf16>
  %0 = ef.fused (%x0 = %x, %w0 = %w) : (tensor<64x32xf16>, tensor<32x16xf16>) -> tensor<64x16xf16> {
    %1 = ef.cast %x0 : (tensor<64x32xf16>) -> tensor<64x32xf32>
    %2 = ef.cast %w0 : (tensor<32x16xf16>) -> tensor<32x16xf32>
    %3 = ef.matmul %1, %2 : (tensor<64x32xf32>, tensor<32x16xf32>) -> tensor<64x16xf32>
    %4 = ef.cast %3 : (tensor<64x16xf32>) -> tensor<64x16xf16>
    ef.yield %4 : tensor<64x16xf16>
  }
  return %0 : tensor<64x16xf16>
}
