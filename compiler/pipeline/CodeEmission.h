// The last phase of the CPU target: kernels to objects, everything into the
// artifact.
#ifndef EFC_COMPILER_PIPELINE_CODEEMISSION_H
#define EFC_COMPILER_PIPELINE_CODEEMISSION_H

#include "compiler/pipeline/Compiler.h"

namespace efc {

/// `fused` is the IR of the fused phase (kernels are generated anew for each
/// variant), `scheduled` that of the scheduled phase.
llvm::LogicalResult emitArtifact(mlir::ModuleOp unscheduled,
                                 mlir::ModuleOp scheduled,
                                 llvm::StringRef output,
                                 const CompileOptions &options,
                                 CompileReport &report);

/// Launches and memory plan for one machine.
llvm::LogicalResult scheduleForCpu(mlir::ModuleOp module, llvm::StringRef cpu,
                                   const CompileOptions &options);

} // namespace efc

#endif
