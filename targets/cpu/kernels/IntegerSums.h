// What becomes of exact integer sums: chunks are added up in binary64, and the
// whole sum becomes binary32 with one rounding, then its channel's factor.
#ifndef EFC_TARGETS_CPU_KERNELS_INTEGERSUMS_H
#define EFC_TARGETS_CPU_KERNELS_INTEGERSUMS_H

#include "targets/cpu/KernelBuilder.h"

namespace efc::cpu {

/// wide[0 .. count) (+)= sums[0 .. count): f64 and i32 at !llvm.ptr; `isFirst`
/// (i1) says that wide is overwritten. `count` is a multiple of kPanelColumns.
void emitAddChunk(KernelBuilder &b, mlir::Value sums, mlir::Value wide,
                  mlir::Value count, mlir::Value isFirst);

/// RN(RN(sum) * factor) in f32; `sum` is i32, i64 or an integer in f64, a
/// scalar or a vector as `factor` is.
mlir::Value emitScaledSum(KernelBuilder &b, mlir::Value sum,
                          mlir::Value factor);

} // namespace efc::cpu

#endif
