// Matrix products: batches that broadcast, transposed operands, one row, split K, a gate; half, integer and double elements.
// RUN: kernel-bench %s --repeat=1 --num-threads=3 --min-sqnr=60 | FileCheck %s
// CHECK-COUNT-9: SQNR

func.func @main(%a0: tensor<2x1x77x40xf32>, %a1: tensor<3x40x45xf32>, %a2: tensor<50x7xf32>, %a3: tensor<9x50xf32>, %a4: tensor<1x6160xf32>, %a5: tensor<3x130x700xf32>, %a6: tensor<2x5x3xf32>, %a7: tensor<1x100x320xf32>, %a8: tensor<9x33xf16>, %a9: tensor<33x20xf16>, %a10: tensor<9x33xi8>, %a11: tensor<33x20xi8>, %a12: tensor<9x33xf64>, %a13: tensor<33x20xf64>) -> (tensor<2x3x77x45xf32>, tensor<7x9xf32>, tensor<1x333xf32>, tensor<3x130x200xf32>, tensor<2x5x4xf32>, tensor<1x100x1280xf32>, tensor<9x20xf16>, tensor<9x20xi32>, tensor<9x20xf64>) {
  %r1 = ef.matmul %a0, %a1 : (tensor<2x1x77x40xf32>, tensor<3x40x45xf32>) -> tensor<2x3x77x45xf32>
  %r2 = ef.matmul %a2, %a3 {transpose_a, transpose_b} : (tensor<50x7xf32>, tensor<9x50xf32>) -> tensor<7x9xf32>
  %w3 = ef.weight "w3" from "random.bin" at 192 : tensor<6160x333xf32>
  %r4 = ef.matmul %a4, %w3 : (tensor<1x6160xf32>, tensor<6160x333xf32>) -> tensor<1x333xf32>
  %w5 = ef.weight "w5" from "random.bin" at 320 : tensor<200x700xf32>
  %r6 = ef.matmul %a5, %w5 {transpose_b} : (tensor<3x130x700xf32>, tensor<200x700xf32>) -> tensor<3x130x200xf32>
  %w7 = ef.weight "w7" from "random.bin" at 448 : tensor<2x3x4xf32>
  %r8 = ef.matmul %a6, %w7 : (tensor<2x5x3xf32>, tensor<2x3x4xf32>) -> tensor<2x5x4xf32>
  %w9 = ef.weight "w9" from "random.bin" at 576 : tensor<2560x320xf32>
  %w10 = ef.weight "w10" from "random.bin" at 640 : tensor<2560xf32>
  %r11 = ef.fused (%x = %a7, %w = %w9, %b = %w10) : (tensor<1x100x320xf32>, tensor<2560x320xf32>, tensor<2560xf32>) -> tensor<1x100x1280xf32> {
    %0 = ef.matmul %x, %w {transpose_b} : (tensor<1x100x320xf32>, tensor<2560x320xf32>) -> tensor<1x100x2560xf32>
    %1 = ef.binary add %0, %b : (tensor<1x100x2560xf32>, tensor<2560xf32>) -> tensor<1x100x2560xf32>
    %2 = ef.geglu %1 : (tensor<1x100x2560xf32>) -> tensor<1x100x1280xf32>
    ef.yield %2 : tensor<1x100x1280xf32>
  }
  %r12 = ef.matmul %a8, %a9 : (tensor<9x33xf16>, tensor<33x20xf16>) -> tensor<9x20xf16>
  %r13 = ef.matmul %a10, %a11 : (tensor<9x33xi8>, tensor<33x20xi8>) -> tensor<9x20xi32>
  %r14 = ef.matmul %a12, %a13 : (tensor<9x33xf64>, tensor<33x20xf64>) -> tensor<9x20xf64>
  return %r1, %r2, %r4, %r6, %r8, %r11, %r12, %r13, %r14 : tensor<2x3x77x45xf32>, tensor<7x9xf32>, tensor<1x333xf32>, tensor<3x130x200xf32>, tensor<2x5x4xf32>, tensor<1x100x1280xf32>, tensor<9x20xf16>, tensor<9x20xi32>, tensor<9x20xf64>
}

