// The time of a group, by the event model's own functions (npu/Timing.h).
#include "targets/exynos_npu/GroupCost.h"

#include "npu/Timing.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace efc::npu;
using efrt::DType;
using efrt::npu::Machine;

/// Share of the smaller of compute and DMA time that stays exposed if a tile
/// cannot be prefetched.
static constexpr double kExposedWithoutPrefetch = 0.5;
/// ... and if it can: traffic is never quite free, the next group's weights
/// want the same bandwidth.
static constexpr double kExposedWithPrefetch = 0.1;

static double epilogueCost(const Epilogue &epilogue, const Machine &machine) {
  double cost = machine.loadStoreCost;
  for (const efrt::npu::Instruction &instruction : epilogue.code)
    cost += instruction.op == efrt::npu::Opcode::Load
                ? machine.loadStoreCost
                : machine.opCost[static_cast<size_t>(instruction.op)];
  return cost;
}

/// Cycles of a product's commands when they share the tensor engines.
static double productCycles(const Machine &machine, double rate,
                            int64_t positions, int64_t taps, int64_t channels,
                            int64_t outputs, int64_t commands, double cost) {
  const efrt::npu::TensorEngineSpec &engine =
      positions == 1 && machine.ste.count > 0 ? machine.ste : machine.gte;
  double cycles = efrt::npu::tensorCycles(
      engine, rate, positions, taps, channels,
      llvm::divideCeil(outputs, std::max<int64_t>(commands, 1)), cost);
  return cycles * std::max<int64_t>(commands, 1) /
         std::max<uint32_t>(engine.count, 1);
}

double GroupCost::attentionCycles(const Layer &layer,
                                  const LayerTiling &tiling) const {
  int64_t positions = workPositions(graph, layer);
  DType dtype = graph.tensors[layer.inputs.front().tensor].dtype;
  double rate = efrt::npu::rateOf(dtype, dtype, machine);
  int64_t blocks = layer.kind == LayerKind::Attention
                       ? layer.heads * llvm::divideCeil(positions, tiling.chunk)
                       : llvm::divideCeil(positions, tiling.chunk);
  int64_t rows = std::min(positions, tiling.chunk);
  double cost = epilogueCost(layer.epilogue, machine);
  double scores = productCycles(machine, rate, rows, 1, layer.headChannels,
                                layer.keys, 1, 2 + machine.loadStoreCost);
  double context = productCycles(machine, rate, rows, 1, layer.keys,
                                 layer.valueChannels, 1, cost);
  double softmax =
      efrt::npu::vectorCycles(machine, rows * layer.keys, machine.softmaxCost) /
      std::max<uint32_t>(machine.vectorEngines, 1);
  switch (layer.kind) {
  case LayerKind::Scores:
    return blocks * scores;
  case LayerKind::Context:
    return blocks * context;
  default:
    break;
  }
  double tensor = blocks * (scores + context), vector = blocks * softmax;
  return machine.overlap ? std::max(tensor, vector) : tensor + vector;
}

double GroupCost::layerCycles(const Group &group, int index) const {
  const Layer &layer = graph.layers[index];
  const LayerTiling &tiling = group.layers[index - first];
  int64_t positions = workPositions(graph, layer);
  double tiles = group.numTiles(positions);
  // The first and the last tile have a halo on one side only.
  int64_t halo = reach[index - first] * (tiles - 1) / tiles;
  int64_t tile = std::min(group.tilePositions + halo, positions);
  double cost = epilogueCost(layer.epilogue, machine);
  auto vector = [&](int64_t elements, double each) {
    int64_t engines = std::max<uint32_t>(machine.vectorEngines, 1);
    return efrt::npu::vectorCycles(machine, llvm::divideCeil(elements, engines),
                                   each);
  };
  const Tensor &result = graph.tensors[layer.results.front()];
  switch (layer.kind) {
  case LayerKind::Conv:
  case LayerKind::Matmul: {
    const Tensor &input = graph.tensors[layer.inputs.front().tensor];
    const Constant &weights = graph.constants[layer.weights];
    int64_t outputs = result.channels * (layer.epilogue.gated ? 2 : 1);
    return tiles *
           productCycles(machine,
                         efrt::npu::rateOf(input.dtype, weights.dtype, machine),
                         tile, weights.taps, weights.k, outputs,
                         llvm::divideCeil(result.channels, tiling.chunk), cost);
  }
  case LayerKind::Attention:
  case LayerKind::Scores:
  case LayerKind::Context:
    return attentionCycles(layer, tiling);
  case LayerKind::Softmax:
    return tiles * vector(tile * result.channels, machine.softmaxCost);
  case LayerKind::GroupStats:
    return tiles *
           vector(tile * graph.tensors[layer.inputs.front().tensor].channels,
                  machine.normStatsCost);
  case LayerKind::LayerNorm:
    return tiles * vector(tile * result.channels, machine.layerNormCost + cost);
  case LayerKind::Elementwise:
  case LayerKind::Concat:
    return tiles * vector(tile * result.channels,
                          std::max(cost, 2 * machine.loadStoreCost));
  case LayerKind::Resize:
  case LayerKind::Transpose:
    return 0;
  }
  return 0;
}

void GroupCost::addTraffic(Group &group, const std::vector<Buffer> &buffers,
                           double &dmaCommands, double &exposedBytes) const {
  for (const Buffer &buffer : buffers) {
    if (!buffer.isLoaded && !buffer.isStored)
      continue;
    const Tensor &tensor = graph.tensors[buffer.tensor];
    int64_t tiles = 1;
    for (int index = buffer.begin; index <= buffer.end; ++index)
      tiles = std::max(
          tiles, group.numTiles(workPositions(graph, graph.layers[index])));
    // Halos are read once for each of two neighbouring tiles.
    int64_t moved = buffer.isLoaded
                        ? std::max(buffer.movedBytes, buffer.bytes * tiles)
                        : buffer.movedBytes;
    if (tensor.positions < group.tilePositions && buffer.isLoaded)
      moved = tensor.bytes();
    group.dramBytes += moved;
    dmaCommands += tiles;
    exposedBytes += buffer.bytes;
  }
  for (auto [offset, tiling] : llvm::enumerate(group.layers)) {
    const Layer &layer = graph.layers[first + offset];
    int64_t positions = workPositions(graph, layer);
    int64_t tiles = group.numTiles(positions);
    if (hasWeights(layer)) {
      const Constant &weights = graph.constants[layer.weights];
      int64_t loads = tiling.weightsResident ? 1 : tiles;
      group.dramBytes += loads * weights.bytes();
      dmaCommands += loads * llvm::divideCeil(
                                 graph.tensors[layer.results.front()].channels,
                                 tiling.chunk);
      continue;
    }
    bool hasKeys =
        layer.kind == LayerKind::Attention || layer.kind == LayerKind::Scores;
    bool hasValues =
        layer.kind == LayerKind::Attention || layer.kind == LayerKind::Context;
    if (!hasKeys && !hasValues)
      continue;
    int64_t element =
        efrt::sizeOf(graph.tensors[layer.inputs.front().tensor].dtype);
    // A tile of scores lies in one head, whose keys stay for all its tiles; a
    // tile of an attention needs those of every head.
    bool isWhole = layer.kind == LayerKind::Attention;
    int64_t queries = isWhole ? positions : positions / layer.heads;
    int64_t chunks =
        llvm::divideCeil(queries, std::min(tiling.chunk, group.tilePositions));
    int64_t loads = isWhole ? tiles : 1;
    int64_t keyLoads = tiling.keyChunk < layer.keys ? chunks : loads;
    int64_t valueLoads =
        tiling.valueChunk < layer.valueChannels ? chunks : loads;
    int64_t all = layer.heads * layer.keys * element;
    if (hasKeys) {
      group.dramBytes += keyLoads * all * layer.headChannels;
      dmaCommands += keyLoads * layer.heads *
                     llvm::divideCeil(layer.keys, tiling.keyChunk);
    }
    if (hasValues) {
      group.dramBytes += valueLoads * all * layer.valueChannels;
      dmaCommands += valueLoads * layer.heads *
                     llvm::divideCeil(layer.valueChannels, tiling.valueChunk);
    }
  }
}

bool GroupCost::price(Group &group, bool weightsResident,
                      std::string &why) const {
  std::vector<Buffer> buffers = collectBuffers(group);
  if (!chooseChunks(group, buffers, weightsResident, why))
    return false;
  double dmaCommands = 0, exposedBytes = 0;
  group.dramBytes = 0;
  addTraffic(group, buffers, dmaCommands, exposedBytes);
  double bytesPerCycle = machine.dramBytesPerSecond / machine.clockHz;
  double setup = machine.dmaSetupSeconds * machine.clockHz;
  double dma = group.dramBytes / bytesPerCycle +
               dmaCommands * setup / std::max<uint32_t>(machine.dmaQueues, 1);
  double compute = 0;
  for (int index = first; index < last; ++index)
    compute += layerCycles(group, index);
  if (!machine.overlap) {
    group.cycles = dma + compute;
    return true;
  }
  // The first tile's loads and the last one's stores meet the neighbours'.
  double exposed = std::min(exposedBytes / bytesPerCycle, dma) + 2 * setup;
  bool mayPrefetch = group.prefetchBytes <= planningBudget(machine);
  group.cycles =
      std::max(compute, dma) + exposed +
      (mayPrefetch ? kExposedWithPrefetch : kExposedWithoutPrefetch) *
          std::min(compute, dma);
  return true;
}
