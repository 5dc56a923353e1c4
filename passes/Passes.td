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

#endif
