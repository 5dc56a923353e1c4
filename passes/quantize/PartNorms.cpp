// See PartNorms.h. A norm takes its groups apart again, so a concatenation in
// front of it joins under one scale what has no need to be: in a U-Net a part
// of 1e9 (the decoder's residual stream) may stand beside one of 1 (a skip
// connection), which such a scale would round to zero. Behind the norms all
// parts are of the same size.
#include "passes/quantize/PartNorms.h"

#include "passes/quantize/ModelQuantizer.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace efc;
using namespace efc::ef;

namespace {
/// A kernel of a group norm and functions of its result, on a concatenation.
struct NormOfParts {
  Operation *kernel;
  GroupNormOp norm;
  ConcatOp concat;

  int64_t channelsPerGroup() {
    return concat.getType().getShape().back() /
           static_cast<int64_t>(norm.getGroups());
  }
};
} // namespace

static int64_t getChannels(Value part) {
  return cast<RankedTensorType>(part.getType()).getShape().back();
}

static std::optional<NormOfParts> match(Operation *kernel) {
  SmallVector<Operation *> ops = getKernelOps(kernel);
  auto norm = dyn_cast<GroupNormOp>(ops.front());
  if (!norm || norm.getLayout() != Layout::ChannelsLast)
    return std::nullopt;
  // Functions of one value, each of the result of the one in front.
  for (auto [before, op] : llvm::zip(ops, llvm::drop_begin(ops)))
    if (!isa<UnaryOp>(op) || op->getOperand(0) != before->getResult(0))
      return std::nullopt;
  auto concat = getOutside(kernel, norm.getInput()).getDefiningOp<ConcatOp>();
  if (!concat || !isa<func::FuncOp>(concat->getParentOp()) ||
      static_cast<int64_t>(concat.getAxis()) != concat.getType().getRank() - 1)
    return std::nullopt;
  NormOfParts found{kernel, norm, concat};
  auto isWholeGroups = [&](Value part) {
    return getChannels(part) % found.channelsPerGroup() == 0;
  };
  if (!llvm::all_of(concat.getInputs(), isWholeGroups))
    return std::nullopt;
  return found;
}

/// Whether the whole's scale would be more than 16 times that of a part.
static bool isWorthIt(ConcatOp concat, const CalibrationTable &table) {
  constexpr float kFactor = 16;
  std::optional<float> whole = table.getLargest(getTableName(concat));
  return whole && llvm::any_of(concat.getInputs(), [&](Value part) {
           std::optional<float> own =
               table.getLargest(getTableName(getFormatRoot(part)));
           return own && kFactor * *own < *whole;
         });
}

/// Elements [first, first + count) of a vector.
static Value slice(OpBuilder &builder, Value vector, int64_t first,
                   int64_t count) {
  auto type = cast<RankedTensorType>(vector.getType()).clone({count});
  return SliceOp::create(builder, vector.getLoc(), type, vector,
                         builder.getDenseI64ArrayAttr(first),
                         builder.getDenseI64ArrayAttr(1));
}

/// The kernel on `part`, whose channels are those from `first` on. It keeps the
/// location: the result's range is that of the whole.
static Value normalizePart(OpBuilder &builder, NormOfParts &found, Value part,
                           int64_t first) {
  GroupNormOp norm = found.norm;
  Location loc = found.kernel->getLoc();
  int64_t channels = getChannels(part);
  SmallVector<Value> inputs{part};
  for (Value vector : {norm.getScale(), norm.getBias()})
    inputs.push_back(
        slice(builder, getOutside(found.kernel, vector), first, channels));
  auto fused = FusedOp::create(builder, loc, part.getType(), inputs);
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&fused.getBody());
  for (Value input : inputs)
    body->addArgument(input.getType(), input.getLoc());
  Value value = GroupNormOp::create(
      builder, norm.getLoc(), part.getType(), body->getArgument(0),
      body->getArgument(1), body->getArgument(2),
      channels / found.channelsPerGroup(), norm.getEpsilon(), norm.getLayout());
  for (Operation *op : llvm::drop_begin(getKernelOps(found.kernel))) {
    IRMapping mapping;
    mapping.map(op->getOperand(0), value);
    Operation *clone = builder.clone(*op, mapping);
    value = clone->getResult(0);
    value.setType(part.getType());
  }
  YieldOp::create(builder, loc, value);
  return fused.getResult(0);
}

static void rewrite(NormOfParts &found) {
  OpBuilder builder(found.kernel);
  SmallVector<Value> results;
  int64_t first = 0;
  for (Value part : found.concat.getInputs()) {
    results.push_back(normalizePart(builder, found, part, first));
    first += getChannels(part);
  }
  auto whole = ConcatOp::create(builder, found.kernel->getLoc(),
                                found.kernel->getResultTypes(), results,
                                found.concat.getAxis());
  found.kernel->replaceAllUsesWith(whole);
  found.kernel->erase();
  if (found.concat.use_empty())
    found.concat.erase();
}

size_t efc::normalizeParts(func::FuncOp function,
                           const CalibrationTable &table) {
  size_t count = 0;
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
    std::optional<NormOfParts> found = match(&op);
    if (!found || !isWorthIt(found->concat, table))
      continue;
    rewrite(*found);
    ++count;
  }
  return count;
}
