// RUN: not efc-opt %s -efc-cpu-lower-to-dispatches="cpu=z80" 2>&1 | FileCheck %s

// CHECK: --cpu=z80 is not a known machine; choose one of: host, x86-64-v4-vnni, x86-64-v4, x86-64-v3
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}
