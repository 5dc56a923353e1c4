// The phases of the exynos-npu target (docs/design/npu-target.md).
#ifndef EFC_COMPILER_PIPELINE_NPUPHASES_H
#define EFC_COMPILER_PIPELINE_NPUPHASES_H

#include "compiler/pipeline/Options.h"
#include "compiler/report/CompileReport.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

namespace efc {

/// The machine of --machine and --machine-set, --overlap applied.
llvm::Expected<efrt::npu::Machine> loadMachine(const CompileOptions &options);

/// Phase `partitioned`.
void buildPartitionPipeline(mlir::OpPassManager &pm);
/// Phase `tiled`.
void buildTilePipeline(mlir::OpPassManager &pm, const CompileOptions &options);
/// The NPU's part of phase `scheduled`: partitions become programs.
void buildNpuSchedulePipeline(mlir::OpPassManager &pm,
                              const CompileOptions &options);

/// What stays in @main after `partitioned`, and why.
std::vector<CpuNode> collectCpuNodes(mlir::ModuleOp module);

/// Prices of the tilings of a module of phase `tiled`, and their lower bound.
llvm::Expected<NpuEstimates> estimate(mlir::ModuleOp module,
                                      const efrt::npu::Machine &machine,
                                      llvm::StringRef mlt);

} // namespace efc

#endif
