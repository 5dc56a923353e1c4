// efc-npu-narrow: float32 tensors between a partition's kernels become float16.
#include "targets/exynos_npu/Passes.h"

#include "dialects/ef/WeightStore.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseMap.h"

namespace efc::npu {
#define GEN_PASS_DEF_EFCNPUNARROW
#include "targets/exynos_npu/Passes.h.inc"
} // namespace efc::npu

using namespace mlir;
using namespace efc;
using namespace efc::npu;

static bool isF32(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getElementType().isF32();
}

static Type asF16(Type type) {
  return cast<RankedTensorType>(type).clone(
      Float16Type::get(type.getContext()));
}

/// Moves whole tensors and computes nothing, in any element type.
static bool isMovement(Operation *op) {
  return isa<ef::ReshapeOp, ef::TransposeOp, ef::SliceOp, ef::ConcatOp,
             ef::ResizeOp>(op);
}

static bool isConstantOp(Operation *op) {
  return op->getNumResults() == 1 && ef::isConstantExpression(op->getResult(0));
}

/// Makes `op` the only operation of an ef.fused.
static void wrap(Operation *op) {
  OpBuilder builder(op);
  auto fused = ef::FusedOp::create(builder, op->getLoc(), op->getResultTypes(),
                                   op->getOperands());
  Block *block = builder.createBlock(&fused.getBody());
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand,
                block->addArgument(operand.getType(), operand.getLoc()));
  Operation *inner = builder.clone(*op, mapping);
  ef::YieldOp::create(builder, op->getLoc(), inner->getResults());
  op->replaceAllUsesWith(fused);
  op->erase();
}

namespace {

class Narrow : public npu::impl::EfcNpuNarrowBase<Narrow> {
public:
  void runOnOperation() override;

private:
  Value asF16Operand(OpBuilder &builder, Value value);
  void narrowOperands(ef::FusedOp fused);
  void narrowResults(ef::FusedOp fused);
  void narrowMovement(Operation *op);

  /// Float16 versions of the float32 values that keep that type.
  llvm::DenseMap<Value, Value> casts;
};

} // namespace

/// `value` in float16; casts of the partition's operands are made once.
Value Narrow::asF16Operand(OpBuilder &builder, Value value) {
  if (!isF32(value))
    return value;
  Value &cast = casts[value];
  if (!cast) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfterValue(value);
    cast = ef::CastOp::create(builder, value.getLoc(), asF16(value.getType()),
                              value);
    if (!ef::isConstantExpression(value))
      ++numBorderCasts;
  }
  return cast;
}

/// Operands of an anchor become float16, but for its vectors of constants; what
/// the epilogue reads may be float32.
void Narrow::narrowOperands(ef::FusedOp fused) {
  OpBuilder builder(fused);
  Operation *anchor = fused.getAnchor();
  for (auto [index, argument] :
       llvm::enumerate(fused.getBlock().getArguments())) {
    Value operand = fused.getOperand(index);
    bool isTensorOfAnchor =
        anchor && llvm::is_contained(anchor->getOperands(), argument) &&
        (!ef::isConstantExpression(operand) ||
         isa<ef::ConvOp, ef::MatmulOp>(anchor));
    if (isF32(operand) && isTensorOfAnchor)
      fused.setOperand(index, asF16Operand(builder, operand));
    Type type = fused.getOperand(index).getType();
    if (type == argument.getType())
      continue;
    Type inside = argument.getType();
    argument.setType(cast<RankedTensorType>(type));
    OpBuilder inner = OpBuilder::atBlockBegin(&fused.getBlock());
    auto cast = ef::CastOp::create(inner, argument.getLoc(), inside, argument);
    argument.replaceAllUsesExcept(cast, cast);
  }
}

/// Whether `value` goes nowhere but out of the partition, moved or not.
static bool isOnlyReturned(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    return isa<func::ReturnOp>(user) ||
           (isMovement(user) && !isa<ef::ConcatOp>(user) &&
            isOnlyReturned(user->getResult(0)));
  });
}

/// Results become float16 unless nothing but the return reads them.
void Narrow::narrowResults(ef::FusedOp fused) {
  Operation *yield = fused.getBlock().getTerminator();
  OpBuilder builder(yield);
  for (OpResult result : fused->getResults()) {
    if (!isF32(result) || isOnlyReturned(result))
      continue;
    OpOperand &value = yield->getOpOperand(result.getResultNumber());
    value.set(ef::CastOp::create(builder, fused.getLoc(),
                                 asF16(result.getType()), value.get()));
    result.setType(cast<RankedTensorType>(value.get().getType()));
    ++numNarrowed;
  }
}

/// Moves whatever its operand is; parts of a concatenation are float16.
void Narrow::narrowMovement(Operation *op) {
  OpBuilder builder(op);
  if (isa<ef::ConcatOp>(op))
    for (OpOperand &operand : op->getOpOperands())
      operand.set(asF16Operand(builder, operand.get()));
  Type element = getElementTypeOrSelf(op->getOperand(0).getType());
  Value result = op->getResult(0);
  auto type = cast<RankedTensorType>(result.getType());
  if (type.getElementType() == element)
    return;
  result.setType(cast<RankedTensorType>(type.clone(element)));
  ++numNarrowed;
}

void Narrow::runOnOperation() {
  func::FuncOp function = getOperation();
  if (!function->hasAttr("npu.partition"))
    return;
  casts.clear();
  // All of them first: inside, operands keep the types that they have now.
  for (Operation &op :
       llvm::make_early_inc_range(function.front().without_terminator()))
    if (!isConstantOp(&op) && !isMovement(&op) && !isa<ef::FusedOp>(op))
      wrap(&op);
  for (Operation &op :
       llvm::make_early_inc_range(function.front().without_terminator())) {
    if (isConstantOp(&op))
      continue;
    if (isMovement(&op)) {
      narrowMovement(&op);
    } else if (auto fused = dyn_cast<ef::FusedOp>(op)) {
      narrowOperands(fused);
      narrowResults(fused);
    }
  }
  // What is returned has the type of the function's signature.
  Operation *terminator = function.front().getTerminator();
  OpBuilder builder(terminator);
  for (auto [operand, type] :
       llvm::zip_equal(terminator->getOpOperands(), function.getResultTypes()))
    if (operand.get().getType() != type)
      operand.set(ef::CastOp::create(builder, operand.get().getLoc(), type,
                                     operand.get()));
}
