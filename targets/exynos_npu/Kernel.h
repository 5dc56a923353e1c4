// An operation of a partition as one kernel: an ef.fused and a bare operation
// look the same through it.
#ifndef EFC_TARGETS_EXYNOSNPU_KERNEL_H
#define EFC_TARGETS_EXYNOSNPU_KERNEL_H

#include "dialects/ef/EfDialect.h"
#include "npu/Command.h"

#include <optional>
#include <string>

namespace efc::npu {

struct Kernel {
  explicit Kernel(mlir::Operation *root);

  mlir::Operation *root;                    ///< In the function.
  mlir::Operation *anchor = nullptr;        ///< As FusedOp::getAnchor().
  ef::GegluOp geglu;                        ///< The first one, or null.
  llvm::SmallVector<mlir::Operation *> ops; ///< In order.
  llvm::SmallVector<mlir::Value> results;   ///< Inside, one a result of root.

  /// Whether `value` is computed inside (or a constant that stands inside).
  bool isInside(mlir::Value value) const;
  /// The value of the function, or constant inside, that `value` is, seen
  /// through reshapes and casts between floats, and through quant.dcast if
  /// `throughDcast`; null if it is computed.
  mlir::Value leaf(mlir::Value value, bool throughDcast) const;
  /// "conv3x3+add+silu".
  std::string label() const;
};

/// A cast from one float type to another.
bool isFloatCast(mlir::Operation *op);
/// The vector engines' instruction for it, if there is one.
std::optional<efrt::npu::Opcode> opcodeOf(ef::UnaryKind kind);
std::optional<efrt::npu::Opcode> opcodeOf(ef::BinaryKind kind);

} // namespace efc::npu

#endif
