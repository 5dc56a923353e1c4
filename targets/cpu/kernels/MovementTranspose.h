// Transposition by square tiles of registers.
#ifndef EFC_TARGETS_CPU_KERNELS_MOVEMENTTRANSPOSE_H
#define EFC_TARGETS_CPU_KERNELS_MOVEMENTTRANSPOSE_H

#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/Kernels.h"

namespace efc::cpu {

/// Emits the launch for a permutation of dimensions whose reading (`from`, one
/// stride a dimension of the result) and writing orders differ in the innermost
/// dimension; null where tiles do not pay.
mlir::Value emitTiledTranspose(const KernelView &view, mlir::Value input,
                               const StridedAccess &from, mlir::OpBuilder &main,
                               DispatchBuilder &dispatches);

} // namespace efc::cpu

#endif
