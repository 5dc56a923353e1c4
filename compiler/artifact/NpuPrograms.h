// The NPU's programs of a scheduled module: encoded, checked, and described in
// the artifact.
#ifndef EFC_COMPILER_ARTIFACT_NPUPROGRAMS_H
#define EFC_COMPILER_ARTIFACT_NPUPROGRAMS_H

#include "compiler/artifact/ArtifactWriter.h"
#include "compiler/report/CompileReport.h"

#include "mlir/IR/BuiltinOps.h"

namespace efc {

/// Encodes each npu.program of `module`, decodes the bytes again and verifies
/// what they say: a failure is the compiler's own mistake, and names the
/// commands. Adds sections and tables to `writer` and the decoded programs to
/// `report`. Of the npu.programs only the constants stay, for the weights.
llvm::Error addNpuPrograms(mlir::ModuleOp module, ArtifactWriter &writer,
                           NpuReport &report);

} // namespace efc

#endif
