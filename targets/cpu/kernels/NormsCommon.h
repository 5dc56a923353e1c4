// What the normalisations share: sums that do not depend on who computes them,
// and the launch with its epilogue.
#ifndef EFC_TARGETS_CPU_KERNELS_NORMSCOMMON_H
#define EFC_TARGETS_CPU_KERNELS_NORMSCOMMON_H

#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/Epilogue.h"
#include "targets/cpu/kernels/Kernels.h"
#include "targets/cpu/kernels/ScalarEmitterMath.h"

namespace efc::cpu {

/// A tensor argument of a kernel with its element type in @main.
struct KernelTensor {
  mlir::Value pointer;
  mlir::Type elementType;
  mlir::Value load(KernelBuilder &b, mlir::Value offset, int64_t lanes,
                   int64_t stride = 1) const {
    return loadElements(b, pointer, offset, elementType, stride, lanes);
  }
};

/// f32 or f64 (scalar or vector) as f64.
mlir::Value toDouble(KernelBuilder &b, mlir::Value value);
/// f64 as the compute type of `elementType`.
mlir::Value fromDouble(KernelBuilder &b, mlir::Value value,
                       mlir::Type elementType);
/// The sum of a vector's lanes, in a fixed order; scalars are themselves.
mlir::Value sumLanes(KernelBuilder &b, mlir::Value value);

/// Sums of term(i, lanes) for i in [lower, upper), in f64: `term` gives f64
/// scalars or vectors, one for each of `count` sums.
llvm::SmallVector<mlir::Value> emitSums(
    KernelBuilder &b, mlir::Value lower, mlir::Value upper, size_t count,
    llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, int64_t)>
        term);

/// Reads a tensor that broadcasts to the kernel's result, which is seen as a
/// matrix of rows of its last dimension.
class BroadcastRows {
public:
  BroadcastRows(mlir::RankedTensorType from, mlir::RankedTensorType to);
  /// Offset of the row's first column.
  mlir::Value getRowOffset(KernelBuilder &b, mlir::Value row) const;
  int64_t getColumnStride() const { return strides.back(); }

private:
  llvm::SmallVector<int64_t> shape, strides;
};

/// Fails with a diagnostic where a kernel cannot have this prologue or
/// epilogue.
llvm::LogicalResult checkFusion(const KernelView &view);

/// Rows of a work item, so that it has about StridedLoop::kElementsPerItem
/// elements.
int64_t getRowsPerItem(int64_t columns);

Lowered lowerGroupNorm(const KernelView &, mlir::OpBuilder &main,
                       DispatchBuilder &);
Lowered lowerLayerNorm(const KernelView &, mlir::OpBuilder &main,
                       DispatchBuilder &);
Lowered lowerSoftmax(const KernelView &, mlir::OpBuilder &main,
                     DispatchBuilder &);

} // namespace efc::cpu

#endif
