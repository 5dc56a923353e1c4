// RUN: efc-opt %s --pass-pipeline='builtin.module(npu.program(efc-npu-synchronize))' | FileCheck %s

// CHECK: npu.dma_load %[[A:.*]] <slot 2 {{.*}} {notify, queue = #npu.queue<dma0>
// CHECK: npu.vector (%[[A]] <{{.*}} {code = #code, notify, queue = #npu.queue<vector0>, {{.*}}waits = #npu.waits<dma0 : 1>}
// The store needs the load, too; that follows from waiting for the vector command.
// CHECK: npu.dma_store {{.*}} {queue = #npu.queue<dma1>, source = #source, waits = #npu.waits<vector0 : 1>}
// Writes where the vector command has read: must not come before it.
// CHECK: npu.dma_load {{.*}} {notify, queue = #npu.queue<dma0>, source = #source, waits = #npu.waits<vector0 : 1>}
// Same queue as its predecessor, other bytes than the store: the second load alone.
// CHECK: npu.vector {{.*}} queue = #npu.queue<vector0>, {{.*}}waits = #npu.waits<dma0 : 2>}
#source = #npu.source<"/add" "add" 0 0>
npu.program @npu_0 : (tensor<64xf16>) -> tensor<32xf16> attributes {slot_bytes = array<i64: 0, 0, 128, 64>} {
  %a = npu.alloc 64 {address = 0 : i64}
  npu.dma_load %a <slot 2 at 0 to 0 [32] of 2 dram [2] scratch [2]> {source = #source, queue = #npu.queue<dma0>}
  %b = npu.alloc 64 {address = 64 : i64}
  npu.vector (%a <f16 [1, 1, 1, 32]>, %b <f16 [1, 1, 1, 32]>) {code = #npu.code<r0 = load 0 -> r0>, source = #source, queue = #npu.queue<vector0>}
  npu.dma_store %b <slot 3 at 0 to 0 [32] of 2 dram [2] scratch [2]> {source = #source, queue = #npu.queue<dma1>}
  %c = npu.alloc 64 {address = 0 : i64}
  npu.dma_load %c <slot 2 at 64 to 0 [32] of 2 dram [2] scratch [2]> {source = #source, queue = #npu.queue<dma0>}
  %d = npu.alloc 64 {address = 128 : i64}
  npu.vector (%c <f16 [1, 1, 1, 32]>, %d <f16 [1, 1, 1, 32]>) {code = #npu.code<r0 = load 0 -> r0>, source = #source, queue = #npu.queue<vector0>}
}
