// Which kernels of a model are quantised, which stay in float and why, and
// which tensors need a range. Decides only; QuantizeModel.cpp rewrites.
#ifndef EFC_PASSES_QUANTIZE_QUANTIZATIONPLAN_H
#define EFC_PASSES_QUANTIZE_QUANTIZATIONPLAN_H

#include "dialects/ef/EfDialect.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Regex.h"

namespace efc {

/// An operation that only moves elements, whatever they are: its result has
/// the format of its first operand.
bool isMovement(mlir::Operation *op);

/// The value whose elements `value` shows, behind all movements.
mlir::Value getFormatRoot(mlir::Value value);

/// The kernel's operations: those of an ef.fused, or the operation itself.
llvm::SmallVector<mlir::Operation *> getKernelOps(mlir::Operation *kernel);

/// The value outside of `kernel` that `operand` of one of its operations is;
/// null if it is computed inside.
mlir::Value getOutside(mlir::Operation *kernel, mlir::Value operand);

/// The operands of an anchor that are activations, and the one that is its
/// weights (or -1).
llvm::SmallVector<unsigned> getActivationOperands(mlir::Operation *anchor);
int getWeightOperand(mlir::Operation *anchor);
/// The dimension of the weights that is the output channels.
int32_t getWeightAxis(mlir::Operation *anchor);

class QuantizationPlan {
public:
  /// `keepFloat` matches ONNX nodes that stay in float; null for none.
  QuantizationPlan(mlir::func::FuncOp function, llvm::Regex *keepFloat);

  bool isQuantized(mlir::Operation *kernel) const {
    return quantized.contains(kernel);
  }
  /// Kernels that stay in float, with the reason: a clause for a remark.
  const llvm::MapVector<mlir::Operation *, std::string> &
  getFloatKernels() const {
    return reasons;
  }
  llvm::ArrayRef<mlir::Operation *> getQuantizedKernels() const {
    return quantized.getArrayRef();
  }
  /// Format roots that are stored as int16, in the order of the model.
  llvm::ArrayRef<mlir::Value> getTensors() const {
    return tensors.getArrayRef();
  }
  /// Attentions that are quantised.
  llvm::ArrayRef<ef::AttentionOp> getAttentions() const { return attentions; }
  /// Largest |q| of a format root.
  int32_t getLimit(mlir::Value root) const;

private:
  void addKernel(mlir::Operation *kernel);
  /// The limits that the operations of a kernel set for what they read.
  void limitOperands(mlir::Operation *kernel, mlir::Operation *op);
  void limitParts();

  llvm::SetVector<mlir::Operation *> quantized;
  llvm::MapVector<mlir::Operation *, std::string> reasons;
  llvm::SetVector<mlir::Value> tensors;
  llvm::DenseMap<mlir::Value, int32_t> limits;
  llvm::SmallVector<ef::AttentionOp> attentions;
};

} // namespace efc

#endif
