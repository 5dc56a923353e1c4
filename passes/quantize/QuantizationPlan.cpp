// Decides what is quantised. See QuantizationPlan.h.
#include "passes/quantize/QuantizationPlan.h"

#include "dialects/ef/Locations.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/WeightStore.h"

using namespace mlir;
using namespace efc;
using namespace efc::ef;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static bool isF32(Value value) {
  return typeOf(value).getElementType().isF32();
}

bool efc::isMovement(Operation *op) {
  if (auto resize = dyn_cast_if_present<ResizeOp>(op))
    return resize.getMode() == ResizeMode::Nearest &&
           resize.getCoordinates() != ResizeCoordinates::TfCropAndResize;
  return isa_and_present<ReshapeOp, TransposeOp, SliceOp>(op);
}

Value efc::getFormatRoot(Value value) {
  while (isMovement(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

SmallVector<Operation *> efc::getKernelOps(Operation *kernel) {
  auto fused = dyn_cast<FusedOp>(kernel);
  if (!fused)
    return {kernel};
  SmallVector<Operation *> ops;
  for (Operation &op : fused.getBlock().without_terminator())
    ops.push_back(&op);
  return ops;
}

Value efc::getOutside(Operation *kernel, Value operand) {
  auto fused = dyn_cast<FusedOp>(kernel);
  if (!fused)
    return operand;
  auto argument = dyn_cast<BlockArgument>(operand);
  return argument ? fused.getInputs()[argument.getArgNumber()] : Value();
}

SmallVector<unsigned> efc::getActivationOperands(Operation *anchor) {
  if (isa<AttentionOp>(anchor))
    return {0, 1, 2};
  return {0};
}

int efc::getWeightOperand(Operation *anchor) {
  return isa<ConvOp, MatmulOp>(anchor) ? 1 : -1;
}

int32_t efc::getWeightAxis(Operation *anchor) {
  auto matmul = dyn_cast<MatmulOp>(anchor);
  return matmul && !matmul.getTransposeB() ? 1 : 0;
}

//===--- What can be quantised ---===//

/// Why a convolution or matrix product stays in float, or "".
static std::string checkProduct(Operation *kernel, Operation *anchor) {
  Value weights = getOutside(kernel, anchor->getOperand(1));
  if (!weights || !isConstantExpression(weights))
    return "multiplies two activations, and only products with weights and "
           "ef.attention are quantised";
  if (auto matmul = dyn_cast<MatmulOp>(anchor)) {
    if (typeOf(weights).getRank() != 2 || matmul.getTransposeA())
      return "is no plain product of an activation with a matrix of weights";
    return "";
  }
  auto conv = cast<ConvOp>(anchor);
  int64_t channels = conv.getType().getShape().back();
  if (conv.getInput().getType().getRank() != 4 ||
      conv.getLayout() != Layout::ChannelsLast)
    return "is no two-dimensional convolution";
  bool isDepthwise = static_cast<int64_t>(conv.getGroups()) == channels &&
                     conv.getFilter().getType().getDimSize(1) == 1;
  return conv.getGroups() == 1 || isDepthwise ? "" : "is a grouped convolution";
}

/// Why an anchor stays in float, or "".
static std::string checkAnchor(Operation *kernel, Operation *anchor) {
  std::string name = anchor->getName().getStringRef().str();
  if (!isa<ConvOp, MatmulOp, AttentionOp, GroupNormOp, LayerNormOp, PoolOp>(
          anchor))
    return "holds '" + name + "', which has no quantised form";
  for (unsigned index : getActivationOperands(anchor)) {
    Value outside =
        getOutside(kernel, getFormatRoot(anchor->getOperand(index)));
    if (!outside || isConstantExpression(outside))
      return "computes '" + name + "' of something that is no activation";
  }
  if (auto pool = dyn_cast<PoolOp>(anchor)) {
    auto isZero = [](int64_t pad) { return pad == 0; };
    return pool.getKind() == PoolKind::Avg &&
                   llvm::all_of(pool.getPads(), isZero)
               ? ""
               : "pools other than by an average without padding";
  }
  if (auto attention = dyn_cast<AttentionOp>(anchor))
    return attention.getMask() ? "is an attention with a mask" : "";
  if (isa<ConvOp, MatmulOp>(anchor))
    return checkProduct(kernel, anchor);
  for (Value operand : anchor->getOperands().drop_front()) {
    Value outside = getOutside(kernel, operand);
    if (!outside || !isConstantExpression(outside))
      return "normalises with a scale or bias that is no constant";
  }
  return "";
}

/// A value that is computed at run time and has one element, as the time step
/// or the noise level: its range spans many powers of two, and there is nothing
/// to save.
static bool isScalar(Value value) {
  return typeOf(value).getNumElements() == 1 && !isConstantExpression(value);
}

/// Why an operation of a kernel keeps it in float, or "".
static std::string checkOperation(Operation *kernel, Operation *op) {
  if (FusedOp::isAnchor(op))
    return checkAnchor(kernel, op);
  if (isa<ReshapeOp, ConstantOp, ConcatOp>(op) || hasExactEvaluation(op))
    return "";
  return "holds '" + op->getName().getStringRef().str() +
         "', which has no quantised form";
}

/// Why `kernel` stays in float, or "".
static std::string checkKernel(Operation *kernel, llvm::Regex *keepFloat) {
  if (kernel->getNumResults() != 1 || !isF32(kernel->getResult(0)))
    return "does not give one tensor of f32";
  bool hasAnchor = false;
  for (Operation *op : getKernelOps(kernel)) {
    StringRef node = getNodeName(op->getLoc());
    if (keepFloat && keepFloat->match(node))
      return "is kept in float as asked for";
    if (std::string reason = checkOperation(kernel, op); !reason.empty())
      return reason;
    hasAnchor |= FusedOp::isAnchor(op);
  }
  for (Value operand : kernel->getOperands())
    if (!isF32(operand))
      return "reads a tensor that is not f32";
  if (!hasAnchor && (llvm::any_of(kernel->getOperands(), isScalar) ||
                     isScalar(kernel->getResult(0))))
    return "computes with a single number that the model's inputs give";
  return "";
}

//===--- The plan ---===//

QuantizationPlan::QuantizationPlan(func::FuncOp function,
                                   llvm::Regex *keepFloat) {
  for (Operation &op : function.getBody().front().without_terminator()) {
    bool isLeaf = isa<ConstantOp, WeightOp>(op) || isMovement(&op) ||
                  llvm::all_of(op.getResults(), [](Value result) {
                    return isConstantExpression(result);
                  });
    if (isLeaf)
      continue;
    std::string reason = checkKernel(&op, keepFloat);
    if (reason.empty())
      addKernel(&op);
    else
      reasons[&op] = reason;
  }
  limitParts();
}

/// What only a concatenation reads has its limit: with the same range they have
/// the same scale, and joining rounds nothing.
void QuantizationPlan::limitParts() {
  for (Operation *kernel : llvm::reverse(quantized)) {
    auto concat = dyn_cast<ConcatOp>(kernel);
    if (!concat)
      continue;
    for (Value part : concat.getInputs()) {
      int32_t limit = std::min(getLimit(part), getLimit(concat));
      if (part.hasOneUse() && !isMovement(part.getDefiningOp()))
        limits[part] = limit;
    }
  }
}

void QuantizationPlan::addKernel(Operation *kernel) {
  quantized.insert(kernel);
  for (Value operand : kernel->getOperands())
    if (!isConstantExpression(operand))
      tensors.insert(getFormatRoot(operand));
  tensors.insert(kernel->getResult(0));
  for (Operation *op : getKernelOps(kernel)) {
    if (auto attention = dyn_cast<AttentionOp>(op))
      attentions.push_back(attention);
    limitOperands(kernel, op);
  }
}

void QuantizationPlan::limitOperands(Operation *kernel, Operation *op) {
  auto limit = [&](Value operand, int32_t limit) {
    Value root = getFormatRoot(getOutside(kernel, getFormatRoot(operand)));
    auto [entry, isNew] = limits.try_emplace(root, limit);
    entry->second = std::min(entry->second, limit);
  };
  if (auto conv = dyn_cast<ConvOp>(op); conv && mayUseWinograd(conv))
    limit(conv.getInput(), kGuardedLimit);
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    int64_t depth = attention.getQuery().getType().getDimSize(2) /
                    static_cast<int64_t>(attention.getHeads());
    limit(attention.getQuery(), getScoreOperandLimit(depth));
    limit(attention.getKey(), getScoreOperandLimit(depth));
    limit(attention.getValue(), kGuardedLimit);
  }
}

int32_t QuantizationPlan::getLimit(Value root) const {
  auto found = limits.find(root);
  return found == limits.end() ? kActivationLimit : found->second;
}
