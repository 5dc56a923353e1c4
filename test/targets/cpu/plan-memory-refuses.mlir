// RUN: efc-opt %s -split-input-file -efc-cpu-plan-memory | FileCheck %s

// Nothing to plan without @main.

// CHECK-NOT: cpu.arena_bytes
func.func @helper(%x: tensor<64xf32>) -> tensor<64xf32> {
  %0 = cpu.dispatch @a(%x) work 1 scratch 0 {op = "a"} : (tensor<64xf32>) -> tensor<64xf32>
  return %0 : tensor<64xf32>
}

// -----

// Inputs and weights have their own memory: no offset is given for them.

// CHECK: module attributes {cpu.arena_bytes = 0 : i64}
// CHECK: cpu.dispatch @a{{.*}}offsets = array<i64: -1>
func.func @main(%x: tensor<64xf32>) -> tensor<64xf32> {
  %w = ef.weight "w" from "w.bin" at 0 : tensor<64xf32>
  %0 = cpu.dispatch @a(%x, %w) work 1 scratch 0 {op = "a"} : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  return %0 : tensor<64xf32>
}
