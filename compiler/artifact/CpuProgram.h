// Describes a scheduled CPU module (cpu.dispatch with offsets) in the artifact:
// ports, tensors, launches, weights.
#ifndef EFC_COMPILER_ARTIFACT_CPUPROGRAM_H
#define EFC_COMPILER_ARTIFACT_CPUPROGRAM_H

#include "compiler/artifact/ArtifactWriter.h"
#include "dialects/ef/WeightStore.h"

#include "mlir/IR/BuiltinOps.h"

namespace efc {

/// Fills `writer.model` and adds the weights' section. `module` and `store`
/// must live until the artifact is written.
llvm::Error addCpuProgram(mlir::ModuleOp module, ef::WeightStore &store,
                          ArtifactWriter &writer);

} // namespace efc

#endif
