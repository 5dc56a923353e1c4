// The weights of an NPU program, slot 0 of its launch, made one constant at a
// time while the artifact is written.
#ifndef EFC_COMPILER_ARTIFACT_NPUWEIGHTS_H
#define EFC_COMPILER_ARTIFACT_NPUWEIGHTS_H

#include "compiler/artifact/ArtifactWriter.h"
#include "dialects/ef/WeightStore.h"
#include "dialects/npu/NpuDialect.h"

namespace efc {

/// Gives `sink` all of slot 0; zeros between constants.
llvm::Error streamNpuWeights(npu::ProgramOp program, ef::WeightStore &store,
                             const ArtifactWriter::Sink &sink);

} // namespace efc

#endif
