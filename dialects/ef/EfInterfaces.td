// Interfaces that every `ef` operation implements.
#ifndef EF_INTERFACES_TD
#define EF_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Ef_EvaluableInterface : OpInterface<"EvaluableOpInterface"> {
  let cppNamespace = "::efc::ef";
  let description = [{
    Reference evaluation: the plain, slow, obviously right meaning of the operation. The constant folder, the writer of packed weights, the
    tests and `edgefusion verify` all use this one. Floats accumulate in double and are rounded once to the result's type.
  }];
  let methods = [InterfaceMethod<
    "Computes the results from the operands' values. `operands` are in operand order, one per SSA operand. Appends one HostTensor per result. "
    "Fails with a diagnostic at the operation (an index out of range, say).",
    "::llvm::LogicalResult", "evaluate",
    (ins "::llvm::ArrayRef<::efc::ef::HostTensor>":$operands,
         "::llvm::SmallVectorImpl<::efc::ef::HostTensor> &":$results)>];
}

#endif
