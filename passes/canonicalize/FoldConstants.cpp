// efc-fold-constants: replaces operations on small constants by their value.
#include "passes/Passes.h"

using namespace mlir;
using namespace efc::ef;

namespace efc {
#define GEN_PASS_DEF_EFCFOLDCONSTANTS
#include "passes/Passes.h.inc"
} // namespace efc

static bool isSmall(Type type, int64_t maxBytes) {
  auto tensor = cast<RankedTensorType>(type);
  int64_t bytes = getElementBytes(tensor.getElementType());
  for (int64_t extent : tensor.getShape())
    if (__builtin_mul_overflow(bytes, extent, &bytes))
      return false;
  return bytes <= maxBytes;
}

namespace {
struct FoldConstants : efc::impl::EfcFoldConstantsBase<FoldConstants> {
  using EfcFoldConstantsBase::EfcFoldConstantsBase;

  void runOnOperation() override {
    // In program order, so that a chain of foldable operations folds in one
    // walk.
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      auto evaluable = dyn_cast<EvaluableOpInterface>(op);
      if (!evaluable)
        return WalkResult::advance();
      if (canFold(op))
        fold(evaluable);
      return WalkResult::skip();
    });
  }

private:
  bool canFold(Operation *op) {
    auto isSmallConstant = [&](Value operand) {
      auto constant = operand.getDefiningOp<ConstantOp>();
      return constant && isa<DenseElementsAttr>(constant.getValue()) &&
             isSmall(operand.getType(), maxBytes);
    };
    return !isa<ConstantOp>(op) &&
           llvm::all_of(op->getOperands(), isSmallConstant) &&
           llvm::all_of(op->getResultTypes(),
                        [&](Type type) { return isSmall(type, maxBytes); });
  }

  void fold(EvaluableOpInterface op) {
    SmallVector<HostTensor> operands, results;
    for (Value operand : op->getOperands())
      operands.push_back(HostTensor::fromAttr(cast<DenseElementsAttr>(
          operand.getDefiningOp<ConstantOp>().getValue())));
    if (failed(op.evaluate(operands, results)))
      return signalPassFailure();
    OpBuilder builder(op);
    for (auto [result, tensor] : llvm::zip_equal(op->getResults(), results))
      result.replaceAllUsesWith(
          ConstantOp::create(builder, op.getLoc(), tensor.toAttr()));
    SmallVector<Operation *> producers;
    for (Value operand : op->getOperands())
      if (!llvm::is_contained(producers, operand.getDefiningOp()))
        producers.push_back(operand.getDefiningOp());
    op->erase();
    for (Operation *producer : producers)
      if (producer->use_empty())
        producer->erase();
    ++numFolded;
  }
};
} // namespace
