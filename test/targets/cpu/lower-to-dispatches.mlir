// RUN: efc-opt %s -split-input-file -efc-cpu-lower-to-dispatches | FileCheck %s

// Equal layers share one kernel; the launches keep their own operands.

// CHECK-LABEL: func.func @main
// CHECK:         %[[FIRST:.*]] = cpu.dispatch @[[KERNEL:elementwise[_0-9a-z]*]](%arg0)
// CHECK-SAME:      op = "silu"
// CHECK:         %[[SECOND:.*]] = cpu.dispatch @[[KERNEL]](%[[FIRST]])
// CHECK:         return %[[SECOND]]
// CHECK:       func.func @[[KERNEL]](%{{.*}}: memref<4x64xf32>, %{{.*}}: memref<4x64xf32>, %{{.*}}: memref<{{[0-9]+}}xi8>, %{{.*}}: index, %{{.*}}: index)
// CHECK-NOT:   func.func @elementwise
func.func @main(%x: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %0 = ef.unary silu %x : (tensor<4x64xf32>) -> tensor<4x64xf32>
  %1 = ef.unary silu %0 : (tensor<4x64xf32>) -> tensor<4x64xf32>
  return %1 : tensor<4x64xf32>
}

// -----

// A reshape is an alias, and weights are packed by the writer of the artifact.

// CHECK-LABEL: func.func @main
// CHECK:         %[[ROWS:.*]] = ef.reshape %arg0
// CHECK:         %[[WEIGHT:.*]] = ef.weight "w"
// CHECK:         %[[PACKED:.*]] = cpu.pack %[[WEIGHT]] {k = 32 : i64, n = 48 : i64, panel = 16 : i64, strides = array<i64: {{[0-9]+}}, 48, 1>, taps = 1 : i64}
// CHECK:         cpu.dispatch @{{.*}}(%[[ROWS]], %[[PACKED]]
func.func @main(%x: tensor<1x8x32xf32>) -> tensor<8x48xf32> {
  %0 = ef.reshape %x : (tensor<1x8x32xf32>) -> tensor<8x32xf32>
  %w = ef.weight "w" from "w.bin" at 0 : tensor<32x48xf32>
  %1 = ef.matmul %0, %w : (tensor<8x32xf32>, tensor<32x48xf32>) -> tensor<8x48xf32>
  return %1 : tensor<8x48xf32>
}

// -----

// What no launch computes is copied into the output, and so is a value that is returned twice.

// CHECK-LABEL: func.func @main
// CHECK:         %[[SUM:.*]] = cpu.dispatch @elementwise
// CHECK:         %[[AGAIN:.*]] = cpu.dispatch @copy_0(%[[SUM]])
// CHECK:         %[[INPUT:.*]] = cpu.dispatch @copy_0(%arg0)
// CHECK:         return %[[SUM]], %[[AGAIN]], %[[INPUT]]
func.func @main(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) {
  %0 = ef.binary add %x, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %0, %0, %x : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
}
