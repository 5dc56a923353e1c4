// Describes @main of a scheduled module in the artifact: ports, tensors,
// launches (of kernels and of NPU programs), weights.
#ifndef EFC_COMPILER_ARTIFACT_LAUNCHES_H
#define EFC_COMPILER_ARTIFACT_LAUNCHES_H

#include "compiler/artifact/ArtifactWriter.h"
#include "dialects/ef/WeightStore.h"

#include "mlir/IR/BuiltinOps.h"

namespace efc {

/// Fills `writer.model` and adds the weights' section. `module` and `store`
/// must live until the artifact is written. After addNpuPrograms, if there are
/// programs: launches name them.
llvm::Error addLaunches(mlir::ModuleOp module, ef::WeightStore &store,
                        ArtifactWriter &writer);

} // namespace efc

#endif
