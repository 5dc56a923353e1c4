// Matrix products with a packed right-hand side: what linear layers, 1x1
// convolutions and batched products become.
#ifndef EFC_TARGETS_CPU_KERNELS_GEMM_H
#define EFC_TARGETS_CPU_KERNELS_GEMM_H

#include "targets/cpu/kernels/Accumulators.h"
#include "targets/cpu/kernels/Epilogue.h"
#include "targets/cpu/kernels/Kernels.h"
#include "targets/cpu/kernels/Packing.h"

namespace efc::cpu {

/// result[batch, m, n] = a[batch, m, k] * b[batch, k, n], then the view's
/// epilogue. Batch dimensions broadcast as in numpy.
struct Gemm {
  llvm::SmallVector<int64_t> batchShape, aBatchShape, bBatchShape;
  int64_t m = 0, n = 0, k = 0;
  mlir::Value a;      ///< Tensor of @main, row-major [aBatchShape, m, k].
  mlir::Value packed; ///< [product of bBatchShape, ceil(n / 16), k, 16].
  std::string label;  ///< Launch::op.
  // Of quantised operands:
  mlir::Value factors; ///< createChannelFactors; null: no quantised operands.
  Accumulation accumulation;
};
Lowered emitGemm(const KernelView &view, mlir::OpBuilder &main,
                 DispatchBuilder &dispatches, const Gemm &gemm);

/// Sets gemm.packed from `weight` (or any tensor: then packed by a launch) and,
/// if it is quantised, factors and accumulation.
void packOperand(Gemm &gemm, mlir::Value weight, const PackSource &source,
                 mlir::OpBuilder &main, DispatchBuilder &dispatches,
                 const KernelOptions &options);

/// Where matrix `batch` (an index into batchShape) of a tensor with `ownShape`
/// starts, in elements; `elements` is the size of one matrix.
mlir::Value emitBatchOffset(KernelBuilder &b, mlir::Value batch,
                            llvm::ArrayRef<int64_t> batchShape,
                            llvm::ArrayRef<int64_t> ownShape, int64_t elements);

/// The error for an epilogue that cannot be emitted, at the operation.
mlir::LogicalResult checkEpilogue(const KernelView &view,
                                  const Epilogue &epilogue);
/// `view.label()` with the anchor's name replaced.
std::string labelWith(const KernelView &view, llvm::StringRef anchorLabel);

} // namespace efc::cpu

#endif
