// efc-fuse-kernels: turns groups of operations into ef.fused, and says what was
// fused.
#include "passes/Passes.h"
#include "passes/fuse/FusionGroup.h"

#include "dialects/ef/WeightStore.h"

#include "mlir/IR/IRMapping.h"

#include <map>

namespace efc {
#define GEN_PASS_DEF_EFCFUSEKERNELS
#include "passes/Passes.h.inc"
} // namespace efc

using namespace mlir;
using namespace efc;
using namespace efc::ef;

/// A constant that is worth an immediate in the kernel rather than an operand.
/// What an anchor reads stays an operand.
static bool isImmediate(Operation *user, Value value,
                        const FusionGroup &group) {
  auto constant = value.getDefiningOp<ConstantOp>();
  return user != group.anchor && constant &&
         isa<SplatElementsAttr>(constant.getValue());
}

/// Replaces the group's operations by one ef.fused at the place of its tail.
static void materialize(const FusionGroup &group) {
  SmallVector<Operation *> members = group.getOrderedMembers();
  llvm::SetVector<Value> inputs;
  for (Operation *op : members)
    for (Value operand : op->getOperands())
      if (!isImmediate(op, operand, group) &&
          !group.contains(operand.getDefiningOp()))
        inputs.insert(operand);

  OpBuilder builder(group.tail);
  Location loc = group.tail->getLoc();
  auto fused = FusedOp::create(builder, loc, group.tail->getResultTypes(),
                               inputs.getArrayRef());
  Block *body = builder.createBlock(&fused.getBody());
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, body->addArgument(input.getType(), input.getLoc()));
  for (Operation *op : members) {
    for (Value operand : op->getOperands())
      if (isImmediate(op, operand, group) && !mapping.contains(operand))
        builder.clone(*operand.getDefiningOp(), mapping);
    builder.clone(*op, mapping);
  }
  YieldOp::create(builder, loc, mapping.lookup(group.tail->getResult(0)));
  group.tail->replaceAllUsesWith(fused);
  // Users come after what they use.
  llvm::sort(members,
             [](Operation *a, Operation *b) { return b->isBeforeInBlock(a); });
  for (Operation *op : members)
    op->erase();
}

/// What an operation of an epilogue is, in the words of the report.
static StringRef classify(Operation *op, const FusionGroup &group) {
  auto binary = dyn_cast<BinaryOp>(op);
  if (!binary)
    return llvm::TypeSwitch<Operation *, StringRef>(op)
        .Case([](UnaryOp) { return "activation"; })
        .Case([](GegluOp) { return "gate"; })
        .Case([](CastOp) { return "cast"; })
        .Case([](ReshapeOp) { return "reshape"; })
        .Default([](Operation *) { return "other element-wise operation"; });
  if (binary.getKind() == BinaryKind::Mul ||
      binary.getKind() == BinaryKind::Div)
    return "scale";
  if (binary.getKind() != BinaryKind::Add &&
      binary.getKind() != BinaryKind::Sub)
    return "other element-wise operation";
  bool isLhsInside = group.contains(binary.getLhs().getDefiningOp());
  Value other = isLhsInside ? binary.getRhs() : binary.getLhs();
  if (isConstantExpression(other))
    return "bias add";
  bool isFull = cast<RankedTensorType>(other.getType()).getNumElements() ==
                binary.getType().getNumElements();
  return isFull ? "residual add" : "broadcast add";
}

namespace {
/// Counts by name, in a stable order.
class Report {
public:
  void add(const FusionGroup &group) {
    ++kernels[group.anchor ? group.anchor->getName().stripDialect().str()
                           : "element-wise"];
    for (Operation *op : group.members)
      if (op != group.anchor)
        ++epilogues[classify(op, group).str()];
    numOperations += group.members.size();
  }

  std::string format(size_t numLeft) const {
    std::string text;
    llvm::raw_string_ostream stream(text);
    auto list = [&](const std::map<std::string, int> &counts) {
      llvm::interleaveComma(counts, stream, [&](const auto &entry) {
        stream << entry.second << " x " << entry.first;
      });
    };
    stream << "fused " << numOperations << " operations into kernels: ";
    list(kernels);
    stream << "; with: ";
    list(epilogues);
    stream << "; operations in the function now: " << numLeft;
    return text;
  }

private:
  std::map<std::string, int> kernels, epilogues;
  size_t numOperations = 0;
};

class FuseKernels : public efc::impl::EfcFuseKernelsBase<FuseKernels> {
public:
  using Base::Base;

  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    Block &block = getOperation().getBody().front();
    SmallVector<FusionGroup> groups;
    GroupBuilder groupBuilder(block);
    if (epilogues)
      groupBuilder.buildAnchored(groups);
    if (elementwise)
      groupBuilder.buildElementwise(groups);
    Report counts;
    for (const FusionGroup &group : groups) {
      counts.add(group);
      ++(group.anchor ? numAnchored : numElementwise);
      numFused += group.members.size();
    }
    for (const FusionGroup &group : groups)
      materialize(group);
    // Constants that became part of kernels.
    for (auto constant : llvm::make_early_inc_range(block.getOps<ConstantOp>()))
      if (constant.use_empty())
        constant.erase();
    if (report)
      getOperation().emitRemark() << counts.format(countOperations(block));
  }

private:
  /// What is left to execute: without constants, what is computed from weights
  /// alone, and the terminator.
  static size_t countOperations(Block &block) {
    return llvm::count_if(block.without_terminator(), [](Operation &op) {
      return !isa<ConstantOp, WeightOp>(op) &&
             !(op.getNumResults() == 1 &&
               isConstantExpression(op.getResult(0)));
    });
  }
};
} // namespace
