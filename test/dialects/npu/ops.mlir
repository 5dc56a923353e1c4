// RUN: efc-opt %s | efc-opt | FileCheck %s

#source = #npu.source<"/conv" "conv3x3" 3 1>

// CHECK-DAG: #[[S:.*]] = #npu.source<"/conv" "conv3x3" 3 1>
// CHECK-DAG: #[[C:.*]] = #npu.code<r1 = load 0, r0 = add r0 r1, r2 = constant 5.000000e-01, r0 = mul r0 r2 -> r0>
// CHECK: npu.program @npu_0 : (tensor<1x8xf16>) -> tensor<1x4xf16> attributes {slot_bytes = array<i64: 64, 0, 16, 8>}
npu.program @npu_0 : (tensor<1x8xf16>) -> tensor<1x4xf16> attributes {slot_bytes = array<i64: 64, 0, 16, 8>} {
  // CHECK: %[[X:.*]] = npu.alloc 16 {address = 64 : i64}
  %x = npu.alloc 16 {address = 64 : i64}
  %w = npu.alloc 64
  %b = npu.alloc 16
  %y = npu.alloc 8
  // CHECK: npu.dma_load %[[X]] <slot 2 at 0 to 0 [1, 1, 1, 1, 8] of 2 dram [0, 0, 0, 0, 2] scratch [0, 0, 0, 0, 2]> {cycles = 1.200000e+02 : f32, notify, queue = #npu.queue<dma0>, source = #[[S]]}
  npu.dma_load %x <slot 2 at 0 to 0 [8] of 2 dram [2] scratch [2]> {source = #source, queue = #npu.queue<dma0>, notify, cycles = 120.0 : f32}
  // CHECK: npu.tensor (%[[X]] <f16 [1, 1, 1, 8]>, %{{.*}} <f16 [4, 1, 1, 8]>, %{{.*}} <f32 [1, 1, 1, 4]>, %{{.*}} <f16 [1, 1, 1, 4]>) {code = #[[C]], source = #[[S]], waits = #npu.waits<dma0 : 1, vector3 : 2>}
  npu.tensor (%x <f16 [1, 1, 1, 8]>, %w <f16 [4, 1, 1, 8]>, %b <f32 [1, 1, 1, 4]>, %y <f16 [1, 1, 1, 4]>) {
      code = #npu.code<r1 = load 0, r0 = add r0 r1, r2 = constant 0.5, r0 = mul r0 r2 -> r0>, source = #source, waits = #npu.waits<dma0 : 1, vector3 : 2>}
  // CHECK: npu.vector (%[[X]] <i16 at 4 [1, 1, 2, 2] strides [0, 0, 8, 2] * 5.000000e-01 limit 8191>, %{{.*}} <f32 [1, 1, 2, 2]>)
  npu.vector (%x <i16 at 4 [1, 1, 2, 2] strides [0, 0, 8, 2] * 0.5 limit 8191>, %b <f32 [1, 1, 2, 2]>) {code = #npu.code<r0 = load 0 -> r0>, source = #source}
  // CHECK: npu.softmax {{.*}} {causal_offset = 3 : i64, source = #[[S]]}
  npu.softmax (%x <i16 [1, 1, 2, 4]>, %x <i16 [1, 1, 2, 4]>, %b <i32 [1, 1, 2, 1]>) {causal_offset = 3 : i64, source = #source}
  // CHECK: npu.norm_stats {{.*}} {accumulate, source = #[[S]]}
  npu.norm_stats (%x <i16 [1, 4, 1, 2]>, %b <i64 [1, 1, 1, 2]>) {accumulate, source = #source}
  // CHECK: npu.dma_store
  npu.dma_store %y <slot 3 at 0 to 0 [4] of 2 dram [2] scratch [2]> {source = #source}
}
