// RUN: efc-opt %s -split-input-file -verify-diagnostics -efc-cpu-lower-to-dispatches="cpu=x86-64-v3"

// expected-error@+1 {{there is no @main to compile}}
module {
  func.func @other(%x: tensor<8xf32>) -> tensor<8xf32> {
    return %x : tensor<8xf32>
  }
}
