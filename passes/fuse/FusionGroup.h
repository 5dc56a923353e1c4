// Groups of operations that become one kernel: an anchor with its epilogue, or
// element-wise operations alone.
//
// A group is closed: the results of all its members but the last one, the tail,
// are used by members only. So the whole group can stand at the tail's place,
// and no operand of a member can depend on the group's result: the fused graph
// has no cycle, whatever the residuals are.
#ifndef EFC_PASSES_FUSE_FUSIONGROUP_H
#define EFC_PASSES_FUSE_FUSIONGROUP_H

#include "dialects/ef/EfDialect.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

namespace efc {

struct FusionGroup {
  /// Null for an element-wise group.
  mlir::Operation *anchor = nullptr;
  /// The last operation; its result is the group's.
  mlir::Operation *tail = nullptr;
  llvm::SetVector<mlir::Operation *> members;

  bool contains(mlir::Operation *op) const { return members.contains(op); }
  /// Anchor first, then the others in the block's order.
  llvm::SmallVector<mlir::Operation *> getOrderedMembers() const;
};

/// True for unary, binary, select and cast.
bool isElementwise(mlir::Operation *op);

/// Finds the groups of one block. Every operation is in at most one group.
class GroupBuilder {
public:
  explicit GroupBuilder(mlir::Block &block) : block(block) {}

  /// Appends a group for every anchor that has an epilogue.
  void buildAnchored(llvm::SmallVectorImpl<FusionGroup> &groups);
  /// Appends groups of at least two of the element-wise operations that are
  /// left.
  void buildElementwise(llvm::SmallVectorImpl<FusionGroup> &groups);

private:
  using OpSet = llvm::SetVector<mlir::Operation *>;

  /// Adds operations behind the tail until one does not fit.
  void growDown(FusionGroup &group);
  /// Adds producers of epilogue operands that only the group uses and that cost
  /// nothing to compute in place.
  void growUp(FusionGroup &group);
  /// The operations through which all uses of `value` meet in one; empty if one
  /// of them does not belong into the group's kernel.
  OpSet closeOver(mlir::Value value, const FusionGroup &group) const;
  bool isEpilogue(mlir::Operation *op, const FusionGroup &group,
                  const OpSet &candidates) const;
  bool isFreeProducer(mlir::Operation *op, const FusionGroup &group) const;

  mlir::Block &block;
  llvm::DenseSet<mlir::Operation *> taken;
};

} // namespace efc

#endif
