// The independent check of a tiling: says what a solution is, without any of
// the algorithms' code.
#include "targets/exynos_npu/Tiling.h"

#include "llvm/Support/FormatVariadic.h"

using namespace efc::npu;

static llvm::Error wrong(const LayerGraph &graph, int layer,
                         const std::string &what) {
  return llvm::createStringError(
      llvm::formatv("the tiling is not a solution at layer {0} ({1}): {2}",
                    layer, graph.layers[layer].node, what));
}

static int64_t positionsOf(const LayerGraph &graph, const Layer &layer) {
  bool cutsInput = layer.kind == LayerKind::GroupStats ||
                   layer.kind == LayerKind::Softmax ||
                   layer.kind == LayerKind::Context;
  int tensor = cutsInput ? layer.inputs.front().tensor : layer.results.front();
  return graph.tensors[tensor].positions;
}

/// Whether tiles of the layer's result can be computed from tiles of its input
/// that have some more rows.
static bool isWindowOfSameExtents(const LayerGraph &graph, const Layer &layer) {
  const Tensor &from = graph.tensors[layer.inputs.front().tensor],
               &to = graph.tensors[layer.results.front()];
  return layer.strideY * layer.strideX == 1 && from.width == to.width &&
         from.height == to.height;
}

/// Within a tiled group a value must be used where it was made: by the same
/// positions, or by windows around them.
static llvm::Error verifyTiled(const LayerGraph &graph, const Group &group) {
  int64_t positions = positionsOf(graph, graph.layers[group.first]);
  for (int index = group.first; index < group.last; ++index) {
    const Layer &layer = graph.layers[index];
    if (positionsOf(graph, layer) != positions)
      return wrong(graph, index, "its positions are not those of its group");
    if (layer.kind == LayerKind::Conv &&
        group.tilePositions % graph.tensors[layer.results.front()].width != 0)
      return wrong(graph, index, "its tiles are not whole rows");
    auto check = [&](const Operand &operand) {
      if (operand.tensor < 0)
        return true;
      int producer = graph.tensors[operand.tensor].producer;
      bool isInside = producer >= group.first && producer < group.last;
      return !isInside || operand.use == OperandUse::Rows;
    };
    bool readsElsewhere = (layer.kind == LayerKind::Conv &&
                           !isWindowOfSameExtents(graph, layer)) ||
                          layer.kind == LayerKind::Resize;
    for (const Operand &operand : layer.inputs) {
      Operand own = operand;
      if (readsElsewhere)
        own.use = OperandUse::Whole;
      if (!check(own))
        return wrong(graph, index,
                     "it needs other positions of what its group computes");
    }
    for (const Operand &operand : layer.epilogue.operands)
      if (!check(operand))
        return wrong(graph, index,
                     "it needs other positions of what its group computes");
  }
  return llvm::Error::success();
}

/// Bytes of one layer's own buffers at a time: operands, results and weights.
static int64_t smallestNeed(const LayerGraph &graph, const Group &group,
                            int index) {
  const Layer &layer = graph.layers[index];
  const LayerTiling &tiling = group.layers[index - group.first];
  int64_t tile = std::min(group.tilePositions, positionsOf(graph, layer));
  int64_t bytes = 0;
  auto add = [&](const Tensor &tensor, int64_t positions) {
    bytes += std::min(positions, tensor.positions) * tensor.channels *
             efrt::sizeOf(tensor.dtype);
  };
  if (layer.kind != LayerKind::Conv && layer.kind != LayerKind::Resize)
    for (const Operand &operand : layer.inputs)
      if (operand.tensor >= 0 && operand.use == OperandUse::Rows)
        add(graph.tensors[operand.tensor], tile);
  for (int result : layer.results)
    add(graph.tensors[result], tile);
  if (layer.weights >= 0) {
    const Constant &weights = graph.constants[layer.weights];
    bytes += tiling.chunk * weights.taps * weights.k *
             efrt::sizeOf(weights.dtype) * (layer.epilogue.gated ? 2 : 1);
  }
  return bytes;
}

llvm::Error TilingProblem::verify(const Tiling &tiling) const {
  int next = 0, count = graph.layers.size();
  for (const Group &group : tiling.groups) {
    if (group.first != next || group.last <= group.first || group.last > count)
      return llvm::createStringError(llvm::formatv(
          "the tiling is not a solution: layers [{0}, {1}) do not follow {2}",
          group.first, group.last, next));
    next = group.last;
    if (group.layers.size() != static_cast<size_t>(group.last - group.first) ||
        group.tilePositions <= 0)
      return wrong(graph, group.first, "its group has no tiles");
    if (group.last - group.first > 1 && mlt != MltMode::Full)
      return wrong(graph, group.first, "groups of layers need --mlt=full");
    bool isTiled = false;
    for (int index = group.first; index < group.last; ++index) {
      const Layer &layer = graph.layers[index];
      isTiled |= group.tilePositions < positionsOf(graph, layer);
      if (layer.weights >= 0 && group.layers[index - group.first].chunk <= 0)
        return wrong(graph, index, "it has no chunk of output channels");
      if (smallestNeed(graph, group, index) > machine.scratchpadBytes)
        return wrong(graph, index, "its tile does not fit the scratchpad");
    }
    if (isTiled && group.last - group.first > 1)
      if (llvm::Error error = verifyTiled(graph, group))
        return error;
  }
  if (next != count)
    return llvm::createStringError(
        llvm::formatv("the tiling is not a solution: it ends at layer {0} of "
                      "{1}",
                      next, count));
  return llvm::Error::success();
}
