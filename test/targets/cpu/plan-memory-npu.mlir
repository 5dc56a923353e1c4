// RUN: efc-opt %s -split-input-file -efc-cpu-plan-memory | FileCheck %s

// A partition's results and, behind them, its workspace have their places beside the CPU's tensors. The workspace lives during the launch
// only: what the CPU computes next may lie there.

// CHECK: module attributes {cpu.arena_bytes = 1536 : i64}
// CHECK: cpu.dispatch @a{{.*}}offsets = array<i64: 1024>
// CHECK: npu.launch @npu_0{{.*}}offsets = array<i64: 1280, 0>
// CHECK: cpu.dispatch @b{{.*}}offsets = array<i64: 0>
// CHECK: cpu.dispatch @c{{.*}}offsets = array<i64: -1>
npu.program @npu_0 : (tensor<64xf32>) -> tensor<64xf32> attributes {slot_bytes = array<i64: 0, 1000, 256, 256>} {
}
func.func @main(%x: tensor<64xf32>) -> tensor<64xf32> {
  %0 = cpu.dispatch @a(%x) work 1 scratch 0 {op = "a"} : (tensor<64xf32>) -> tensor<64xf32>
  %1 = npu.launch @npu_0(%0) : (tensor<64xf32>) -> tensor<64xf32>
  %2 = cpu.dispatch @b(%x) work 1 scratch 0 {op = "b"} : (tensor<64xf32>) -> tensor<64xf32>
  %3 = cpu.dispatch @c(%1, %2) work 1 scratch 0 {op = "c"} : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  return %3 : tensor<64xf32>
}

// -----

// A partition writes the model's outputs in place, also through a reshape.

// CHECK: module attributes {cpu.arena_bytes = 0 : i64}
// CHECK: npu.launch @npu_0{{.*}}offsets = array<i64: -2, -1, 0>
npu.program @npu_0 : (tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>) attributes {slot_bytes = array<i64: 0, 0, 256, 256, 256>} {
}
func.func @main(%x: tensor<64xf32>) -> (tensor<8x8xf32>, tensor<64xf32>) {
  %0:2 = npu.launch @npu_0(%x) : (tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>)
  %1 = ef.reshape %0#1 : (tensor<64xf32>) -> tensor<8x8xf32>
  return %1, %0#0 : tensor<8x8xf32>, tensor<64xf32>
}
