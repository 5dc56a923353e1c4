// In a quantised model float kernels run on the CPU, though the NPU could compute them in float16: their bits are those of float32.
// RUN: efc-opt --efc-npu-partition %s | FileCheck %s

!q = !quant.uniform<i16:f32, 0.5>

// CHECK-LABEL: func.func @main
// CHECK: %[[SCALED:.*]] = ef.binary mul {{.*}} {npu.reason = "stays in float in a quantised model
// CHECK: %[[Y:.*]] = npu.launch @npu_0(%[[SCALED]])
// CHECK: ef.binary add %[[Y]], {{.*}} {npu.reason = "stays in float in a quantised model

// CHECK-LABEL: func.func private @npu_0
// CHECK: quant.qcast
// CHECK: quant.dcast

func.func @main(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = ef.binary mul %x, %y : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ef.fused (%a = %0) : (tensor<4x8xf32>) -> tensor<4x8x!q> {
    %4 = quant.qcast %a : tensor<4x8xf32> to tensor<4x8x!q>
    ef.yield %4 : tensor<4x8x!q>
  }
  %2 = ef.fused (%a = %1) : (tensor<4x8x!q>) -> tensor<4x8xf32> {
    %4 = quant.dcast %a : tensor<4x8x!q> to tensor<4x8xf32>
    ef.yield %4 : tensor<4x8xf32>
  }
  %3 = ef.binary add %2, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %3 : tensor<4x8xf32>
}
