// RUN: efc-opt %s -split-input-file -efc-cpu-plan-memory | FileCheck %s

// A chain needs room for two neighbours, whatever its length; the last one is written into the output.

// CHECK: module attributes {cpu.arena_bytes = 512 : i64}
// CHECK: cpu.dispatch @a{{.*}}offsets = array<i64: 0>
// CHECK: cpu.dispatch @b{{.*}}offsets = array<i64: 256>
// CHECK: cpu.dispatch @c{{.*}}offsets = array<i64: 0>
// CHECK: cpu.dispatch @d{{.*}}offsets = array<i64: -1>
func.func @main(%x: tensor<64xf32>) -> tensor<64xf32> {
  %0 = cpu.dispatch @a(%x) work 1 scratch 0 {op = "a"} : (tensor<64xf32>) -> tensor<64xf32>
  %1 = cpu.dispatch @b(%0) work 1 scratch 0 {op = "b"} : (tensor<64xf32>) -> tensor<64xf32>
  %2 = cpu.dispatch @c(%1) work 1 scratch 0 {op = "c"} : (tensor<64xf32>) -> tensor<64xf32>
  %3 = cpu.dispatch @d(%2) work 1 scratch 0 {op = "d"} : (tensor<64xf32>) -> tensor<64xf32>
  return %3 : tensor<64xf32>
}

// -----

// A reader through a reshape keeps the tensor alive: nothing may be placed over it before.

// CHECK: module attributes {cpu.arena_bytes = 768 : i64}
// CHECK: cpu.dispatch @a{{.*}}offsets = array<i64: 0>
// CHECK: cpu.dispatch @b{{.*}}offsets = array<i64: 256>
// CHECK: cpu.dispatch @c{{.*}}offsets = array<i64: 512>
// CHECK: cpu.dispatch @d{{.*}}offsets = array<i64: -1>
func.func @main(%x: tensor<64xf32>) -> tensor<64xf32> {
  %0 = cpu.dispatch @a(%x) work 1 scratch 0 {op = "a"} : (tensor<64xf32>) -> tensor<64xf32>
  %alias = ef.reshape %0 : (tensor<64xf32>) -> tensor<8x8xf32>
  %1 = cpu.dispatch @b(%x) work 1 scratch 0 {op = "b"} : (tensor<64xf32>) -> tensor<64xf32>
  %2 = cpu.dispatch @c(%1) work 1 scratch 0 {op = "c"} : (tensor<64xf32>) -> tensor<64xf32>
  %3 = cpu.dispatch @d(%alias, %2) work 1 scratch 0 {op = "d"} : (tensor<8x8xf32>, tensor<64xf32>) -> tensor<64xf32>
  return %3 : tensor<64xf32>
}

// -----

// The largest tensor is placed first, small ones around it. Sizes are rounded to cache lines.

// CHECK: module attributes {cpu.arena_bytes = 4160 : i64}
// CHECK: cpu.dispatch @small{{.*}}offsets = array<i64: 4096>
// CHECK: cpu.dispatch @large{{.*}}offsets = array<i64: 0>
func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {
  %0 = cpu.dispatch @small(%x) work 1 scratch 0 {op = "small"} : (tensor<3xf32>) -> tensor<3xf32>
  %1 = cpu.dispatch @large(%0) work 1 scratch 0 {op = "large"} : (tensor<3xf32>) -> tensor<1024xf32>
  %2 = cpu.dispatch @last(%1) work 1 scratch 0 {op = "last"} : (tensor<1024xf32>) -> tensor<3xf32>
  return %2 : tensor<3xf32>
}
