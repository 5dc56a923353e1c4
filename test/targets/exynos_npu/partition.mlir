// What the NPU executes goes into functions of its own, in as few runs as the
// order of the operations allows; constants go with it.
// RUN: efc-opt --efc-npu-partition %s | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[IDS:.*]]: tensor<1x4xi64>, %[[X:.*]]: tensor<1x4x8xf32>
// CHECK: %[[TABLE:.*]] = ef.weight "table"
// CHECK-NOT: ef.weight
// CHECK: %[[E:.*]] = ef.gather %[[TABLE]], %[[IDS]] {axis = 0 : i64, npu.reason = "the NPU has no command for 'ef.gather'"}
// CHECK: %[[A:.*]]:2 = npu.launch @npu_0(%[[X]], %[[E]]) : (tensor<1x4x8xf32>, tensor<1x4x8xf32>) -> (tensor<1x4x6xf32>, tensor<1x4x8xf32>)
// CHECK: %[[S:.*]] = ef.softmax %[[A]]#0 {axis = 2 : i64, npu.reason = "the NPU has no command for 'ef.softmax'"}
// CHECK: %[[B:.*]] = npu.launch @npu_1(%[[S]])
// CHECK: return %[[B]], %[[A]]#1

// CHECK-LABEL: func.func private @npu_0
// CHECK-SAME: (%[[X:.*]]: tensor<1x4x8xf32>, %[[E:.*]]: tensor<1x4x8xf32>)
// CHECK-SAME: attributes {npu.partition}
// CHECK: %[[W:.*]] = ef.weight "w"
// CHECK: %[[M:.*]] = ef.matmul %[[X]], %[[W]]
// CHECK: %[[SUM:.*]] = ef.binary add %[[X]], %[[E]]
// CHECK: return %[[M]], %[[SUM]]

// CHECK-LABEL: func.func private @npu_1
// CHECK: ef.unary silu

func.func @main(%ids: tensor<1x4xi64>, %x: tensor<1x4x8xf32>) -> (tensor<1x4x6xf32>, tensor<1x4x8xf32>) {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<8x6xf32>
  %0 = ef.matmul %x, %w : (tensor<1x4x8xf32>, tensor<8x6xf32>) -> tensor<1x4x6xf32>
  %table = ef.weight "table" from "m.onnx" at 192 : tensor<16x8xf32>
  %1 = ef.gather %table, %ids {axis = 0 : i64} : (tensor<16x8xf32>, tensor<1x4xi64>) -> tensor<1x4x8xf32>
  %2 = ef.binary add %x, %1 : (tensor<1x4x8xf32>, tensor<1x4x8xf32>) -> tensor<1x4x8xf32>
  %3 = ef.softmax %0 {axis = 2 : i64} : (tensor<1x4x6xf32>) -> tensor<1x4x6xf32>
  %4 = ef.unary silu %3 : (tensor<1x4x6xf32>) -> tensor<1x4x6xf32>
  return %4, %2 : tensor<1x4x6xf32>, tensor<1x4x8xf32>
}
