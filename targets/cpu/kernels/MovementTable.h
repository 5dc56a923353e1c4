// Kernels that pick elements by tables which are known when the model is
// compiled: padding, nearest-neighbour resizing.
#ifndef EFC_TARGETS_CPU_KERNELS_MOVEMENTTABLE_H
#define EFC_TARGETS_CPU_KERNELS_MOVEMENTTABLE_H

#include "targets/cpu/kernels/Kernels.h"

namespace efc::cpu {

/// A constant of @main that a kernel reads: shape [values.size()].
mlir::Value createTable(mlir::OpBuilder &main, mlir::Location loc,
                        llvm::ArrayRef<int32_t> values);

/// result[i, j, ...] = input[sources[0][i], sources[1][j], ...], or the filling
/// where one of the sources is -1.
struct TableCopy {
  mlir::Value input;
  /// One list a dimension; an empty one leaves the dimension as it is.
  llvm::SmallVector<std::vector<int64_t>> sources;
  /// A tensor of @main with one element; null fills with `fillValue`.
  mlir::Value fill;
  double fillValue = 0;
};

/// Emits the launch; the result replaces that of `view.root`.
mlir::Value emitTableCopy(const TableCopy &copy, const KernelView &view,
                          mlir::OpBuilder &main, DispatchBuilder &dispatches);

} // namespace efc::cpu

#endif
