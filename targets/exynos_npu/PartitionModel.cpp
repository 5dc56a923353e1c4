// efc-npu-partition: runs of operations that the NPU executes become functions
// of their own.
#include "targets/exynos_npu/Passes.h"
#include "targets/exynos_npu/Predicates.h"

#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Locations.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/WeightStore.h"
#include "dialects/npu/NpuDialect.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace efc::npu {
#define GEN_PASS_DEF_EFCNPUPARTITION
#include "targets/exynos_npu/Passes.h.inc"
} // namespace efc::npu

using namespace mlir;
using namespace efc;
using namespace efc::npu;

static constexpr llvm::StringLiteral kReason = "npu.reason";

static bool isConstantOp(Operation *op) {
  return op->getNumResults() == 1 && ef::isConstantExpression(op->getResult(0));
}

/// Whether element [i, j] of every T x T slice of a constant mask keeps j <= i
/// and nothing else.
static bool isCausalMask(Value mask) {
  auto constant = mask.getDefiningOp<ef::ConstantOp>();
  auto type = cast<RankedTensorType>(mask.getType());
  if (!constant || type.getRank() < 2)
    return false;
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  int64_t columns = type.getShape().back(),
          rows = type.getDimSize(type.getRank() - 2);
  if (!elements || rows != columns)
    return false;
  auto isCausal = [&](auto range, auto keeps, auto drops) {
    for (auto [index, value] : llvm::enumerate(range)) {
      int64_t column = index % columns, row = index / columns % rows;
      if (column <= row ? !keeps(value) : !drops(value))
        return false;
    }
    return true;
  };
  if (type.getElementType().isInteger(1))
    return isCausal(
        elements.getValues<bool>(), [](bool kept) { return kept; },
        [](bool kept) { return !kept; });
  if (!isa<FloatType>(type.getElementType()))
    return false;
  // Scores are far smaller than what is added where nothing shall be seen.
  return isCausal(
      elements.getValues<APFloat>(),
      [](const APFloat &bias) { return bias.isZero(); },
      [](const APFloat &bias) {
        return bias.isNegative() && bias.convertToDouble() <= -30000;
      });
}

/// Replaces a mask that is exactly causal by the attribute.
static void simplifyMask(ef::AttentionOp attention) {
  Value mask = attention.getMask();
  if (!mask)
    return;
  auto fused = dyn_cast<ef::FusedOp>(attention->getParentOp());
  auto argument = dyn_cast<BlockArgument>(mask);
  if (!fused || !argument) {
    if (isCausalMask(mask)) {
      attention.getMaskMutable().clear();
      attention.setCausal(true);
    }
    return;
  }
  unsigned number = argument.getArgNumber();
  if (!isCausalMask(fused.getOperand(number)))
    return;
  attention.getMaskMutable().clear();
  attention.setCausal(true);
  if (argument.use_empty()) {
    fused.getBlock().eraseArgument(number);
    fused->eraseOperand(number);
  }
}

namespace {

/// Operations that run one after another on one device.
struct Stage {
  bool isNpu;
  llvm::SetVector<Operation *> ops;
};

class Partition : public npu::impl::EfcNpuPartitionBase<Partition> {
public:
  using Base::Base;
  void runOnOperation() override;

private:
  void explain(func::FuncOp main);
  void keepMovementOnCpu(func::FuncOp main);
  void leaveOnCpu(Operation *op, const llvm::Twine &reason);
  std::vector<Stage> schedule(func::FuncOp main);
  void outline(func::FuncOp main, const Stage &stage, unsigned number);
  void reportIslands(ArrayRef<Stage> stages);
};

} // namespace

void Partition::leaveOnCpu(Operation *op, const llvm::Twine &reason) {
  op->setAttr(kReason, StringAttr::get(&getContext(), reason));
  if (report)
    op->emitRemark() << "'" << ef::getNodeName(op->getLoc())
                     << "' runs on the CPU: " << reason;
}

/// Whether a value that `op` reads or gives at run time is quantised.
static bool isQuantized(Operation &op) {
  auto isQuantizedActivation = [](Value value) {
    return ef::isQuantized(value.getType()) && !ef::isConstantExpression(value);
  };
  return llvm::any_of(op.getOperands(), isQuantizedActivation) ||
         llvm::any_of(op.getResults(), isQuantizedActivation);
}

/// Leaves the reason on each operation that the NPU does not execute.
void Partition::explain(func::FuncOp main) {
  bool isW8A16 = llvm::any_of(main.front(), isQuantized);
  for (Operation &op : main.front().without_terminator()) {
    op.removeAttr(kReason);
    if (isConstantOp(&op) || isa<ef::ReshapeOp>(op))
      continue;
    if (std::optional<Refusal> refusal = findRefusal(&op))
      leaveOnCpu(&op, refusal->text());
    else if (isW8A16 && !isQuantized(op))
      leaveOnCpu(&op, "stays in float in a quantised model, where float16 "
                      "would change bits that float32 defines");
  }
  keepMovementOnCpu(main);
}

/// What moves elements between CPU operations alone is worth no launch.
void Partition::keepMovementOnCpu(func::FuncOp main) {
  llvm::SmallPtrSet<Operation *, 32> fromNpu, toNpu;
  auto computes = [](Operation *op) {
    return op && !op->hasAttr(kReason) && !isMovementOnly(op) &&
           !isConstantOp(op) && !op->hasTrait<OpTrait::IsTerminator>();
  };
  for (Operation &op : main.front().without_terminator())
    if (llvm::any_of(op.getOperands(), [&](Value operand) {
          Operation *producer = operand.getDefiningOp();
          return computes(producer) || (producer && isMovementOnly(producer) &&
                                        fromNpu.contains(producer));
        }))
      fromNpu.insert(&op);
  for (Operation &op : llvm::reverse(main.front().without_terminator()))
    if (llvm::any_of(op.getUsers(), [&](Operation *user) {
          return computes(user) ||
                 (isMovementOnly(user) && toNpu.contains(user));
        }))
      toNpu.insert(&op);
  for (Operation &op : main.front().without_terminator())
    if (isMovementOnly(&op) && !isa<ef::ReshapeOp>(op) && !isConstantOp(&op) &&
        !op.hasAttr(kReason) && !fromNpu.contains(&op) && !toNpu.contains(&op))
      leaveOnCpu(&op, "only moves elements between operations of the CPU");
}

/// All CPU operations that are ready, then all NPU operations that are ready,
/// and so on. A reshape follows what it renames.
std::vector<Stage> Partition::schedule(func::FuncOp main) {
  llvm::SetVector<Operation *> pending;
  for (Operation &op : main.front().without_terminator())
    if (!isConstantOp(&op))
      pending.insert(&op);
  std::vector<Stage> stages;
  auto isWaiting = [&](Value operand) {
    return pending.contains(operand.getDefiningOp());
  };
  for (bool isNpu = false; !pending.empty(); isNpu = !isNpu) {
    Stage stage{isNpu, {}};
    for (Operation *op : llvm::to_vector(pending)) {
      bool runsHere = op->hasAttr(kReason) != isNpu;
      if (isa<ef::ReshapeOp>(op))
        runsHere =
            !isNpu || stage.ops.contains(op->getOperand(0).getDefiningOp());
      if (!runsHere || llvm::any_of(op->getOperands(), isWaiting))
        continue;
      stage.ops.insert(op);
      pending.remove(op);
    }
    if (isNpu && llvm::all_of(stage.ops, isMovementOnly)) {
      stage.isNpu = false;
      for (Operation *op : stage.ops)
        leaveOnCpu(op, "only moves elements between operations of the CPU");
    }
    if (!stage.ops.empty())
      stages.push_back(std::move(stage));
  }
  return stages;
}

/// Clones what `value` is computed from, if that is constant.
static void cloneConstant(OpBuilder &builder, Value value, IRMapping &mapping) {
  if (mapping.contains(value))
    return;
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    cloneConstant(builder, operand, mapping);
  builder.clone(*op, mapping);
}

void Partition::outline(func::FuncOp main, const Stage &stage,
                        unsigned number) {
  llvm::SetVector<Value> inputs;
  SmallVector<Value> results;
  for (Operation *op : stage.ops) {
    for (Value operand : op->getOperands())
      if (!stage.ops.contains(operand.getDefiningOp()) &&
          !ef::isConstantExpression(operand))
        inputs.insert(operand);
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) {
            return !stage.ops.contains(user);
          }))
        results.push_back(result);
  }
  OpBuilder builder(&getContext());
  builder.setInsertionPointToEnd(getOperation().getBody());
  auto type = builder.getFunctionType(TypeRange(inputs.getArrayRef()),
                                      TypeRange(ValueRange(results)));
  std::string name = "npu_" + std::to_string(number);
  auto function = func::FuncOp::create(builder, main.getLoc(), name, type);
  function.setPrivate();
  function->setAttr("npu.partition", builder.getUnitAttr());
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  IRMapping mapping;
  for (auto [input, argument] : llvm::zip_equal(inputs, body->getArguments())) {
    argument.setLoc(input.getLoc());
    mapping.map(input, argument);
  }
  for (Operation *op : stage.ops) {
    for (Value operand : op->getOperands())
      if (ef::isConstantExpression(operand))
        cloneConstant(builder, operand, mapping);
    builder.clone(*op, mapping);
    ++numNpuOps;
  }
  SmallVector<Value> returned;
  for (Value result : results)
    returned.push_back(mapping.lookup(result));
  func::ReturnOp::create(builder, main.getLoc(), returned);

  OpBuilder caller(main.front().getTerminator());
  auto launch =
      LaunchOp::create(caller, stage.ops.front()->getLoc(), TypeRange(results),
                       FlatSymbolRefAttr::get(&getContext(), name),
                       inputs.getArrayRef(), DenseI64ArrayAttr());
  for (auto [result, replacement] :
       llvm::zip_equal(results, launch.getResults()))
    result.replaceUsesWithIf(replacement, [&](OpOperand &use) {
      return !stage.ops.contains(use.getOwner());
    });
  for (Operation *op : llvm::reverse(stage.ops))
    op->erase();
}

/// CPU work between two partitions makes the NPU wait.
void Partition::reportIslands(ArrayRef<Stage> stages) {
  for (auto [index, stage] : llvm::enumerate(stages)) {
    bool isBetween = index > 0 && index + 1 < stages.size();
    if (stage.isNpu || !isBetween)
      continue;
    for (Operation *op : stage.ops)
      if (!isa<ef::ReshapeOp>(op)) {
        ++numIslandOps;
        if (report)
          op->emitRemark() << "'" << ef::getNodeName(op->getLoc())
                           << "' runs on the CPU between two partitions";
      }
  }
}

void Partition::runOnOperation() {
  ModuleOp module = getOperation();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main || main.isDeclaration()) {
    module.emitError("has no function @main to partition");
    return signalPassFailure();
  }
  main.walk([](ef::AttentionOp attention) { simplifyMask(attention); });
  explain(main);
  std::vector<Stage> stages = schedule(main);
  reportIslands(stages);
  Operation *terminator = main.front().getTerminator();
  unsigned count = 0;
  for (const Stage &stage : stages) {
    if (stage.isNpu) {
      outline(main, stage, count++);
      continue;
    }
    for (Operation *op : stage.ops) {
      op->moveBefore(terminator);
      numCpuOps += !isa<ef::ReshapeOp>(op);
    }
  }
  numPartitions += count;
  // The partitions have their own constants now.
  SmallVector<Operation *> remaining;
  for (Operation &op : main.front().without_terminator())
    remaining.push_back(&op);
  for (Operation *op : llvm::reverse(remaining))
    if (op->use_empty() && isConstantOp(op))
      op->erase();
}
