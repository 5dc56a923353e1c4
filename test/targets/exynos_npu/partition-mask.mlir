// A constant mask that is exactly causal becomes the attribute, whether it
// keeps or adds; any other keeps the attention on the CPU.
// RUN: efc-opt --efc-npu-partition --split-input-file %s | FileCheck %s

// CHECK-LABEL: func.func private @npu_0
// CHECK: ef.attention %{{.*}}, %{{.*}}, %{{.*}} {causal, heads = 1
func.func @main(%x: tensor<1x3x4xf32>) -> tensor<1x3x4xf32> {
  %mask = ef.constant dense<[[[[1, 0, 0], [1, 1, 0], [1, 1, 1]]]]> : tensor<1x1x3x3xi1>
  %0 = ef.attention %x, %x, %x mask %mask {heads = 1 : i64, kv_heads = 1 : i64, scale = 0.5 : f64} : (tensor<1x3x4xf32>, tensor<1x3x4xf32>, tensor<1x3x4xf32>, tensor<1x1x3x3xi1>) -> tensor<1x3x4xf32>
  return %0 : tensor<1x3x4xf32>
}

// -----

// CHECK-LABEL: func.func private @npu_0
// CHECK: ef.fused (%[[X:.*]] = %{{[^,]*}}) :
// CHECK-NEXT: ef.attention %[[X]], %[[X]], %[[X]] {causal, heads = 1
func.func @main(%x: tensor<1x2x4xf32>) -> tensor<1x2x4xf32> {
  %mask = ef.constant dense<[[0.0, 0xFF7FFFFF], [0.0, 0.0]]> : tensor<2x2xf32>
  %0 = ef.fused (%x0 = %x, %mask0 = %mask) : (tensor<1x2x4xf32>, tensor<2x2xf32>) -> tensor<1x2x4xf32> {
    %1 = ef.attention %x0, %x0, %x0 mask %mask0 {heads = 1 : i64, kv_heads = 1 : i64, scale = 0.5 : f64} : (tensor<1x2x4xf32>, tensor<1x2x4xf32>, tensor<1x2x4xf32>, tensor<2x2xf32>) -> tensor<1x2x4xf32>
    %2 = ef.unary silu %1 : (tensor<1x2x4xf32>) -> tensor<1x2x4xf32>
    ef.yield %2 : tensor<1x2x4xf32>
  }
  return %0 : tensor<1x2x4xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: ef.attention {{.*}} mask {{.*}}npu.reason = "breaks the constraint 'no mask, or a constant one that is causal'"
// CHECK-NOT: func.func private
func.func @main(%x: tensor<1x2x4xf32>) -> tensor<1x2x4xf32> {
  %mask = ef.constant dense<[[0.0, -1.0], [0.0, 0.0]]> : tensor<2x2xf32>
  %0 = ef.attention %x, %x, %x mask %mask {heads = 1 : i64, kv_heads = 1 : i64, scale = 0.5 : f64} : (tensor<1x2x4xf32>, tensor<1x2x4xf32>, tensor<1x2x4xf32>, tensor<2x2xf32>) -> tensor<1x2x4xf32>
  return %0 : tensor<1x2x4xf32>
}
