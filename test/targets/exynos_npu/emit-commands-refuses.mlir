// RUN: efc-opt %s --efc-npu-emit-commands -verify-diagnostics

// expected-error @+1 {{the partition has no tiling; run efc-npu-tile before efc-npu-emit-commands}}
func.func private @npu_0(%x: tensor<8x8xf16>) -> tensor<8x8xf16> attributes {npu.partition} {
  return %x : tensor<8x8xf16>
}
