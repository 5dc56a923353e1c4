// Finding groups of operations that become one kernel; see FusionGroup.h.
#include "passes/fuse/FusionGroup.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::ef;

/// How far the uses of one value may run apart before they meet again (x *
/// sigmoid(x) needs two operations).
static constexpr size_t maxClosureSize = 8;

/// Kernels of matrix products compute blocks of this many columns; they can
/// apply a gate only where both halves of the columns are whole blocks.
static constexpr int64_t gateColumns = 16;

static RankedTensorType getType(Value value) {
  return cast<RankedTensorType>(value.getType());
}
static int64_t getNumElements(Value value) {
  return getType(value).getNumElements();
}
static int64_t getColumns(Value value) {
  RankedTensorType type = getType(value);
  return type.getRank() == 0 ? 1 : type.getShape().back();
}

bool efc::isElementwise(Operation *op) {
  return isa<UnaryOp, BinaryOp, SelectOp, CastOp>(op);
}

SmallVector<Operation *> FusionGroup::getOrderedMembers() const {
  SmallVector<Operation *> ordered(members.begin(), members.end());
  llvm::sort(ordered, [&](Operation *a, Operation *b) {
    if (a == anchor || b == anchor)
      return a == anchor && b != anchor;
    return a->isBeforeInBlock(b);
  });
  return ordered;
}

bool GroupBuilder::isEpilogue(Operation *op, const FusionGroup &group,
                              const OpSet &candidates) const {
  if (op->getBlock() != &block || taken.contains(op) ||
      op->getNumResults() != 1)
    return false;
  auto isInside = [&](Value value) {
    Operation *producer = value.getDefiningOp();
    return producer &&
           (group.contains(producer) || candidates.contains(producer));
  };
  if (auto gate = dyn_cast<GegluOp>(op)) {
    bool isGated = llvm::any_of(
        group.members, [](Operation *member) { return isa<GegluOp>(member); });
    return isa_and_nonnull<MatmulOp>(group.anchor) && !isGated &&
           candidates.empty() &&
           getColumns(gate.getResult()) % gateColumns == 0 &&
           getColumns(gate.getInput()) ==
               getColumns(group.anchor->getResult(0));
  }
  // A kernel computes whole rows of its result: a reshape that cuts them
  // differently would scatter its stores.
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    return getColumns(reshape.getInput()) == getColumns(reshape.getResult());
  if (!isElementwise(op))
    return false;
  // What comes from the anchor keeps its place: it may be broadcast to, but not
  // be broadcast itself.
  return llvm::all_of(op->getOperands(), [&](Value operand) {
    return !isInside(operand) ||
           getNumElements(operand) == getNumElements(op->getResult(0));
  });
}

GroupBuilder::OpSet GroupBuilder::closeOver(Value value,
                                            const FusionGroup &group) const {
  auto isLater = [](Operation *a, Operation *b) {
    return b->isBeforeInBlock(a);
  };
  SmallVector<Operation *> pending;
  auto addUsers = [&](Value from) {
    for (Operation *user : from.getUsers())
      if (!llvm::is_contained(pending, user))
        pending.push_back(user);
  };
  OpSet closed;
  addUsers(value);
  while (!pending.empty()) {
    if (llvm::any_of(pending,
                     [&](Operation *op) { return op->getBlock() != &block; }))
      return {};
    llvm::sort(pending, isLater);
    Operation *next = pending.pop_back_val();
    if (closed.size() == maxClosureSize || !isEpilogue(next, group, closed))
      return {};
    // The uses met in `next`: it is the new tail.
    bool isMeetingPoint = pending.empty();
    closed.insert(next);
    if (isMeetingPoint)
      return closed;
    if (isa<GegluOp>(next))
      return {};
    addUsers(next->getResult(0));
  }
  return {};
}

void GroupBuilder::growDown(FusionGroup &group) {
  while (true) {
    OpSet next = closeOver(group.tail->getResult(0), group);
    if (next.empty())
      return;
    group.members.insert(next.begin(), next.end());
    group.tail = next.back();
  }
}

bool GroupBuilder::isFreeProducer(Operation *op,
                                  const FusionGroup &group) const {
  if (!op || op->getBlock() != &block || taken.contains(op) ||
      group.contains(op) || op->getNumResults() != 1)
    return false;
  if (!llvm::all_of(op->getResult(0).getUsers(), [&](Operation *user) {
        return user != group.anchor && group.contains(user);
      }))
    return false;
  if (isa<ReshapeOp>(op))
    return true;
  // A smaller operand would be computed again wherever it is broadcast to.
  return isElementwise(op) && getNumElements(op->getResult(0)) ==
                                  getNumElements(group.tail->getResult(0));
}

void GroupBuilder::growUp(FusionGroup &group) {
  SmallVector<Operation *> worklist(group.members.begin(), group.members.end());
  while (!worklist.empty()) {
    Operation *member = worklist.pop_back_val();
    // Another operand of the anchor would be a prologue, and a reshape's
    // operand may itself be cut into other rows.
    if (member == group.anchor || isa<ReshapeOp>(member))
      continue;
    for (Value operand : member->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (!isFreeProducer(producer, group))
        continue;
      group.members.insert(producer);
      worklist.push_back(producer);
    }
  }
}

void GroupBuilder::buildAnchored(SmallVectorImpl<FusionGroup> &groups) {
  SmallVector<FusionGroup> found;
  for (Operation &op : block) {
    if (!FusedOp::isAnchor(&op) || op.getNumResults() != 1)
      continue;
    FusionGroup group{&op, &op, {}};
    group.members.insert(&op);
    growDown(group);
    taken.insert(group.members.begin(), group.members.end());
    found.push_back(std::move(group));
  }
  // Only now, so that the bias of one anchor does not go to another one that
  // adds both.
  for (FusionGroup &group : found) {
    growUp(group);
    if (group.members.size() == 1)
      continue;
    taken.insert(group.members.begin(), group.members.end());
    groups.push_back(std::move(group));
  }
}

void GroupBuilder::buildElementwise(SmallVectorImpl<FusionGroup> &groups) {
  for (Operation &op : llvm::reverse(block)) {
    if (!isElementwise(&op) || taken.contains(&op))
      continue;
    FusionGroup group{nullptr, &op, {}};
    group.members.insert(&op);
    growUp(group);
    if (llvm::count_if(group.members, isElementwise) < 2)
      continue;
    taken.insert(group.members.begin(), group.members.end());
    groups.push_back(std::move(group));
  }
}
