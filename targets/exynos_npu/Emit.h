// From a tiled partition to its program: virtual buffers, serial order, neither
// prefetch nor addresses.
#ifndef EFC_TARGETS_EXYNOSNPU_EMIT_H
#define EFC_TARGETS_EXYNOSNPU_EMIT_H

#include "dialects/npu/NpuDialect.h"
#include "targets/exynos_npu/Tiling.h"

namespace efc::npu {

/// Puts an `npu.program` of the partition's name in front of it. The partition
/// is left alone; the caller erases it.
ProgramOp emitProgram(mlir::func::FuncOp partition, const LayerGraph &graph,
                      const Tiling &tiling, const efrt::npu::Machine &machine);

} // namespace efc::npu

#endif
