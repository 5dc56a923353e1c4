// Moves activations of one block to channels-last, operation by operation in
// program order.
//
// A value is *pending* if it is a channels-last value seen through a transpose
// to channels-first. Operations that need a layout (convolution, pooling, group
// norm) are rewritten to channels-last between two transposes, which makes
// their results pending. Operations that do not care are then computed on the
// channels-last values behind their pending operands, which makes their results
// pending in turn. A transpose back meets the pending one and both vanish.
#ifndef EFC_PASSES_LAYOUT_LAYOUTREWRITER_H
#define EFC_PASSES_LAYOUT_LAYOUTREWRITER_H

#include "dialects/ef/EfDialect.h"
#include "passes/layout/Permutation.h"

#include "mlir/IR/Builders.h"

namespace efc {

class LayoutRewriter {
public:
  explicit LayoutRewriter(mlir::Block &block)
      : block(block), builder(block.getParentOp()->getContext()) {}

  void run();

  int64_t getNumConverted() const { return numConverted; }
  int64_t getNumMoved() const { return numMoved; }

private:
  void visit(mlir::Operation *op);

  /// The channels-last value behind a pending one, or null.
  mlir::Value getPending(mlir::Value value) const;
  /// `value` in channels-last: behind its transpose, or by a new one right
  /// after its definition.
  mlir::Value getChannelsLast(mlir::Value value);
  /// `value` transposed, as a reshape where no element moves, as itself where
  /// nothing changes.
  mlir::Value createTranspose(mlir::Location loc, mlir::Value value,
                              llvm::ArrayRef<int64_t> permutation);
  mlir::Value createReshape(mlir::Location loc, mlir::Value value,
                            llvm::ArrayRef<int64_t> shape);
  /// Replaces the one result of `op` by a pending view of `channelsLast`.
  void replaceByPending(mlir::Operation *op, mlir::Value channelsLast);
  /// A copy of `op` with other operands and a result of channels-last type; the
  /// caller sets its attributes.
  mlir::Operation *cloneChannelsLast(mlir::Operation *op,
                                     llvm::ArrayRef<mlir::Value> operands);

  /// Whether bringing the operands to channels-last costs little beside the
  /// pending ones: `operands` broadcast to `rank` dimensions.
  bool isWorthMoving(llvm::ArrayRef<mlir::Value> operands, int64_t rank) const;
  bool isFree(mlir::Value value, int64_t rank) const;
  /// An operand of an element-wise operation of `rank` dimensions, broadcasting
  /// kept.
  mlir::Value getBroadcastOperand(mlir::Value value, int64_t rank);

  // One function a family of operations.
  void composeTransposes(ef::TransposeOp op);
  template <typename OpT> void convertWindowed(OpT op);
  void convertGroupNorm(ef::GroupNormOp op);
  void moveElementwise(mlir::Operation *op);
  void moveConcat(ef::ConcatOp op);
  void movePad(ef::PadOp op);
  void moveSlice(ef::SliceOp op);
  void moveResize(ef::ResizeOp op);
  void moveReshape(ef::ReshapeOp op);
  void moveBroadcast(ef::BroadcastOp op);
  template <typename OpT> void moveAlongAxis(OpT op);
  void moveReduce(ef::ReduceOp op);
  /// A matmul reads a transposed matrix as well.
  void absorbTransposes(ef::MatmulOp op);

  mlir::Block &block;
  mlir::OpBuilder builder;
  llvm::DenseMap<mlir::Value, mlir::Value> channelsLastOf;
  int64_t numConverted = 0, numMoved = 0;
};

} // namespace efc

#endif
