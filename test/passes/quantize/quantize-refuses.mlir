// RUN: split-file %s %t
// RUN: efc-opt %t/float.mlir --efc-quantize="calibration=%t/table.tsv" -verify-diagnostics -o /dev/null
// RUN: not efc-opt %t/missing.mlir --efc-quantize="calibration=%t/table.tsv" 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not efc-opt %t/missing.mlir --efc-quantize 2>&1 | FileCheck %s --check-prefix=NO-TABLE
// RUN: not efc-opt %t/missing.mlir --efc-quantize="calibration=%t/none.tsv" 2>&1 | FileCheck %s --check-prefix=NO-FILE
// RUN: not efc-opt %t/missing.mlir --efc-quantize="calibration=%t/nan.tsv" 2>&1 | FileCheck %s --check-prefix=NAN
// RUN: not efc-opt %t/missing.mlir --efc-quantize="calibration=%t/empty-range.tsv" 2>&1 | FileCheck %s --check-prefix=RANGE
// RUN: not efc-opt %t/missing.mlir --efc-quantize="calibration=%t/columns.tsv" 2>&1 | FileCheck %s --check-prefix=COLUMNS
// RUN: not efc-opt %t/missing.mlir --efc-quantize="calibration=%t/twice.tsv" 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not efc-opt %t/missing.mlir --efc-quantize="calibration=%t/table.tsv keep-float=(" 2>&1 | FileCheck %s --check-prefix=REGEX
// RUN: not efc-opt %t/nan-weights.mlir --efc-quantize="calibration=%t/table.tsv" 2>&1 | FileCheck %s --check-prefix=WEIGHTS

// MISSING: warning: the calibration table '{{.*}}table.tsv' has 2 tensors that the model does not need: 'a', 'b'
// MISSING: error: the calibration table '{{.*}}table.tsv' lacks 1 tensors: 'unknown'; make it for this model with `edgefusion calibrate`
// NO-TABLE: error: W8A16 needs the ranges of the activations: make a table with `edgefusion calibrate` and give it with --calibration=FILE
// NO-FILE: error: cannot read the calibration table '{{.*}}none.tsv'
// NAN: error: calibration table '{{.*}}nan.tsv', line 2: the range of 'x' is not finite
// RANGE: error: calibration table '{{.*}}empty-range.tsv', line 1: the range of 'x' is empty: its minimum 2 is above its maximum 1
// COLUMNS: error: calibration table '{{.*}}columns.tsv', line 1: needs three columns separated by tabs (tensor, minimum, maximum), but has 2
// TWICE: error: calibration table '{{.*}}twice.tsv', line 2: 'x' has a range already
// REGEX: error: --keep-float='(' is no regular expression
// WEIGHTS: cannot be quantised: its weights '{{.*}}' hold NaN or infinities; keep the node in float with --keep-float, or repair the model

//--- float.mlir
// What has no quantised form stays in float, and says why.
module {
  // expected-warning@+1 {{has 3 tensors that the model does not need: 'a', 'b', 'x'}}
  func.func @main(%a: tensor<2x4xf32> {ef.name = "a"}, %b: tensor<4x2xf32> {ef.name = "b"}) -> tensor<2x2xf32> {
    // expected-remark@+1 {{stays in float: it multiplies two activations, and only products with weights and ef.attention are quantised}}
    %0 = ef.matmul %a, %b : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
    // expected-remark@+1 {{stays in float: it holds 'ef.softmax', which has no quantised form}}
    %1 = ef.softmax %0 {axis = 1 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf32>
    // expected-remark@+1 {{stays in float: it holds 'ef.unary', which has no quantised form}}
    %2 = ef.unary tan %1 : (tensor<2x2xf32>) -> tensor<2x2xf32>
    return %2 : tensor<2x2xf32>
  }
}
//--- missing.mlir
module {
  func.func @main(%x: tensor<2x4xf32> {ef.name = "x"}) -> tensor<2x4xf32> {
    %0 = ef.unary silu %x : (tensor<2x4xf32>) -> tensor<2x4xf32> loc("unknown"("node"))
    return %0 : tensor<2x4xf32>
  }
}
//--- nan-weights.mlir
module {
  func.func @main(%x: tensor<2x2xf32> {ef.name = "x"}) -> tensor<2x2xf32> {
    %w = ef.constant dense<[[1.0, 0x7FC00000], [1.0, 1.0]]> : tensor<2x2xf32>
    %0 = ef.matmul %x, %w : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> loc("a"("node"))
    return %0 : tensor<2x2xf32>
  }
}
//--- table.tsv
tensor	minimum	maximum
x	-1	1
a	-1	1
b	-1	1
//--- nan.tsv
tensor	minimum	maximum
x	nan	1
//--- empty-range.tsv
x	2	1
//--- columns.tsv
x	2
//--- twice.tsv
x	1	2
x	1	2
