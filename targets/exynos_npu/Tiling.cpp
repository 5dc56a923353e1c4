// The tiling problem: what may share a group, the best tiles of a group, the
// lower bound. See Tiling.h.
#include "targets/exynos_npu/Tiling.h"

#include "npu/Timing.h"
#include "targets/exynos_npu/GroupCost.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace efc::npu;

/// Whether layers [first, last) compute `tensor`.
static bool isMade(const LayerGraph &graph, int tensor, int first, int last) {
  if (tensor < 0)
    return false;
  int producer = graph.tensors[tensor].producer;
  return producer >= first && producer < last;
}

/// Whether the layer can read operands that its group has just computed.
static bool mayFollow(const LayerGraph &graph, const Layer &layer, int first,
                      int last, bool tiled) {
  auto isOutside = [&](const Operand &operand) {
    return !isMade(graph, operand.tensor, first, last);
  };
  auto isFine = [&](const Operand &operand) {
    return isOutside(operand) || !tiled || operand.use == OperandUse::Rows;
  };
  bool followsInput = layer.kind != LayerKind::Resize; // The DMA repeats rows.
  if (tiled) // Statistics are sums over tiles.
    followsInput = layer.isPositionLocal() || readsHalo(graph, layer) ||
                   layer.kind == LayerKind::GroupStats;
  return (followsInput || llvm::all_of(layer.inputs, isOutside)) &&
         llvm::all_of(layer.inputs, isFine) &&
         llvm::all_of(layer.epilogue.operands, isFine);
}

/// Whether rows can be computed for the halo of a convolution in the group.
static bool mayHaveHalo(const LayerGraph &graph, int first, int last) {
  int64_t width = 0;
  for (int index = first; index < last; ++index) {
    const Layer &layer = graph.layers[index];
    // Attention is too dear to be computed twice, and a resize begins at whole
    // factors only.
    if (layer.kind == LayerKind::Attention || layer.kind == LayerKind::Resize)
      return false;
    if (layer.kind != LayerKind::Conv)
      continue;
    int64_t own = graph.tensors[layer.results.front()].width;
    if (width > 0 && own != width)
      return false;
    width = own;
  }
  return true;
}

bool efc::npu::mayShareGroup(const LayerGraph &graph, int first, int last,
                             bool tiled) {
  if (last - first <= 1)
    return true;
  int64_t positions = workPositions(graph, graph.layers[first]);
  bool hasHalo = false;
  for (int index = first; index < last; ++index) {
    const Layer &layer = graph.layers[index];
    if (layer.kind == LayerKind::Transpose || isAttentionPart(layer.kind))
      return false;
    if (tiled && workPositions(graph, layer) != positions)
      return false;
    if (!mayFollow(graph, layer, first, last, tiled))
      return false;
    hasHalo |= layer.kind == LayerKind::Conv &&
               isMade(graph, layer.inputs.front().tensor, first, last);
  }
  return !tiled || !hasHalo || mayHaveHalo(graph, first, last);
}

/// Tile sizes to try: all positions, then halves, in whole granules.
static llvm::SmallVector<int64_t> tileCandidates(const LayerGraph &graph,
                                                 int first, int last) {
  int64_t positions = 0, granule = 1;
  for (int index = first; index < last; ++index) {
    positions = std::max(positions, workPositions(graph, graph.layers[index]));
    granule = std::max(granule, tileGranule(graph, graph.layers[index]));
  }
  llvm::SmallVector<int64_t> candidates = {positions};
  bool mayTile = mayShareGroup(graph, first, last, /*tiled=*/true);
  // A part of an attention is cut inside one head.
  const Layer &only = graph.layers[first];
  int64_t whole = positions;
  if (isAttentionPart(only.kind))
    candidates[0] = whole = positions / only.heads;
  if (!mayTile)
    return candidates;
  int64_t smallest = std::max<int64_t>(granule, std::min<int64_t>(16, whole));
  for (int64_t parts = 2; whole / parts >= smallest; parts *= 2) {
    int64_t tile = llvm::alignTo(llvm::divideCeil(whole, parts), granule);
    if (tile < candidates.back())
      candidates.push_back(tile);
  }
  if (granule > 1 && candidates.back() > granule)
    candidates.push_back(granule);
  return candidates;
}

std::optional<Group> TilingProblem::bestGroup(int first, int last,
                                              std::string *why) const {
  std::string reason;
  std::optional<Group> best;
  if (!mayShareGroup(graph, first, last, /*tiled=*/false) ||
      (last - first > 1 && mlt != MltMode::Full))
    return std::nullopt;
  GroupCost cost(*this, first, last);
  for (int64_t tile : tileCandidates(graph, first, last))
    for (bool resident : {false, true}) {
      Group group;
      group.first = first;
      group.last = last;
      group.tilePositions = tile;
      if (cost.price(group, resident, reason) &&
          (!best || group.cycles < best->cycles))
        best = std::move(group);
    }
  if (!best && why)
    *why = reason;
  return best;
}

llvm::Error TilingProblem::check() const {
  for (auto [index, layer] : llvm::enumerate(graph.layers)) {
    std::string why;
    if (bestGroup(index, index + 1, &why))
      continue;
    return llvm::createStringError(llvm::formatv(
        "{0} ({1}) does not fit the scratchpad of {2} ({3} bytes) even in its "
        "smallest tile: {4}; choose a machine with a larger scratchpad "
        "(--machine), a smaller resolution, or keep the node on the CPU",
        layer.node, layer.label, machine.name, machine.scratchpadBytes, why));
  }
  return llvm::Error::success();
}

double TilingProblem::lowerBoundCycles(std::string *binds) const {
  // Everything that must cross the border once.
  double bytes = 0;
  for (const Constant &constant : graph.constants)
    bytes += constant.bytes();
  for (const Tensor &tensor : graph.tensors)
    if (tensor.input >= 0 || tensor.output >= 0)
      bytes += tensor.bytes();
  double dram = bytes * machine.clockHz / machine.dramBytesPerSecond;
  // Multiply-accumulates at the rate that the engines sustain.
  double tensor = 0, vector = 0;
  auto perCycle = [](const efrt::npu::TensorEngineSpec &engine) {
    return double(engine.count) * engine.arrayK * engine.arrayN *
           engine.arrayM * engine.utilisation;
  };
  double rate = perCycle(machine.gte) + perCycle(machine.ste);
  for (const Layer &layer : graph.layers) {
    if (layer.macs > 0) {
      efrt::DType input = graph.tensors[layer.inputs.front().tensor].dtype;
      bool isInteger = input == efrt::DType::I16;
      double relative = !isInteger           ? machine.rateF16xF16
                        : layer.weights >= 0 ? machine.rateI16xI8
                                             : machine.rateI16xI16;
      tensor += layer.macs / (rate * relative);
    }
    if (layer.kind == LayerKind::Attention || layer.kind == LayerKind::Softmax)
      vector += double(layer.keys) * workPositions(graph, layer) *
                (layer.kind == LayerKind::Attention ? layer.heads : 1) *
                machine.softmaxCost /
                (double(machine.vectorEngines) * machine.vectorLanes);
  }
  double bound = std::max({dram, tensor, vector});
  if (binds)
    *binds = bound == dram     ? "DRAM bandwidth"
             : bound == tensor ? "tensor engines"
                               : "vector engines";
  return bound;
}

llvm::Expected<Tiling>
efc::npu::tileLayerByLayer(const TilingProblem &problem) {
  if (llvm::Error error = problem.check())
    return error;
  Tiling tiling;
  for (int index = 0, e = problem.graph.layers.size(); index < e; ++index) {
    tiling.groups.push_back(*problem.bestGroup(index, index + 1));
    tiling.cycles += tiling.groups.back().cycles;
  }
  return tiling;
}
