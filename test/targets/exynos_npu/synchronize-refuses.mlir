// RUN: efc-opt %s -split-input-file --pass-pipeline='builtin.module(npu.program(efc-npu-synchronize))' -verify-diagnostics

npu.program @npu_0 : (tensor<8xf16>) -> tensor<8xf16> attributes {slot_bytes = array<i64: 0, 0, 16, 16>} {
  // expected-error @+1 {{has no address; run efc-npu-schedule before efc-npu-synchronize}}
  %a = npu.alloc 16
}

// -----

#source = #npu.source<"/add" "add" 0 0>
npu.program @npu_0 : (tensor<8xf16>) -> tensor<8xf16> attributes {slot_bytes = array<i64: 0, 0, 16, 16>} {
  %a = npu.alloc 16 {address = 0 : i64}
  // expected-error @+1 {{has no queue; run efc-npu-schedule before efc-npu-synchronize}}
  npu.dma_load %a <slot 2 at 0 to 0 [8] of 2 dram [2] scratch [2]> {source = #source}
}
