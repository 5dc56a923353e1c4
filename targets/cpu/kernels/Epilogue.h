// The element-wise tail of a fused kernel, emitted at the place where the
// anchor's values are in registers.
//
// The anchor's result is seen as a matrix [rows, columns] in row-major order
// (channels-last: rows = every dimension but the last). Operands of the
// epilogue are read at the same place with numpy's broadcasting: full tensors,
// vectors over the columns, one row a batch, scalars, ...
#ifndef EFC_TARGETS_CPU_KERNELS_EPILOGUE_H
#define EFC_TARGETS_CPU_KERNELS_EPILOGUE_H

#include "targets/cpu/KernelBuilder.h"
#include "targets/cpu/KernelView.h"

namespace efc::cpu {

class Epilogue {
public:
  explicit Epilogue(const KernelView &view) : view(view) {}

  /// False where an operation cannot be emitted here; then `reason` says which
  /// and why (the fusion pass should not have made it).
  bool isSupported(std::string &reason) const;

  /// Inputs of the launch besides the anchor's own: appends the outer tensors
  /// in a fixed order, then, where there are quant.dcast and quant.qcast, a
  /// constant with their factors. `firstInput` of emit() is the first one's
  /// kernel argument.
  void collectInputs(llvm::SmallVectorImpl<mlir::Value> &inputs) const;

  /// True for ef.geglu: then emit() takes the values of column c and of column
  /// c + columns / 2.
  bool isGated() const;

  /// Computes and stores results [row, column .. column + lanes) from the
  /// anchor's `value` (compute type; vector<lanes> or scalar when lanes is 1).
  void emitStore(KernelBuilder &, size_t firstInput, mlir::Value value,
                 mlir::Value gate, mlir::Value row, mlir::Value column,
                 int64_t lanes) const;

private:
  /// Inside values that stand for tensors of @main, in the order of
  /// collectInputs.
  llvm::SmallVector<mlir::Value> operands() const;
  /// quant.dcast and quant.qcast, in the order of their factors.
  llvm::SmallVector<mlir::Operation *> casts() const;

  const KernelView &view;
};

} // namespace efc::cpu

#endif
