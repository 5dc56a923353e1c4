// RUN: efc-opt %s --efc-fuse-kernels | FileCheck %s
// RUN: efc-opt %s --efc-fuse-kernels="epilogues=false elementwise=false" | FileCheck %s --check-prefix=OFF
// OFF-NOT: ef.fused

// What something else reads ends the kernel.
// CHECK-LABEL: func.func @second_user
// CHECK: %[[F:.*]] = ef.fused
// CHECK-NEXT: ef.matmul
// CHECK-NEXT: ef.binary add
// CHECK-NEXT: ef.yield
// CHECK-NEXT: }
// CHECK-NEXT: %[[S:.*]] = ef.unary silu %[[F]]
// CHECK-NEXT: return %[[F]], %[[S]]
func.func @second_user(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = ef.binary add %0, %b : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %2 = ef.unary silu %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1, %2 : tensor<4x8xf32>, tensor<4x8xf32>
}

// A residual that depends on the anchor's own result would be a cycle: the anchor stays alone.
// CHECK-LABEL: func.func @cyclic_residual
// CHECK-NEXT: %[[M:.*]] = ef.matmul
// CHECK-NEXT: ef.fused ({{.*}} = %[[M]]
// CHECK-NEXT: ef.softmax
// CHECK-NEXT: ef.binary add
func.func @cyclic_residual(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x8xf32> {
  %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = ef.softmax %0 {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ef.binary add %0, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// The anchor's result may not be broadcast.
// CHECK-LABEL: func.func @broadcast_result
// CHECK-NEXT: ef.reduce
// CHECK-NEXT: ef.binary sub
// CHECK-NEXT: return
func.func @broadcast_result(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = ef.reduce mean %x {axes = array<i64: 1>, keep_dims} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %1 = ef.binary sub %x, %0 : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// A reshape that cuts the rows differently.
// CHECK-LABEL: func.func @other_rows
// CHECK-NEXT: ef.matmul
// CHECK-NEXT: ef.reshape
// CHECK-NEXT: ef.unary silu
func.func @other_rows(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<8x4xf32> {
  %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = ef.reshape %0 : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %2 = ef.unary silu %1 : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return %2 : tensor<8x4xf32>
}

// A gate that is not behind a matmul.
// CHECK-LABEL: func.func @gate_without_matmul
// CHECK-NEXT: ef.layer_norm
// CHECK-NEXT: ef.geglu
func.func @gate_without_matmul(%x: tensor<4x8xf32>) -> tensor<4x4xf32> {
  %0 = ef.layer_norm %x {axis = 1 : i64, epsilon = 1.0e-05 : f64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ef.geglu %0 : (tensor<4x8xf32>) -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// A gate whose halves are not whole blocks of the matmul's columns.
// CHECK-LABEL: func.func @narrow_gate
// CHECK-NEXT: ef.matmul
// CHECK-NEXT: ef.geglu
func.func @narrow_gate(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x4xf32> {
  %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = ef.geglu %0 : (tensor<4x8xf32>) -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}
