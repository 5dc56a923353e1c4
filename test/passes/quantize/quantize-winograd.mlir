// RUN: split-file %s %t
// RUN: efc-opt %t/model.mlir --efc-quantize="calibration=%t/table.tsv" | FileCheck %s

// What a convolution reads that kernels may compute by Winograd keeps a guard bit: 16.383 / 16383 = 0.001. A stride of 2, few
// filters or a kernel of 1x1 ask for none.
// CHECK: ef.fused {{.*}} -> tensor<1x4x4x16x!quant.uniform<i16<-16383:16383>:f32, 9.99999{{.*}}E-4>>
// CHECK: ef.fused {{.*}} -> tensor<1x4x4x16x!quant.uniform<i16:f32,
// CHECK: ef.fused {{.*}} -> tensor<1x2x2x16x!quant.uniform<i16:f32,
// CHECK: ef.fused {{.*}} -> tensor<1x2x2x16x!quant.uniform<i16:f32,
// CHECK: ef.fused {{.*}} -> tensor<1x2x2x4x!quant.uniform<i16:f32,

//--- model.mlir
module {
  func.func @main(%x: tensor<1x4x4x16xf32> {ef.name = "x"}) -> (tensor<1x2x2x4xf32> {ef.name = "few"}) {
    %w = ef.constant dense<1.0> : tensor<16x16x3x3xf32>
    %p = ef.constant dense<1.0> : tensor<16x16x1x1xf32>
    %f = ef.constant dense<1.0> : tensor<4x16x3x3xf32>
    %0 = ef.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = #ef<layout channels_last>} : (tensor<1x4x4x16xf32>, tensor<16x16x3x3xf32>) -> tensor<1x4x4x16xf32> loc("same"("node_same"))
    %1 = ef.conv %0, %w {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = #ef<layout channels_last>} : (tensor<1x4x4x16xf32>, tensor<16x16x3x3xf32>) -> tensor<1x2x2x16xf32> loc("down"("node_down"))
    %2 = ef.conv %1, %p {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = #ef<layout channels_last>} : (tensor<1x2x2x16xf32>, tensor<16x16x1x1xf32>) -> tensor<1x2x2x16xf32> loc("point"("node_point"))
    %3 = ef.conv %2, %f {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = #ef<layout channels_last>} : (tensor<1x2x2x16xf32>, tensor<4x16x3x3xf32>) -> tensor<1x2x2x4xf32> loc("few"("node_few"))
    return %3 : tensor<1x2x2x4xf32>
  }
}
//--- table.tsv
x	-16.383	3
same	-1	1
down	-1	1
point	-1	1
few	-1	1
