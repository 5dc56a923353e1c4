// The kernel generators. Each takes one operation of @main (bare or ef.fused),
// emits its launches before it and returns the tensors that replace its
// results; or says that it is not one of its own (std::nullopt); or fails with
// a diagnostic at the operation.
#ifndef EFC_TARGETS_CPU_KERNELS_KERNELS_H
#define EFC_TARGETS_CPU_KERNELS_KERNELS_H

#include "targets/cpu/KernelBuilder.h"
#include "targets/cpu/KernelView.h"

#include <optional>

namespace efc::cpu {

using Lowered = std::optional<llvm::FailureOr<llvm::SmallVector<mlir::Value>>>;

class AccumulatorBounds;

struct KernelOptions {
  bool winograd = true;
  bool bf16 = false; ///< --cpu-precision=bf16: matrix products and convolutions
                     ///< read bf16 weights.
  AccumulatorBounds *bounds =
      nullptr; ///< Of products of integers (Accumulators.h); never null.
};

// Dense linear algebra (Gemm.cpp, ConvDirect.cpp, ConvWinograd.cpp,
// Attention.cpp).
Lowered lowerMatmul(const KernelView &, mlir::OpBuilder &main,
                    DispatchBuilder &, const KernelOptions &);
Lowered lowerConv(const KernelView &, mlir::OpBuilder &main, DispatchBuilder &,
                  const KernelOptions &);
Lowered lowerConvTranspose(const KernelView &, mlir::OpBuilder &main,
                           DispatchBuilder &, const KernelOptions &);
Lowered lowerAttention(const KernelView &, mlir::OpBuilder &main,
                       DispatchBuilder &, const KernelOptions &);

// Everything else (Norms.cpp, Reductions.cpp, Pool.cpp, Elementwise.cpp,
// Movement.cpp, Indexing.cpp, Resize.cpp, ...).
Lowered lowerNorm(const KernelView &, mlir::OpBuilder &main, DispatchBuilder &,
                  const KernelOptions &);
Lowered lowerReduction(const KernelView &, mlir::OpBuilder &main,
                       DispatchBuilder &, const KernelOptions &);
Lowered lowerPool(const KernelView &, mlir::OpBuilder &main, DispatchBuilder &,
                  const KernelOptions &);
Lowered lowerElementwise(const KernelView &, mlir::OpBuilder &main,
                         DispatchBuilder &, const KernelOptions &);
Lowered lowerMovement(const KernelView &, mlir::OpBuilder &main,
                      DispatchBuilder &, const KernelOptions &);
Lowered lowerIndexing(const KernelView &, mlir::OpBuilder &main,
                      DispatchBuilder &, const KernelOptions &);
Lowered lowerResize(const KernelView &, mlir::OpBuilder &main,
                    DispatchBuilder &, const KernelOptions &);
Lowered lowerQuantize(const KernelView &, mlir::OpBuilder &main,
                      DispatchBuilder &, const KernelOptions &);

} // namespace efc::cpu

#endif
