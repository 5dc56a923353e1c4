// Winograd F(4x4, 3x3): extents that are no multiple of the tile, split channels, several images, uneven padding.
// RUN: kernel-bench %s --repeat=1 --min-sqnr=60 | FileCheck %s
// RUN: kernel-bench %s --repeat=1 --winograd=0 | FileCheck %s --check-prefix=DIRECT
// CHECK-COUNT-3: conv3x3.winograd4+add+silu+add
// CHECK-COUNT-3: SQNR
// DIRECT-COUNT-3: conv3x3+add+silu+add

func.func @main(%a0: tensor<1x16x16x64xf32>, %a1: tensor<1x16x16x64xf32>, %a2: tensor<2x13x19x352xf32>, %a3: tensor<2x13x19x48xf32>, %a4: tensor<1x20x30x48xf32>, %a5: tensor<1x19x30x160xf32>) -> (tensor<1x16x16x64xf32>, tensor<2x13x19x48xf32>, tensor<1x19x30x160xf32>) {
  %w1 = ef.weight "w1" from "random.bin" at 64 : tensor<64x64x3x3xf32>
  %w2 = ef.weight "w2" from "random.bin" at 128 : tensor<64xf32>
  %r3 = ef.fused (%x = %a0, %f = %w1, %b = %w2, %r = %a1) : (tensor<1x16x16x64xf32>, tensor<64x64x3x3xf32>, tensor<64xf32>, tensor<1x16x16x64xf32>) -> tensor<1x16x16x64xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, layout = #ef<layout channels_last>} : (tensor<1x16x16x64xf32>, tensor<64x64x3x3xf32>) -> tensor<1x16x16x64xf32>
    %1 = ef.binary add %0, %b : (tensor<1x16x16x64xf32>, tensor<64xf32>) -> tensor<1x16x16x64xf32>
    %2 = ef.unary silu %1 : (tensor<1x16x16x64xf32>) -> tensor<1x16x16x64xf32>
    %3 = ef.binary add %2, %r : (tensor<1x16x16x64xf32>, tensor<1x16x16x64xf32>) -> tensor<1x16x16x64xf32>
    ef.yield %3 : tensor<1x16x16x64xf32>
  }
  %w4 = ef.weight "w4" from "random.bin" at 256 : tensor<48x352x3x3xf32>
  %w5 = ef.weight "w5" from "random.bin" at 320 : tensor<48xf32>
  %r6 = ef.fused (%x = %a2, %f = %w4, %b = %w5, %r = %a3) : (tensor<2x13x19x352xf32>, tensor<48x352x3x3xf32>, tensor<48xf32>, tensor<2x13x19x48xf32>) -> tensor<2x13x19x48xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, layout = #ef<layout channels_last>} : (tensor<2x13x19x352xf32>, tensor<48x352x3x3xf32>) -> tensor<2x13x19x48xf32>
    %1 = ef.binary add %0, %b : (tensor<2x13x19x48xf32>, tensor<48xf32>) -> tensor<2x13x19x48xf32>
    %2 = ef.unary silu %1 : (tensor<2x13x19x48xf32>) -> tensor<2x13x19x48xf32>
    %3 = ef.binary add %2, %r : (tensor<2x13x19x48xf32>, tensor<2x13x19x48xf32>) -> tensor<2x13x19x48xf32>
    ef.yield %3 : tensor<2x13x19x48xf32>
  }
  %w7 = ef.weight "w7" from "random.bin" at 448 : tensor<160x48x3x3xf32>
  %w8 = ef.weight "w8" from "random.bin" at 512 : tensor<160xf32>
  %r9 = ef.fused (%x = %a4, %f = %w7, %b = %w8, %r = %a5) : (tensor<1x20x30x48xf32>, tensor<160x48x3x3xf32>, tensor<160xf32>, tensor<1x19x30x160xf32>) -> tensor<1x19x30x160xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 1, 1>, pads = array<i64: 0, 2, 1, 0>, dilations = array<i64: 1, 1>, groups = 1, layout = #ef<layout channels_last>} : (tensor<1x20x30x48xf32>, tensor<160x48x3x3xf32>) -> tensor<1x19x30x160xf32>
    %1 = ef.binary add %0, %b : (tensor<1x19x30x160xf32>, tensor<160xf32>) -> tensor<1x19x30x160xf32>
    %2 = ef.unary silu %1 : (tensor<1x19x30x160xf32>) -> tensor<1x19x30x160xf32>
    %3 = ef.binary add %2, %r : (tensor<1x19x30x160xf32>, tensor<1x19x30x160xf32>) -> tensor<1x19x30x160xf32>
    ef.yield %3 : tensor<1x19x30x160xf32>
  }
  return %r3, %r6, %r9 : tensor<1x16x16x64xf32>, tensor<2x13x19x48xf32>, tensor<1x19x30x160xf32>
}

