// The passes over the `ef` graph, in the order in which they run.
#ifndef EFC_PASSES_PASSES_TD
#define EFC_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

//===--- Phase canonical ------------------------------------------------------------------------------------------------------------===//

def EfcFoldConstants : Pass<"efc-fold-constants", "::mlir::func::FuncOp"> {
  let summary = "Evaluate operations on small constants";
  let description = [{
    An operation whose operands are all `ef.constant` is replaced by its value, computed by reference evaluation, as long as its results and
    operands are small. Weights are never folded: a copy of them would have to live in the IR.

    Before:
    ```mlir
    %a = ef.constant dense<[2, 3]> : tensor<2xi64>
    %b = ef.constant dense<4> : tensor<i64>
    %0 = ef.binary mul %a, %b : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
    ```
    After:
    ```mlir
    %0 = ef.constant dense<[8, 12]> : tensor<2xi64>
    ```
  }];
  let options = [Option<"maxBytes", "max-bytes", "int64_t", "65536", "Largest operand or result that is folded, in bytes">];
  let statistics = [Statistic<"numFolded", "folded", "Operations replaced by their value">];
}

//===--- Phase fused ----------------------------------------------------------------------------------------------------------------===//

def EfcPropagateLayout : Pass<"efc-propagate-layout", "::mlir::func::FuncOp"> {
  let summary = "Compute on channels-last activations";
  let description = [{
    Convolutions, transposed convolutions and poolings become channels-last between two `ef.transpose`; group norms follow their input. The
    transposes then move down through whatever does not care where the channels are (element-wise operations, concat, pad, slice, resize,
    reduce, softmax, reshapes of the spatial dimensions only) and cancel. A transpose of which only dimensions of one move is a reshape;
    a bias of shape [C, 1, 1] becomes [C]. What remains stands at the borders: the function's arguments and results, and operations that have an
    order of dimensions of their own. Filters keep ONNX's order.

    A transpose is not moved through an operation if that would need more new transposes than it saves.

    Before:
    ```mlir
    %0 = ef.conv %x, %w {...} : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x8xf32>
    %1 = ef.unary silu %0 : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    ```
    After:
    ```mlir
    %0 = ef.transpose %x {permutation = array<i64: 0, 2, 3, 1>} : (tensor<1x3x8x8xf32>) -> tensor<1x8x8x3xf32>
    %1 = ef.conv %0, %w {layout = channels_last, ...} : (tensor<1x8x8x3xf32>, tensor<4x3x1x1xf32>) -> tensor<1x8x8x4xf32>
    %2 = ef.unary silu %1 : (tensor<1x8x8x4xf32>) -> tensor<1x8x8x4xf32>
    %3 = ef.transpose %2 {permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x8x8xf32>
    ```
  }];
  let statistics = [Statistic<"numConverted", "converted", "Operations converted to channels-last">,
                    Statistic<"numMoved", "moved", "Operations that transposes moved through">,
                    Statistic<"numTransposes", "transposes", "Transposes that remain">];
}

def EfcFuseKernels : Pass<"efc-fuse-kernels", "::mlir::func::FuncOp"> {
  let summary = "Group operations into the kernels that execute them";
  let description = [{
    An anchor (conv, conv_transpose, matmul, attention, group_norm, layer_norm, softmax, reduce, pool) takes in what follows it: element-wise
    operations (bias, activation, residual, scale, cast), reshapes that keep the last dimension, and geglu after a matmul. It goes on as
    long as all uses of a value meet inside the group, so a value that something else reads ends the group. Operands of the epilogue that only
    the group uses and that cost nothing to compute in place (reshapes, element-wise operations of the same size) are taken in too, and
    constants of one value become part of the kernel. The group stands where its last operation stood, hence after everything that a
    residual is computed from.

    Element-wise operations that are left form kernels of their own.

    Before:
    ```mlir
    %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %1 = ef.binary add %0, %bias : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    %2 = ef.unary silu %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
    After:
    ```mlir
    %0 = ef.fused (%a = %x, %b = %w, %c = %bias) : (tensor<4x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<4x8xf32> {
      %1 = ef.matmul %a, %b : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
      %2 = ef.binary add %1, %c : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
      %3 = ef.unary silu %2 : (tensor<4x8xf32>) -> tensor<4x8xf32>
      ef.yield %3 : tensor<4x8xf32>
    }
    ```
  }];
  let options = [Option<"epilogues", "epilogues", "bool", "true", "Fuse what follows an anchor into it">,
                 Option<"elementwise", "elementwise", "bool", "true", "Group element-wise operations without an anchor">,
                 Option<"report", "report", "bool", "false", "Emit a remark at the function with counts of what was fused">];
  let statistics = [Statistic<"numAnchored", "anchored", "Kernels with an anchor">,
                    Statistic<"numElementwise", "elementwise", "Element-wise kernels">,
                    Statistic<"numFused", "fused", "Operations that are in kernels">];
}

#endif
