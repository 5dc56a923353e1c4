// Convolutions that are no Winograd: strides, dilations, uneven padding, 1x1, depthwise, grouped; with bias, activation, residual.
// RUN: kernel-bench %s --repeat=1 --winograd=0 | FileCheck %s
// CHECK: conv3x3+add+silu+add
// CHECK: conv3x3+add+silu+add
// CHECK: conv5x5+add+silu+add
// CHECK: conv1x1+add+silu+add
// CHECK: conv1x1+add+silu+add
// CHECK: conv3x3.depthwise+add+silu+add
// CHECK: conv.generic+add+silu+add
// CHECK-COUNT-7: SQNR

func.func @main(%a0: tensor<1x17x23x20xf32>, %a1: tensor<1x9x12x24xf32>, %a2: tensor<2x9x100x5xf32>, %a3: tensor<2x7x100x37xf32>, %a4: tensor<1x16x16x8xf32>, %a5: tensor<1x16x16x3xf32>, %a6: tensor<1x12x12x32xf32>, %a7: tensor<1x6x6x40xf32>, %a8: tensor<1x8x8x32xf32>, %a9: tensor<1x8x8x40xf32>, %a10: tensor<1x12x13x37xf32>, %a11: tensor<1x6x7x37xf32>, %a12: tensor<1x6x7x8xf32>, %a13: tensor<1x6x7x12xf32>) -> (tensor<1x9x12x24xf32>, tensor<2x7x100x37xf32>, tensor<1x16x16x3xf32>, tensor<1x6x6x40xf32>, tensor<1x8x8x40xf32>, tensor<1x6x7x37xf32>, tensor<1x6x7x12xf32>) {
  %w1 = ef.weight "w1" from "random.bin" at 64 : tensor<24x20x3x3xf32>
  %w2 = ef.weight "w2" from "random.bin" at 128 : tensor<24xf32>
  %r3 = ef.fused (%x = %a0, %f = %w1, %b = %w2, %r = %a1) : (tensor<1x17x23x20xf32>, tensor<24x20x3x3xf32>, tensor<24xf32>, tensor<1x9x12x24xf32>) -> tensor<1x9x12x24xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1, layout = #ef<layout channels_last>} : (tensor<1x17x23x20xf32>, tensor<24x20x3x3xf32>) -> tensor<1x9x12x24xf32>
    %1 = ef.binary add %0, %b : (tensor<1x9x12x24xf32>, tensor<24xf32>) -> tensor<1x9x12x24xf32>
    %2 = ef.unary silu %1 : (tensor<1x9x12x24xf32>) -> tensor<1x9x12x24xf32>
    %3 = ef.binary add %2, %r : (tensor<1x9x12x24xf32>, tensor<1x9x12x24xf32>) -> tensor<1x9x12x24xf32>
    ef.yield %3 : tensor<1x9x12x24xf32>
  }
  %w4 = ef.weight "w4" from "random.bin" at 256 : tensor<37x5x3x3xf32>
  %w5 = ef.weight "w5" from "random.bin" at 320 : tensor<37xf32>
  %r6 = ef.fused (%x = %a2, %f = %w4, %b = %w5, %r = %a3) : (tensor<2x9x100x5xf32>, tensor<37x5x3x3xf32>, tensor<37xf32>, tensor<2x7x100x37xf32>) -> tensor<2x7x100x37xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 1, 1>, pads = array<i64: 2, 1, 0, 3>, dilations = array<i64: 2, 2>, groups = 1, layout = #ef<layout channels_last>} : (tensor<2x9x100x5xf32>, tensor<37x5x3x3xf32>) -> tensor<2x7x100x37xf32>
    %1 = ef.binary add %0, %b : (tensor<2x7x100x37xf32>, tensor<37xf32>) -> tensor<2x7x100x37xf32>
    %2 = ef.unary silu %1 : (tensor<2x7x100x37xf32>) -> tensor<2x7x100x37xf32>
    %3 = ef.binary add %2, %r : (tensor<2x7x100x37xf32>, tensor<2x7x100x37xf32>) -> tensor<2x7x100x37xf32>
    ef.yield %3 : tensor<2x7x100x37xf32>
  }
  %w7 = ef.weight "w7" from "random.bin" at 448 : tensor<3x8x5x5xf32>
  %w8 = ef.weight "w8" from "random.bin" at 512 : tensor<3xf32>
  %r9 = ef.fused (%x = %a4, %f = %w7, %b = %w8, %r = %a5) : (tensor<1x16x16x8xf32>, tensor<3x8x5x5xf32>, tensor<3xf32>, tensor<1x16x16x3xf32>) -> tensor<1x16x16x3xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 1, 1>, pads = array<i64: 2, 2, 2, 2>, dilations = array<i64: 1, 1>, groups = 1, layout = #ef<layout channels_last>} : (tensor<1x16x16x8xf32>, tensor<3x8x5x5xf32>) -> tensor<1x16x16x3xf32>
    %1 = ef.binary add %0, %b : (tensor<1x16x16x3xf32>, tensor<3xf32>) -> tensor<1x16x16x3xf32>
    %2 = ef.unary silu %1 : (tensor<1x16x16x3xf32>) -> tensor<1x16x16x3xf32>
    %3 = ef.binary add %2, %r : (tensor<1x16x16x3xf32>, tensor<1x16x16x3xf32>) -> tensor<1x16x16x3xf32>
    ef.yield %3 : tensor<1x16x16x3xf32>
  }
  %w10 = ef.weight "w10" from "random.bin" at 640 : tensor<40x32x1x1xf32>
  %w11 = ef.weight "w11" from "random.bin" at 704 : tensor<40xf32>
  %r12 = ef.fused (%x = %a6, %f = %w10, %b = %w11, %r = %a7) : (tensor<1x12x12x32xf32>, tensor<40x32x1x1xf32>, tensor<40xf32>, tensor<1x6x6x40xf32>) -> tensor<1x6x6x40xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, layout = #ef<layout channels_last>} : (tensor<1x12x12x32xf32>, tensor<40x32x1x1xf32>) -> tensor<1x6x6x40xf32>
    %1 = ef.binary add %0, %b : (tensor<1x6x6x40xf32>, tensor<40xf32>) -> tensor<1x6x6x40xf32>
    %2 = ef.unary silu %1 : (tensor<1x6x6x40xf32>) -> tensor<1x6x6x40xf32>
    %3 = ef.binary add %2, %r : (tensor<1x6x6x40xf32>, tensor<1x6x6x40xf32>) -> tensor<1x6x6x40xf32>
    ef.yield %3 : tensor<1x6x6x40xf32>
  }
  %w13 = ef.weight "w13" from "random.bin" at 832 : tensor<40x32x1x1xf32>
  %w14 = ef.weight "w14" from "random.bin" at 896 : tensor<40xf32>
  %r15 = ef.fused (%x = %a8, %f = %w13, %b = %w14, %r = %a9) : (tensor<1x8x8x32xf32>, tensor<40x32x1x1xf32>, tensor<40xf32>, tensor<1x8x8x40xf32>) -> tensor<1x8x8x40xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1, layout = #ef<layout channels_last>} : (tensor<1x8x8x32xf32>, tensor<40x32x1x1xf32>) -> tensor<1x8x8x40xf32>
    %1 = ef.binary add %0, %b : (tensor<1x8x8x40xf32>, tensor<40xf32>) -> tensor<1x8x8x40xf32>
    %2 = ef.unary silu %1 : (tensor<1x8x8x40xf32>) -> tensor<1x8x8x40xf32>
    %3 = ef.binary add %2, %r : (tensor<1x8x8x40xf32>, tensor<1x8x8x40xf32>) -> tensor<1x8x8x40xf32>
    ef.yield %3 : tensor<1x8x8x40xf32>
  }
  %w16 = ef.weight "w16" from "random.bin" at 1024 : tensor<37x1x3x3xf32>
  %w17 = ef.weight "w17" from "random.bin" at 1088 : tensor<37xf32>
  %r18 = ef.fused (%x = %a10, %f = %w16, %b = %w17, %r = %a11) : (tensor<1x12x13x37xf32>, tensor<37x1x3x3xf32>, tensor<37xf32>, tensor<1x6x7x37xf32>) -> tensor<1x6x7x37xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 37, layout = #ef<layout channels_last>} : (tensor<1x12x13x37xf32>, tensor<37x1x3x3xf32>) -> tensor<1x6x7x37xf32>
    %1 = ef.binary add %0, %b : (tensor<1x6x7x37xf32>, tensor<37xf32>) -> tensor<1x6x7x37xf32>
    %2 = ef.unary silu %1 : (tensor<1x6x7x37xf32>) -> tensor<1x6x7x37xf32>
    %3 = ef.binary add %2, %r : (tensor<1x6x7x37xf32>, tensor<1x6x7x37xf32>) -> tensor<1x6x7x37xf32>
    ef.yield %3 : tensor<1x6x7x37xf32>
  }
  %w19 = ef.weight "w19" from "random.bin" at 1216 : tensor<12x2x3x3xf32>
  %w20 = ef.weight "w20" from "random.bin" at 1280 : tensor<12xf32>
  %r21 = ef.fused (%x = %a12, %f = %w19, %b = %w20, %r = %a13) : (tensor<1x6x7x8xf32>, tensor<12x2x3x3xf32>, tensor<12xf32>, tensor<1x6x7x12xf32>) -> tensor<1x6x7x12xf32> {
    %0 = ef.conv %x, %f {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 4, layout = #ef<layout channels_last>} : (tensor<1x6x7x8xf32>, tensor<12x2x3x3xf32>) -> tensor<1x6x7x12xf32>
    %1 = ef.binary add %0, %b : (tensor<1x6x7x12xf32>, tensor<12xf32>) -> tensor<1x6x7x12xf32>
    %2 = ef.unary silu %1 : (tensor<1x6x7x12xf32>) -> tensor<1x6x7x12xf32>
    %3 = ef.binary add %2, %r : (tensor<1x6x7x12xf32>, tensor<1x6x7x12xf32>) -> tensor<1x6x7x12xf32>
    ef.yield %3 : tensor<1x6x7x12xf32>
  }
  return %r3, %r6, %r9, %r12, %r15, %r18, %r21 : tensor<1x9x12x24xf32>, tensor<2x7x100x37xf32>, tensor<1x16x16x3xf32>, tensor<1x6x6x40xf32>, tensor<1x8x8x40xf32>, tensor<1x6x7x37xf32>, tensor<1x6x7x12xf32>
}

