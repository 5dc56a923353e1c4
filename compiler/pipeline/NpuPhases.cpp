// See NpuPhases.h.
#include "compiler/pipeline/NpuPhases.h"

#include "dialects/ef/Locations.h"
#include "dialects/npu/NpuDialect.h"
#include "targets/exynos_npu/MachineFile.h"
#include "targets/exynos_npu/Passes.h"
#include "targets/exynos_npu/Tiling.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace efc;

static std::string machineName(const CompileOptions &options) {
  return options.machine.empty() ? npu::defaultMachine.str() : options.machine;
}

static std::vector<std::string> machineSettings(const CompileOptions &options) {
  std::vector<std::string> settings = options.machineSettings;
  if (!options.overlap)
    settings.push_back("overlap=false");
  return settings;
}

/// The machine's options of a pass.
template <typename Options>
static Options withMachine(const CompileOptions &options) {
  Options result;
  result.machine = machineName(options);
  llvm::append_range(result.machineSettings, machineSettings(options));
  return result;
}

llvm::Expected<efrt::npu::Machine>
efc::loadMachine(const CompileOptions &options) {
  llvm::Expected<npu::MachineFile> file =
      npu::loadMachine(machineName(options), machineSettings(options));
  if (!file)
    return file.takeError();
  return std::move(file->machine);
}

void efc::buildPartitionPipeline(OpPassManager &pm) {
  pm.addPass(npu::createEfcNpuPartition());
  pm.addNestedPass<func::FuncOp>(npu::createEfcNpuNarrow());
}

void efc::buildTilePipeline(OpPassManager &pm, const CompileOptions &options) {
  auto tile = withMachine<npu::EfcNpuTileOptions>(options);
  tile.mlt = options.mlt;
  pm.addNestedPass<func::FuncOp>(npu::createEfcNpuTile(tile));
}

void efc::buildNpuSchedulePipeline(OpPassManager &pm,
                                   const CompileOptions &options) {
  pm.addPass(npu::createEfcNpuEmitCommands(
      withMachine<npu::EfcNpuEmitCommandsOptions>(options)));
  pm.addNestedPass<npu::ProgramOp>(npu::createEfcNpuSchedule(
      withMachine<npu::EfcNpuScheduleOptions>(options)));
  pm.addNestedPass<npu::ProgramOp>(npu::createEfcNpuSynchronize());
}

std::vector<CpuNode> efc::collectCpuNodes(ModuleOp module) {
  std::vector<CpuNode> nodes;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  for (Operation &op : main.getBody().front())
    if (auto reason = op.getAttrOfType<StringAttr>("npu.reason"))
      nodes.push_back({ef::getNodeName(op.getLoc()).str(),
                       op.getName().stripDialect().str(), reason.str()});
  return nodes;
}

static llvm::Error addEstimates(func::FuncOp partition,
                                const efrt::npu::Machine &machine,
                                npu::MltMode mlt, NpuEstimates &sum,
                                double &largestBound) {
  FailureOr<npu::LayerGraph> graph = npu::buildLayers(partition, mlt);
  FailureOr<npu::LayerGraph> plain =
      npu::buildLayers(partition, npu::MltMode::Off);
  FailureOr<npu::Tiling> tiling = npu::tilingOf(partition);
  if (failed(graph) || failed(plain) || failed(tiling))
    return llvm::createStringError("the partition " + partition.getSymName() +
                                   " has no tiling that can be read");
  std::string binds;
  double bound =
      npu::TilingProblem(*graph, machine, mlt).lowerBoundCycles(&binds);
  sum.lowerBound += bound;
  if (bound > largestBound) {
    largestBound = bound;
    sum.binds = binds;
  }
  sum.tiled += tiling->cycles;
  npu::TilingProblem untiled(*plain, machine, npu::MltMode::Off);
  llvm::Expected<npu::Tiling> layers = npu::tileLayerByLayer(untiled);
  if (!layers)
    return layers.takeError();
  sum.layerByLayer += layers->cycles;
  return llvm::Error::success();
}

llvm::Expected<NpuEstimates> efc::estimate(ModuleOp module,
                                           const efrt::npu::Machine &machine,
                                           StringRef mlt) {
  NpuEstimates sum;
  double largestBound = 0;
  for (auto partition : module.getOps<func::FuncOp>())
    if (partition->hasAttr("npu.partition"))
      if (llvm::Error error = addEstimates(
              partition, machine, *npu::parseMltMode(mlt), sum, largestBound))
        return error;
  return sum;
}
