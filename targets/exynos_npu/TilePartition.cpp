// efc-npu-tile: see Passes.td.
#include "targets/exynos_npu/GroupCost.h"
#include "targets/exynos_npu/MachineFile.h"
#include "targets/exynos_npu/Passes.h"
#include "targets/exynos_npu/Tiling.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSwitch.h"

namespace efc::npu {
#define GEN_PASS_DEF_EFCNPUTILE
#include "targets/exynos_npu/Passes.h.inc"
} // namespace efc::npu

using namespace mlir;
using namespace efc::npu;

std::optional<MltMode> efc::npu::parseMltMode(StringRef name) {
  return llvm::StringSwitch<std::optional<MltMode>>(name)
      .Case("off", MltMode::Off)
      .Case("attention", MltMode::Attention)
      .Case("full", MltMode::Full)
      .Default(std::nullopt);
}

/// Groups of several layers that run in more than one tile.
static int64_t countTiled(const LayerGraph &graph, const Tiling &tiling) {
  return llvm::count_if(tiling.groups, [&](const Group &group) {
    return group.last - group.first > 1 &&
           group.tilePositions <
               workPositions(graph, graph.layers[group.first]);
  });
}

namespace {
struct TilePartition : efc::npu::impl::EfcNpuTileBase<TilePartition> {
  using EfcNpuTileBase::EfcNpuTileBase;

  void runOnOperation() override {
    func::FuncOp partition = getOperation();
    if (!partition->hasAttr("npu.partition"))
      return;
    if (failed(tile(partition)))
      signalPassFailure();
  }

  LogicalResult tile(func::FuncOp partition) {
    std::optional<MltMode> mode = parseMltMode(mlt);
    if (!mode)
      return emitError(partition.getLoc(), "model-level tiling '")
             << mlt << "' is unknown; choose off, attention or full";
    std::vector<std::string> settings(machineSettings.begin(),
                                      machineSettings.end());
    llvm::Expected<MachineFile> file = loadMachine(machine, settings);
    if (!file)
      return emitError(partition.getLoc(), llvm::toString(file.takeError()));
    FailureOr<LayerGraph> graph = buildLayers(partition, *mode);
    if (failed(graph))
      return failure();
    TilingProblem problem(*graph, file->machine, *mode);
    llvm::Expected<Tiling> tiling = tileByDynamicProgramming(problem);
    if (!tiling)
      return emitError(partition.getLoc(), llvm::toString(tiling.takeError()));
    if (llvm::Error error = problem.verify(*tiling))
      return emitError(partition.getLoc(), "internal error: ")
             << llvm::toString(std::move(error));
    numLayers += graph->layers.size();
    numGroups += tiling->groups.size();
    numTiledGroups += countTiled(*graph, *tiling);
    Builder builder(&getContext());
    partition->setAttr("npu.mlt", builder.getStringAttr(mlt));
    partition->setAttr("npu.tiling", toAttribute(getContext(), *tiling));
    return success();
  }
};
} // namespace
