// Matrices in the order in which the microkernel reads them: cpu.pack for
// constants, a launch for what is computed at run time.
#ifndef EFC_TARGETS_CPU_KERNELS_PACKING_H
#define EFC_TARGETS_CPU_KERNELS_PACKING_H

#include "targets/cpu/kernels/Kernels.h"

namespace efc::cpu {

/// How a tensor holds the matrices B[tap, k, n]; strides in elements.
struct PackSource {
  int64_t taps = 1, k = 0, n = 0;
  int64_t tapStride = 0, kStride = 0, nStride = 0;
};

/// `weight` (constant) as panels, packed when the artifact is written; as bf16
/// where the options say so. Quantised weights become pairs of int8.
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

/// Whether packConstant makes pairs of int8 of it.
bool isPairWeight(mlir::Value weight);

} // namespace efc::cpu

#endif
