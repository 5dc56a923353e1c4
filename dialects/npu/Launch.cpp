// npu.launch.
#include "dialects/npu/NpuDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace efc::npu;

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *callee =
      symbols.lookupNearestSymbolFrom(getOperation(), getCalleeAttr());
  if (!callee)
    return emitOpError("calls ") << getCallee() << ", which does not exist";
  auto partition = dyn_cast<func::FuncOp>(callee);
  if (!partition)
    return success();
  if (partition.getArgumentTypes() != getOperandTypes() ||
      partition.getResultTypes() != getResultTypes())
    return emitOpError("has other types than its callee: ")
           << partition.getFunctionType();
  return success();
}
