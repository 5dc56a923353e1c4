// RUN: efc-opt %s --efc-fuse-kernels | FileCheck %s

// Bias, activation and a residual that is computed after the anchor: the kernel stands where the residual is known.
// CHECK-LABEL: func.func @bias_activation_residual
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>, %[[W:.*]]: tensor<8x8xf32>, %[[B:.*]]: tensor<8xf32>)
// CHECK: %[[R:.*]] = ef.softmax %[[X]]
// CHECK: %[[F:.*]] = ef.fused (%[[R0:.*]] = %[[X]], %[[R1:.*]] = %[[W]], %[[R2:.*]] = %[[B]], %[[R3:.*]] = %[[R]])
// CHECK-NEXT: %[[M:.*]] = ef.matmul %[[R0]], %[[R1]]
// CHECK-NEXT: %[[A:.*]] = ef.binary add %[[M]], %[[R2]]
// CHECK-NEXT: %[[S:.*]] = ef.unary gelu %[[A]]
// CHECK-NEXT: %[[Y:.*]] = ef.binary add %[[R3]], %[[S]]
// CHECK-NEXT: ef.yield %[[Y]]
// CHECK: return %[[F]]
func.func @bias_activation_residual(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = ef.binary add %0, %b : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %2 = ef.unary gelu %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ef.softmax %x {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = ef.binary add %3, %2 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %4 : tensor<4x8xf32>
}

// Uses that meet again stay inside; a constant of one value becomes part of the kernel.
// CHECK-LABEL: func.func @diamond
// CHECK-NOT: ef.constant
// CHECK: ef.fused
// CHECK-NEXT: ef.matmul
// CHECK-NEXT: ef.constant dense<1.702000e+00>
// CHECK-NEXT: ef.binary mul
// CHECK-NEXT: ef.unary sigmoid
// CHECK-NEXT: ef.binary mul
// CHECK-NEXT: ef.yield
func.func @diamond(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x8xf32> {
  %c = ef.constant dense<1.702> : tensor<f32>
  %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = ef.binary mul %0, %c : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %2 = ef.unary sigmoid %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ef.binary mul %0, %2 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %3 : tensor<4x8xf32>
}

// GEGLU behind its matmul, through the bias.
// CHECK-LABEL: func.func @gate
// CHECK: ef.fused
// CHECK-NEXT: ef.matmul
// CHECK-NEXT: ef.binary add
// CHECK-NEXT: ef.geglu
// CHECK-NEXT: ef.yield {{.*}} : tensor<1x4x16xf32>
func.func @gate(%x: tensor<1x4x8xf32>, %w: tensor<8x32xf32>, %b: tensor<32xf32>) -> tensor<1x4x16xf32> {
  %0 = ef.matmul %x, %w : (tensor<1x4x8xf32>, tensor<8x32xf32>) -> tensor<1x4x32xf32>
  %1 = ef.binary add %b, %0 : (tensor<32xf32>, tensor<1x4x32xf32>) -> tensor<1x4x32xf32>
  %2 = ef.geglu %1 : (tensor<1x4x32xf32>) -> tensor<1x4x16xf32>
  return %2 : tensor<1x4x16xf32>
}

// A reshape of the rows on the way to the residual, and one of the operand.
// CHECK-LABEL: func.func @reshapes
// CHECK-NOT: ef.reshape
// CHECK: ef.fused
// CHECK-NEXT: ef.matmul
// CHECK-NEXT: ef.reshape {{.*}} -> tensor<1x2x2x8xf32>
// CHECK-NEXT: ef.reshape {{.*}} -> tensor<1x2x1x8xf32>
// CHECK-NEXT: ef.binary add
// CHECK-NEXT: ef.yield
func.func @reshapes(%x: tensor<1x4x8xf32>, %w: tensor<8x8xf32>, %t: tensor<2x8xf32>) -> tensor<1x2x2x8xf32> {
  %0 = ef.matmul %x, %w : (tensor<1x4x8xf32>, tensor<8x8xf32>) -> tensor<1x4x8xf32>
  %1 = ef.reshape %0 : (tensor<1x4x8xf32>) -> tensor<1x2x2x8xf32>
  %2 = ef.reshape %t : (tensor<2x8xf32>) -> tensor<1x2x1x8xf32>
  %3 = ef.binary add %1, %2 : (tensor<1x2x2x8xf32>, tensor<1x2x1x8xf32>) -> tensor<1x2x2x8xf32>
  return %3 : tensor<1x2x2x8xf32>
}

// Group norm and its activation; the splat scale stays an operand of the anchor.
// CHECK-LABEL: func.func @norm
// CHECK: %[[C:.*]] = ef.constant
// CHECK: ef.fused ({{.*}} = %arg0, {{.*}} = %[[C]])
// CHECK-NEXT: ef.group_norm
// CHECK-NEXT: ef.unary silu
// CHECK-NEXT: ef.yield
func.func @norm(%x: tensor<1x4x8x6xf32>) -> tensor<1x4x8x6xf32> {
  %c = ef.constant dense<1.0> : tensor<4xf32>
  %0 = ef.group_norm %x, %c, %c {groups = 2 : i64, epsilon = 1.0e-05 : f64} : (tensor<1x4x8x6xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8x6xf32>
  %1 = ef.unary silu %0 : (tensor<1x4x8x6xf32>) -> tensor<1x4x8x6xf32>
  return %1 : tensor<1x4x8x6xf32>
}

// No anchor: element-wise operations of one size, broadcasting included.
// CHECK-LABEL: func.func @elementwise
// CHECK: ef.fused
// CHECK-NEXT: ef.unary exp
// CHECK-NEXT: ef.unary sin
// CHECK-NEXT: ef.binary mul
// CHECK-NEXT: ef.binary add
// CHECK-NEXT: ef.yield
// CHECK-NEXT: }
// CHECK-NEXT: return
func.func @elementwise(%x: tensor<4x8xf32>, %y: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = ef.unary exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ef.unary sin %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ef.binary mul %0, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ef.binary add %2, %y : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return %3 : tensor<4x8xf32>
}

// Each of two anchors that are added keeps its own bias.
// CHECK-LABEL: func.func @two_anchors
// CHECK: %[[S:.*]] = ef.fused ({{.*}} = %arg0, {{.*}} = %arg2, {{.*}} = %arg3)
// CHECK-NEXT: ef.matmul
// CHECK-NEXT: ef.binary add
// CHECK-NEXT: ef.yield
// CHECK: ef.fused ({{.*}} = %arg0, {{.*}} = %arg1, {{.*}} = %[[S]])
// CHECK-NEXT: ef.matmul
// CHECK-NEXT: ef.binary add
// CHECK-NEXT: ef.yield
func.func @two_anchors(%x: tensor<4x8xf32>, %w0: tensor<8x8xf32>, %w1: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = ef.matmul %x, %w0 : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = ef.matmul %x, %w1 : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %2 = ef.binary add %1, %b : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %3 = ef.binary add %0, %2 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %3 : tensor<4x8xf32>
}
