// Matrix products with a packed right-hand side: what linear layers, 1x1
// convolutions and batched products become.
#ifndef EFC_TARGETS_CPU_KERNELS_GEMM_H
#define EFC_TARGETS_CPU_KERNELS_GEMM_H

#include "targets/cpu/kernels/Epilogue.h"
#include "targets/cpu/kernels/Kernels.h"

namespace efc::cpu {

/// result[batch, m, n] = a[batch, m, k] * b[batch, k, n], then the view's
/// epilogue. Batch dimensions broadcast as in numpy.
struct Gemm {
  llvm::SmallVector<int64_t> batchShape, aBatchShape, bBatchShape;
  int64_t m = 0, n = 0, k = 0;
  mlir::Value a;      ///< Tensor of @main, row-major [aBatchShape, m, k].
  mlir::Value packed; ///< [product of bBatchShape, ceil(n / 16), k, 16].
  std::string label;  ///< Launch::op.
};
Lowered emitGemm(const KernelView &view, mlir::OpBuilder &main,
                 DispatchBuilder &dispatches, const Gemm &gemm);

/// How a tensor holds the matrices B[tap, k, n]; strides in elements.
struct PackSource {
  int64_t taps = 1, k = 0, n = 0;
  int64_t tapStride = 0, kStride = 0, nStride = 0;
};
/// `weight` (constant) as panels, packed when the artifact is written; as bf16
/// where the options say so.
mlir::Value packConstant(mlir::Value weight, const PackSource &source,
                         mlir::OpBuilder &main, const KernelOptions &options);
/// A tensor computed at run time as panels: one launch.
mlir::Value packDynamic(mlir::Value tensor, const PackSource &source,
                        mlir::OpBuilder &main, DispatchBuilder &dispatches);
/// Emits the copy of one panel: columns [16 * panel, ...) of the source, whose
/// tap 0 starts at `from`; zero beyond n. `rows` of k are copied.
void emitPackPanel(KernelBuilder &b, mlir::Value from, mlir::Value to,
                   mlir::Value panel, const PackSource &source,
                   mlir::Type stored);

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
