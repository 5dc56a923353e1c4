// RUN: efc-opt %s | efc-opt | FileCheck %s

// CHECK: %[[W:.*]] = ef.weight
// CHECK: %[[P:.*]] = cpu.pack %[[W]] {k = 8 : i64, n = 20 : i64, panel = 16 : i64, strides = array<i64: 160, 20, 1>, taps = 1 : i64} : (tensor<8x20xf32>) -> tensor<1x2x8x16xf32>
// CHECK: cpu.dispatch @k(%{{.*}}, %[[P]]) work 4 scratch 64 {macs = 640 : i64, op = "matmul"} : (tensor<4x8xf32>, tensor<1x2x8x16xf32>) -> tensor<4x20xf32>
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x20xf32> {
  %w = ef.weight "w" from "w.bin" at 0 : tensor<8x20xf32>
  %p = cpu.pack %w {taps = 1 : i64, k = 8 : i64, n = 20 : i64, strides = array<i64: 160, 20, 1>, panel = 16 : i64} : (tensor<8x20xf32>) -> tensor<1x2x8x16xf32>
  %0 = cpu.dispatch @k(%x, %p) work 4 scratch 64 {op = "matmul", macs = 640 : i64} : (tensor<4x8xf32>, tensor<1x2x8x16xf32>) -> tensor<4x20xf32>
  return %0 : tensor<4x20xf32>
}
