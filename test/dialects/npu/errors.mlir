// RUN: efc-opt %s -split-input-file -verify-diagnostics

#source = #npu.source<"/n" "add" 0 0>
npu.program @npu_0 : (tensor<8xf16>) -> tensor<8xf16> attributes {slot_bytes = array<i64: 0, 0, 16, 16>} {
  %x = npu.alloc 16
  // expected-error @+1 {{view 1 ends at byte 18 of a buffer of 16}}
  npu.vector (%x <f16 [1, 1, 1, 8]>, %x <f16 at 2 [1, 1, 1, 8]>) {code = #npu.code<r0 = load 0 -> r0>, source = #source}
}

// -----

#source = #npu.source<"/n" "add" 0 0>
npu.program @npu_0 : (tensor<8xf16>) -> tensor<8xf16> attributes {slot_bytes = array<i64: 0, 0, 16, 16>} {
  %x = npu.alloc 16
  // expected-error @+1 {{loads operand 1 of 1}}
  npu.vector (%x <f16 [1, 1, 1, 8]>, %x <f16 [1, 1, 1, 8]>) {code = #npu.code<r0 = load 1 -> r0>, source = #source}
}

// -----

#source = #npu.source<"/n" "load" 0 0>
npu.program @npu_0 : (tensor<8xf16>) -> tensor<8xf16> attributes {slot_bytes = array<i64: 0, 0, 16, 16>} {
  %x = npu.alloc 32
  // expected-error @+1 {{leaves slot 2}}
  npu.dma_load %x <slot 2 at 0 to 0 [9] of 2 dram [2] scratch [2]> {source = #source}
}

// -----

#source = #npu.source<"/n" "matmul" 0 0>
npu.program @npu_0 : (tensor<8xf16>) -> tensor<8xf16> attributes {slot_bytes = array<i64: 0, 0, 16, 16>} {
  %x = npu.alloc 16
  %w = npu.alloc 64
  // expected-error @+1 {{has an input of 8 channels and weights for 4}}
  npu.tensor (%x <f16 [1, 1, 1, 8]>, %w <f16 [8, 1, 1, 4]>, %x <f16 [1, 1, 1, 8]>) {code = #npu.code<-> r0>, source = #source}
}

// -----

// expected-error @+1 {{has 3 slots; its type needs 4}}
npu.program @npu_0 : (tensor<8xf16>) -> tensor<8xf16> attributes {slot_bytes = array<i64: 0, 0, 16>} {
}
