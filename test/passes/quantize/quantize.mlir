// RUN: split-file %s %t
// RUN: efc-opt %t/model.mlir --efc-quantize="calibration=%t/table.tsv" | FileCheck %s
// RUN: efc-opt %t/model.mlir --efc-quantize="calibration=%t/table.tsv keep-float=node_up" | FileCheck %s --check-prefix=KEEP
// RUN: efc-opt %t/model.mlir --efc-quantize="weights-only" | FileCheck %s --check-prefix=W8
// RUN: efc-opt %t/model.mlir --efc-quantize="list-tensors=%t/list.json" -o /dev/null
// RUN: FileCheck %s --check-prefix=LIST --input-file=%t/list.json

// Weights of a convolution have scales along dimension 0, of a matrix [k, n] along 1: max|w| / 127.
// CHECK-DAG: !weight = !quant.uniform<i8<-127:127>:f32:0, {1.000000e+00,2.000000e+00}>
// CHECK-DAG: !weight1 = !quant.uniform<i8<-127:127>:f32:1, {5.000000e-01,1.000000e+00}>

// The input is cast at the border: 8.191 / 32767.
// CHECK-LABEL: func.func @main
// CHECK: %[[X:.*]] = ef.fused (%{{.*}} = %arg0) {{.*}} -> tensor<1x4x4x2x!quant.uniform<i16:f32, [[SX:[^>]+]]>> {
// CHECK-NEXT: quant.qcast

// Anchor, float epilogue, one cast at the end.
// CHECK: %[[W:.*]] = quant.qcast %{{.*}} : tensor<2x2x3x3xf32> to tensor<2x2x3x3x!weight>
// CHECK: %[[C:.*]] = ef.fused (%[[A:.*]] = %[[X]], %[[B:.*]] = %[[W]], {{.*}}) {{.*}} -> tensor<1x4x4x2x!quant.uniform<i16:f32, [[SC:[^>]+]]>> {
// CHECK-NEXT: %[[ACC:.*]] = ef.conv %[[A]], %[[B]] {{.*}} -> tensor<1x4x4x2xf32>
// CHECK-NEXT: %[[SUM:.*]] = ef.binary add %[[ACC]], %{{.*}} : (tensor<1x4x4x2xf32>, tensor<2xf32>)
// CHECK-NEXT: %[[ACT:.*]] = ef.unary silu %[[SUM]]
// CHECK-NEXT: quant.qcast %[[ACT]]

// A bare product becomes a kernel; its result is the attention's query, key (sums of 2 products fit 32 bits anyway) and value, which keeps a guard bit.
// CHECK: %[[T:.*]] = ef.reshape %[[C]] : {{.*}} -> tensor<1x16x2x!quant.uniform<i16:f32, [[SC]]>>
// CHECK: ef.fused {{.*}} -> tensor<1x16x2x!quant.uniform<i16<-16383:16383>:f32, {{.*}}>> {
// CHECK-NEXT: ef.matmul
// CHECK-NEXT: quant.qcast
// CHECK: ef.attention {{.*}} score_scale = {{.*}} -> tensor<1x16x2xf32>

// A residual enters by a cast; parts of a concatenation are cast each.
// CHECK: ef.fused
// CHECK-NEXT: quant.dcast
// CHECK-NEXT: quant.dcast
// CHECK-NEXT: ef.binary add
// CHECK-NEXT: quant.qcast
// CHECK: ef.fused
// CHECK-NEXT: quant.dcast
// CHECK-NEXT: quant.dcast
// CHECK-NEXT: ef.concat
// CHECK-NEXT: quant.qcast

// The output is cast back.
// CHECK: %[[Y:.*]] = ef.fused
// CHECK-NEXT: quant.dcast
// CHECK: return %[[Y]] : tensor<1x16x4xf32>

// What is kept in float reads float and is cast behind.
// KEEP: ef.attention
// KEEP: quant.qcast
// KEEP: ef.fused
// KEEP-NEXT: quant.dcast
// KEEP: ef.binary add {{.*}} : (tensor<1x16x2xf32>, tensor<1x16x2xf32>) -> tensor<1x16x2xf32>

// Weights alone: rounded, and float again; no activation changes.
// W8: %[[Q:.*]] = quant.qcast %{{.*}} : tensor<2x2x3x3xf32>
// W8: %[[R:.*]] = ef.fused (%{{.*}} = %[[Q]])
// W8-NEXT: quant.dcast
// W8-NOT: i16

// LIST: "elements": [
// LIST-NEXT: 32,
// LIST: "name": "scores:att"
// LIST: "tensors": [
// LIST-NEXT: "x",

//--- model.mlir
module {
  func.func @main(%x: tensor<1x4x4x2xf32> {ef.name = "x"} loc("x")) -> (tensor<1x16x4xf32> {ef.name = "y"}) {
    %w = ef.constant dense<[[[[127.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]], [[[0.0, 0.0, 0.0], [0.0, -254.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]]> : tensor<2x2x3x3xf32>
    %b = ef.constant dense<[1.0, 2.0]> : tensor<2xf32>
    %m = ef.constant dense<[[63.5, 1.0], [0.0, -127.0]]> : tensor<2x2xf32>
    %0 = ef.fused (%a0 = %x, %w0 = %w, %b0 = %b) : (tensor<1x4x4x2xf32>, tensor<2x2x3x3xf32>, tensor<2xf32>) -> tensor<1x4x4x2xf32> {
      %6 = ef.conv %a0, %w0 {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, layout = #ef<layout channels_last>} : (tensor<1x4x4x2xf32>, tensor<2x2x3x3xf32>) -> tensor<1x4x4x2xf32> loc("c0"("node_conv"))
      %7 = ef.binary add %6, %b0 : (tensor<1x4x4x2xf32>, tensor<2xf32>) -> tensor<1x4x4x2xf32> loc("c1"("node_bias"))
      %8 = ef.unary silu %7 : (tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32> loc("conv"("node_silu"))
      ef.yield %8 : tensor<1x4x4x2xf32>
    } loc("conv"("node_silu"))
    %1 = ef.reshape %0 : (tensor<1x4x4x2xf32>) -> tensor<1x16x2xf32> loc("tokens"("node_reshape"))
    %2 = ef.matmul %1, %m : (tensor<1x16x2xf32>, tensor<2x2xf32>) -> tensor<1x16x2xf32> loc("q"("node_q"))
    %3 = ef.attention %2, %2, %2 {heads = 1 : i64, kv_heads = 1 : i64, scale = 0.5 : f64} : (tensor<1x16x2xf32>, tensor<1x16x2xf32>, tensor<1x16x2xf32>) -> tensor<1x16x2xf32> loc("att"("node_att"))
    %4 = ef.binary add %3, %1 : (tensor<1x16x2xf32>, tensor<1x16x2xf32>) -> tensor<1x16x2xf32> loc("sum"("node_up"))
    %5 = ef.concat %4, %1 {axis = 2 : i64} : (tensor<1x16x2xf32>, tensor<1x16x2xf32>) -> tensor<1x16x4xf32> loc("y"("node_cat"))
    return %5 : tensor<1x16x4xf32>
  }
}
//--- table.tsv
# a table
tensor	minimum	maximum
x	-8.191	3
conv	-0.25	32.767
q	-65.534	1
att	-3.2767	3.2767
sum	-10	12
y	0	0
scores:att	-1	32.767
