// Passes of the CPU target and the pipeline that lowers its kernels.
#ifndef EFC_TARGETS_CPU_PASSES_H
#define EFC_TARGETS_CPU_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace efc::cpu {

#define GEN_PASS_DECL
#include "targets/cpu/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "targets/cpu/Passes.h.inc"

/// Kernels (func over memrefs) to the LLVM dialect, wrapped for the runtime.
/// @main must not be in the module any more.
void buildKernelLoweringPipeline(mlir::OpPassManager &pm);

} // namespace efc::cpu

#endif
