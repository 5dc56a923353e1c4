// RUN: efc-opt %s --pass-pipeline='builtin.module(npu.program(efc-npu-schedule))' | FileCheck %s
// RUN: efc-opt %s --pass-pipeline='builtin.module(npu.program(efc-npu-schedule{lookahead=0}))' | FileCheck %s --check-prefix=SERIAL
// RUN: efc-opt %s --pass-pipeline='builtin.module(npu.program(efc-npu-schedule{machine-set=overlap=false}))' | FileCheck %s --check-prefix=SERIAL

// The load from slot 2 moves up over the vector command; the one from the workspace stays behind the store that it reads.
// CHECK: npu.dma_load %{{.*}} <slot 2 at 0 {{.*}} queue = #npu.queue<dma0>
// CHECK: npu.dma_load %{{.*}} <slot 2 at 64 {{.*}} queue = #npu.queue<dma0>
// CHECK: npu.vector {{.*}} queue = #npu.queue<vector0>
// CHECK: npu.dma_store %{{.*}} <slot 1 {{.*}} queue = #npu.queue<dma1>
// CHECK: npu.dma_load %{{.*}} <slot 1
// CHECK: npu.vector
// CHECK: npu.dma_store %{{.*}} <slot 3

// SERIAL: npu.dma_load %{{.*}} <slot 2 at 0
// SERIAL: npu.vector
// SERIAL: npu.dma_store %{{.*}} <slot 1
// SERIAL: npu.dma_load %{{.*}} <slot 2 at 64
// SERIAL: npu.dma_load %{{.*}} <slot 1
// SERIAL: npu.vector
// SERIAL: npu.dma_store %{{.*}} <slot 3
#source = #npu.source<"/add" "add" 0 0>
npu.program @npu_0 : (tensor<64xf16>) -> tensor<32xf16> attributes {slot_bytes = array<i64: 0, 64, 128, 64>} {
  %a = npu.alloc 64
  npu.dma_load %a <slot 2 at 0 to 0 [32] of 2 dram [2] scratch [2]> {source = #source}
  %b = npu.alloc 64
  npu.vector (%a <f16 [1, 1, 1, 32]>, %b <f16 [1, 1, 1, 32]>) {code = #npu.code<r0 = load 0 -> r0>, source = #source}
  npu.dma_store %b <slot 1 at 0 to 0 [32] of 2 dram [2] scratch [2]> {source = #source}
  %c = npu.alloc 64
  npu.dma_load %c <slot 2 at 64 to 0 [32] of 2 dram [2] scratch [2]> {source = #source}
  %d = npu.alloc 64
  npu.dma_load %d <slot 1 at 0 to 0 [32] of 2 dram [2] scratch [2]> {source = #source}
  %e = npu.alloc 64
  npu.vector (%c <f16 [1, 1, 1, 32]>, %d <f16 [1, 1, 1, 32]>, %e <f16 [1, 1, 1, 32]>) {code = #npu.code<r0 = load 0, r1 = load 1, r0 = add r0 r1 -> r0>, source = #source}
  npu.dma_store %e <slot 3 at 0 to 0 [32] of 2 dram [2] scratch [2]> {source = #source}
}
