// Attention: several blocks of keys, shared key heads, masks that broadcast, causal with rows that see no key, a negative scale.
// RUN: kernel-bench %s --repeat=1 | FileCheck %s
// CHECK-COUNT-7: SQNR

func.func @main(%a0: tensor<1x100x160xf32>, %a1: tensor<1x300x160xf32>, %a2: tensor<1x300x160xf32>, %a3: tensor<2x77x144xf32>, %a4: tensor<2x77x48xf32>, %a5: tensor<2x77x66xf32>, %a6: tensor<2x50x64xf32>, %a7: tensor<2x77x64xf32>, %a8: tensor<2x77x64xf32>, %a9: tensor<2x1x1x77xi1>, %a10: tensor<2x13x28xf32>, %a11: tensor<2x270x14xf32>, %a12: tensor<2x270x18xf32>, %a13: tensor<1x4x13x270xf32>, %a14: tensor<1x40x16xf32>, %a15: tensor<1x10x16xf32>, %a16: tensor<1x10x16xf32>, %a17: tensor<1x5x16xf32>, %a18: tensor<1x6x16xf32>, %a19: tensor<1x6x16xf32>, %a20: tensor<5x1xf32>, %a21: tensor<1x9x160xf32>, %a22: tensor<1x20x160xf32>, %a23: tensor<1x20x80xf32>) -> (tensor<1x100x160xf32>, tensor<2x77x198xf32>, tensor<2x50x64xf32>, tensor<2x13x36xf32>, tensor<1x40x16xf32>, tensor<1x5x16xf32>, tensor<1x9x80xf32>) {
  %r1 = ef.attention %a0, %a1, %a2 {heads = 4 : i64, kv_heads = 4 : i64, scale = 1.58113883e-01 : f64} : (tensor<1x100x160xf32>, tensor<1x300x160xf32>, tensor<1x300x160xf32>) -> tensor<1x100x160xf32>
  %r2 = ef.attention %a3, %a4, %a5 {heads = 6 : i64, kv_heads = 2 : i64, scale = 2.04124145e-01 : f64, causal} : (tensor<2x77x144xf32>, tensor<2x77x48xf32>, tensor<2x77x66xf32>) -> tensor<2x77x198xf32>
  %r3 = ef.attention %a6, %a7, %a8 mask %a9 {heads = 4 : i64, kv_heads = 4 : i64, scale = 2.50000000e-01 : f64} : (tensor<2x50x64xf32>, tensor<2x77x64xf32>, tensor<2x77x64xf32>, tensor<2x1x1x77xi1>) -> tensor<2x50x64xf32>
  %r4 = ef.attention %a10, %a11, %a12 mask %a13 {heads = 4 : i64, kv_heads = 2 : i64, scale = 3.77964473e-01 : f64} : (tensor<2x13x28xf32>, tensor<2x270x14xf32>, tensor<2x270x18xf32>, tensor<1x4x13x270xf32>) -> tensor<2x13x36xf32>
  %r5 = ef.attention %a14, %a15, %a16 {heads = 2 : i64, kv_heads = 2 : i64, scale = 3.53553391e-01 : f64, causal} : (tensor<1x40x16xf32>, tensor<1x10x16xf32>, tensor<1x10x16xf32>) -> tensor<1x40x16xf32>
  %r6 = ef.attention %a17, %a18, %a19 mask %a20 {heads = 2 : i64, kv_heads = 2 : i64, scale = 3.53553391e-01 : f64} : (tensor<1x5x16xf32>, tensor<1x6x16xf32>, tensor<1x6x16xf32>, tensor<5x1xf32>) -> tensor<1x5x16xf32>
  %r7 = ef.attention %a21, %a22, %a23 {heads = 1 : i64, kv_heads = 1 : i64, scale = -3.00000000e-01 : f64} : (tensor<1x9x160xf32>, tensor<1x20x160xf32>, tensor<1x20x80xf32>) -> tensor<1x9x80xf32>
  return %r1, %r2, %r3, %r4, %r5, %r6, %r7 : tensor<1x100x160xf32>, tensor<2x77x198xf32>, tensor<2x50x64xf32>, tensor<2x13x36xf32>, tensor<1x40x16xf32>, tensor<1x5x16xf32>, tensor<1x9x80xf32>
}

