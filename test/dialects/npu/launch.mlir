// RUN: efc-opt %s | efc-opt | FileCheck %s

// CHECK: npu.launch @npu_0(%{{.*}}) {offsets = array<i64: 0, 64>} : (tensor<1x8xf32>) -> tensor<1x8xf32>
func.func @main(%x: tensor<1x8xf32>) -> tensor<1x8xf32> {
  %0 = npu.launch @npu_0(%x) {offsets = array<i64: 0, 64>} : (tensor<1x8xf32>) -> tensor<1x8xf32>
  return %0 : tensor<1x8xf32>
}

func.func private @npu_0(%x: tensor<1x8xf32>) -> tensor<1x8xf32> {
  return %x : tensor<1x8xf32>
}
