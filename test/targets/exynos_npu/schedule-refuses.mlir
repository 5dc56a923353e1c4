// RUN: efc-opt %s --pass-pipeline='builtin.module(npu.program(efc-npu-schedule{machine-set=scratchpad=1KiB}))' -verify-diagnostics

#source = #npu.source<"/add" "add" 0 0>
// expected-note @+1 {{bytes 0 to 768: add of '/add'}}
npu.program @npu_0 : (tensor<384xf16>) -> tensor<384xf16> attributes {slot_bytes = array<i64: 0, 0, 768, 768>} {
  %a = npu.alloc 768
  npu.dma_load %a <slot 2 at 0 to 0 [384] of 2 dram [2] scratch [2]> {source = #source}
  %b = npu.alloc 768
  // expected-error @+1 {{'/add' (add) needs a buffer of 768 bytes, 1536 with what else is alive meanwhile; of the scratchpad's 1024 bytes at most 256 are free in one piece; choose a machine with a larger scratchpad}}
  npu.vector (%a <f16 [1, 1, 1, 384]>, %b <f16 [1, 1, 1, 384]>) {code = #npu.code<r0 = load 0 -> r0>, source = #source}
  npu.dma_store %b <slot 3 at 0 to 0 [384] of 2 dram [2] scratch [2]> {source = #source}
}
