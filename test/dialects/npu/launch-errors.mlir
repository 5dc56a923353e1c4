// RUN: efc-opt %s -split-input-file -verify-diagnostics

func.func @main(%x: tensor<1x8xf32>) -> tensor<1x8xf32> {
  // expected-error @+1 {{calls npu_7, which does not exist}}
  %0 = npu.launch @npu_7(%x) : (tensor<1x8xf32>) -> tensor<1x8xf32>
  return %0 : tensor<1x8xf32>
}

// -----

func.func private @npu_0(%x: tensor<1x9xf32>) -> tensor<1x8xf32>

func.func @main(%x: tensor<1x8xf32>) -> tensor<1x8xf32> {
  // expected-error @+1 {{has other types than its callee: '(tensor<1x9xf32>) -> tensor<1x8xf32>'}}
  %0 = npu.launch @npu_0(%x) : (tensor<1x8xf32>) -> tensor<1x8xf32>
  return %0 : tensor<1x8xf32>
}
