// An operation of @main as a kernel: its anchor, its epilogue, and what the
// values inside mean outside. A bare operation and an ef.fused with one
// operation look the same through it.
#ifndef EFC_TARGETS_CPU_KERNELVIEW_H
#define EFC_TARGETS_CPU_KERNELVIEW_H

#include "dialects/ef/EfDialect.h"

#include <string>

namespace efc::cpu {

struct KernelView {
  explicit KernelView(mlir::Operation *root);

  mlir::Operation *root;             ///< In @main.
  mlir::Operation *anchor = nullptr; ///< Null: element-wise only.
  llvm::SmallVector<mlir::Operation *>
      prologue; ///< Before the anchor, in order.
  llvm::SmallVector<mlir::Operation *>
      epilogue; ///< After the anchor (or all, without one), in order; a bare
                ///< element-wise op is its own epilogue.
  llvm::SmallVector<mlir::Value>
      results; ///< Inside values that the kernel stores (one per result of
               ///< `root`).

  /// The value of @main that an inside value stands for, or null if it is
  /// computed inside.
  mlir::Value outer(mlir::Value inner) const;
  mlir::RankedTensorType resultType(unsigned index = 0) const;

  /// Text that is equal exactly for kernels of the same structure: operations,
  /// attributes, types, how they are wired; no names, no locations, no scales
  /// of quantised tensors.
  std::string key() const;
  /// "conv+add+silu".
  std::string label() const;
};

} // namespace efc::cpu

#endif
