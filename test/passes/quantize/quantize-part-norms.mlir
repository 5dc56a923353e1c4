// RUN: split-file %s %t
// RUN: efc-opt %t/model.mlir --efc-quantize="calibration=%t/apart.tsv" | FileCheck %s
// RUN: efc-opt %t/model.mlir --efc-quantize="calibration=%t/near.tsv" | FileCheck %s --check-prefix=NEAR

// One scale for a part of 1000 and one of 1 would cost the small one 10 bits: each is normalised, under its own scale and with its own
// channels' factors, and the results, which have the range of the whole, are joined.
// CHECK-LABEL: func.func @main
// CHECK-DAG: %[[A:.*]] = ef.fused (%{{.*}} = %arg0) {{.*}} -> tensor<1x2x2x4x!quant.uniform<i16:f32, {{[^>]+}}>>
// CHECK-DAG: %[[B:.*]] = ef.fused (%{{.*}} = %arg1) {{.*}} -> tensor<1x2x2x2x!quant.uniform<i16:f32, {{[^>]+}}>>
// CHECK: %[[GA:.*]] = ef.slice %{{.*}} {starts = array<i64: 0>, {{.*}}} : {{.*}} -> tensor<4xf32>
// CHECK: %[[NA:.*]] = ef.fused (%{{.*}} = %[[A]], %{{.*}} = %[[GA]], {{.*}} -> tensor<1x2x2x4x!quant.uniform<i16:f32, [[Y:[^>]+]]>> {
// CHECK-NEXT: ef.group_norm {{.*}} groups = 2 : i64
// CHECK-NEXT: ef.unary {{ *}}silu
// CHECK: %[[GB:.*]] = ef.slice %{{.*}} {starts = array<i64: 4>, {{.*}}} : {{.*}} -> tensor<2xf32>
// CHECK: %[[NB:.*]] = ef.fused (%{{.*}} = %[[B]], %{{.*}} = %[[GB]], {{.*}} -> tensor<1x2x2x2x!quant.uniform<i16:f32, [[Y]]>> {
// CHECK-NEXT: ef.group_norm {{.*}} groups = 1 : i64
// CHECK-NEXT: ef.unary {{ *}}silu
// CHECK: ef.fused (%{{.*}} = %[[NA]], %{{.*}} = %[[NB]]) {{.*}} -> tensor<1x2x2x6x!quant.uniform<i16:f32, [[Y]]>> {
// CHECK: ef.concat

// Of one size they are joined first; and a group that has channels of both parts needs them joined.
// NEAR-COUNT-2: ef.group_norm
// NEAR-NOT: ef.group_norm
// CHECK: ef.group_norm {{.*}} groups = 2 : i64
// CHECK-NOT: ef.group_norm

//--- model.mlir
module {
  func.func @main(%x: tensor<1x2x2x4xf32> {ef.name = "x"}, %y: tensor<1x2x2x2xf32> {ef.name = "y"}) -> (tensor<1x2x2x6xf32> {ef.name = "out"}, tensor<1x2x2x6xf32> {ef.name = "across"}) {
    %g = ef.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]> : tensor<6xf32>
    %0 = ef.concat %x, %y {axis = 3 : i64} : (tensor<1x2x2x4xf32>, tensor<1x2x2x2xf32>) -> tensor<1x2x2x6xf32> loc("cat"("node_cat"))
    %1 = ef.fused (%a = %0, %b = %g) : (tensor<1x2x2x6xf32>, tensor<6xf32>) -> tensor<1x2x2x6xf32> {
      %3 = ef.group_norm %a, %b, %b {groups = 3 : i64, epsilon = 1.0e-5 : f64, layout = #ef<layout channels_last>} : (tensor<1x2x2x6xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<1x2x2x6xf32> loc("n"("node_norm"))
      %4 = ef.unary silu %3 : (tensor<1x2x2x6xf32>) -> tensor<1x2x2x6xf32> loc("out"("node_silu"))
      ef.yield %4 : tensor<1x2x2x6xf32>
    } loc("out"("node_silu"))
    %2 = ef.group_norm %0, %g, %g {groups = 2 : i64, epsilon = 1.0e-5 : f64, layout = #ef<layout channels_last>} : (tensor<1x2x2x6xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<1x2x2x6xf32> loc("across"("node_across"))
    return %1, %2 : tensor<1x2x2x6xf32>, tensor<1x2x2x6xf32>
  }
}
//--- apart.tsv
x	-1000	3
y	-1	1
cat	-1000	3
out	-2	5
across	-2	5
//--- near.tsv
x	-10	3
y	-1	1
cat	-10	3
out	-2	5
across	-2	5
