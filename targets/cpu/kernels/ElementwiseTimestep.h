// The sinusoidal embedding of timesteps.
#ifndef EFC_TARGETS_CPU_KERNELS_ELEMENTWISETIMESTEP_H
#define EFC_TARGETS_CPU_KERNELS_ELEMENTWISETIMESTEP_H

#include "targets/cpu/kernels/Kernels.h"

namespace efc::cpu {

Lowered lowerTimestepEmbedding(const KernelView &, mlir::OpBuilder &main,
                               DispatchBuilder &);

} // namespace efc::cpu

#endif
