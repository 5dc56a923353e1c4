// See GroupCost.h.
#include "targets/exynos_npu/GroupCost.h"

#include "npu/Timing.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace efc::npu;
using efrt::npu::Machine;

/// Chunks are multiples of this many output channels where memory allows.
static constexpr int64_t kChunkGranule = 32, kSmallestChunk = 8;
/// Queries at a time that keep the engines busy.
static constexpr int64_t kWantedQueries = 64;
/// Weights up to this size are not worth more than two chunks.
static constexpr int64_t kSmallWeights = 256 << 10;

int64_t efc::npu::planningBudget(const Machine &machine) {
  int64_t bytes = machine.scratchpadBytes;
  return std::max<int64_t>(bytes / 8 * 7 - (16 << 10), 0);
}

bool efc::npu::hasWeights(const Layer &layer) { return layer.weights >= 0; }

bool efc::npu::isAttentionPart(LayerKind kind) {
  return kind == LayerKind::Scores || kind == LayerKind::Softmax ||
         kind == LayerKind::Context;
}

int64_t efc::npu::workPositions(const LayerGraph &graph, const Layer &layer) {
  switch (layer.kind) {
  case LayerKind::GroupStats:
  case LayerKind::Softmax:
  case LayerKind::Context:
    return graph.tensors[layer.inputs.front().tensor].positions;
  default:
    return graph.tensors[layer.results.front()].positions;
  }
}

int64_t efc::npu::tileGranule(const LayerGraph &graph, const Layer &layer) {
  if (layer.kind == LayerKind::Conv)
    return graph.tensors[layer.results.front()].width;
  if (layer.kind == LayerKind::Resize)
    return graph.tensors[layer.results.front()].width * layer.factorY;
  return 1;
}

int64_t efc::npu::positionsRead(const LayerGraph &graph, const Layer &layer,
                                const Tensor &tensor, int64_t tile) {
  if (layer.kind == LayerKind::Conv && !layer.inputs.empty() &&
      &tensor == &graph.tensors[layer.inputs.front().tensor]) {
    int64_t rows =
        llvm::divideCeil(tile, graph.tensors[layer.results.front()].width);
    int64_t read =
        (rows - 1) * layer.strideY + (layer.kernelY - 1) * layer.dilationY + 1;
    return std::min(read, tensor.height) * tensor.width;
  }
  if (layer.kind == LayerKind::Resize)
    return tile / (layer.factorY * layer.factorX);
  return std::min(tile, tensor.positions);
}

bool efc::npu::readsHalo(const LayerGraph &graph, const Layer &layer) {
  if (layer.kind != LayerKind::Conv || layer.strideY != 1 || layer.strideX != 1)
    return false;
  const Tensor &input = graph.tensors[layer.inputs.front().tensor];
  const Tensor &result = graph.tensors[layer.results.front()];
  return input.height == result.height && input.width == result.width;
}

int64_t efc::npu::weightBytesPerChannel(const LayerGraph &graph,
                                        const Layer &layer) {
  const Constant &weights = graph.constants[layer.weights];
  return weights.taps * weights.k * efrt::sizeOf(weights.dtype) *
         (layer.epilogue.gated ? 2 : 1);
}

GroupCost::GroupCost(const TilingProblem &problem, int first, int last)
    : problem(problem), graph(problem.graph), machine(problem.machine),
      first(first), last(last), reach(last - first, 0) {
  findReach();
}

void GroupCost::findReach() {
  for (int index = last - 1; index >= first; --index) {
    const Layer &layer = graph.layers[index];
    int64_t own = reach[index - first];
    auto extend = [&](const Operand &operand, int64_t halo) {
      int producer =
          operand.tensor < 0 ? -1 : graph.tensors[operand.tensor].producer;
      if (producer >= first && producer < last)
        reach[producer - first] = std::max(reach[producer - first], own + halo);
    };
    int64_t halo = readsHalo(graph, layer)
                       ? (layer.kernelY - 1) * layer.dilationY *
                             graph.tensors[layer.results.front()].width
                       : 0;
    for (const Operand &operand : layer.inputs)
      extend(operand, halo);
    for (const Operand &operand : layer.epilogue.operands)
      extend(operand, 0);
  }
}

int64_t GroupCost::tileOf(const Group &group, int index) const {
  int64_t work = workPositions(graph, graph.layers[index]);
  return std::min(group.tilePositions + reach[index - first], work);
}

/// Whether `operand` of `layer` is kept as a tile of positions.
static bool isRows(const Operand &operand) {
  return operand.tensor >= 0 && operand.use == OperandUse::Rows;
}

std::vector<GroupCost::Buffer>
GroupCost::collectBuffers(const Group &group) const {
  std::vector<Buffer> buffers;
  llvm::DenseMap<int, size_t> indices;
  auto touch = [&](int tensor, int layer, int64_t positions, bool isResult) {
    const Tensor &t = graph.tensors[tensor];
    int64_t bytes = positions * t.channels * efrt::sizeOf(t.dtype);
    auto [entry, isNew] = indices.try_emplace(tensor, buffers.size());
    if (isNew)
      buffers.push_back({tensor, layer, layer, !isResult, false, bytes, 0});
    Buffer &buffer = buffers[entry->second];
    buffer.end = layer;
    buffer.bytes = std::max(buffer.bytes, bytes);
  };
  for (int index = first; index < last; ++index) {
    const Layer &layer = graph.layers[index];
    int64_t work = workPositions(graph, layer);
    int64_t tile = tileOf(group, index);
    auto read = [&](const Operand &operand) {
      if (operand.tensor < 0)
        return;
      const Tensor &tensor = graph.tensors[operand.tensor];
      // Keys and values stream (see streamBytes()), unless the group has just
      // computed them.
      bool isKept = operand.use == OperandUse::Whole &&
                    tensor.producer >= first && tensor.producer < last;
      if (!isRows(operand) && !isKept)
        return;
      int64_t positions =
          isKept ? tensor.positions : positionsRead(graph, layer, tensor, tile);
      touch(operand.tensor, index, positions, false);
    };
    llvm::for_each(layer.inputs, read);
    llvm::for_each(layer.epilogue.operands, read);
    for (int result : layer.results) {
      const Tensor &tensor = graph.tensors[result];
      touch(result, index,
            tensor.positions == work ? tile : std::min(tile, tensor.positions),
            true);
    }
  }
  for (Buffer &buffer : buffers) {
    const Tensor &tensor = graph.tensors[buffer.tensor];
    bool isInternal = tensor.producer >= first && tensor.producer < last;
    buffer.isStored =
        isInternal && (tensor.output >= 0 ||
                       llvm::any_of(tensor.consumers, [&](int consumer) {
                         return consumer >= last;
                       }));
    buffer.movedBytes = tensor.bytes();
  }
  return buffers;
}

/// What streams through the scratchpad while `layer` runs, once.
int64_t GroupCost::streamBytes(const Layer &layer,
                               const LayerTiling &tiling) const {
  if (hasWeights(layer))
    return tiling.weightsResident
               ? 0
               : tiling.chunk * weightBytesPerChannel(graph, layer);
  if (layer.kind != LayerKind::Attention && layer.kind != LayerKind::Scores &&
      layer.kind != LayerKind::Context)
    return 0;
  int64_t element =
      efrt::sizeOf(graph.tensors[layer.inputs.front().tensor].dtype);
  int64_t keys = tiling.keyChunk * layer.headChannels * element;
  int64_t values = layer.keys * tiling.valueChunk * element;
  if (layer.kind == LayerKind::Scores)
    return keys;
  if (layer.kind == LayerKind::Context)
    return values;
  // Scores and exponentials of one chunk of queries, and the sums.
  int64_t scores = tiling.chunk * (2 * layer.keys * element + 4);
  return keys + values + scores;
}

/// Vectors of a layer: biases, factors, gamma and beta.
static int64_t vectorBytes(const LayerGraph &graph, const Layer &layer) {
  int64_t bytes = 0;
  auto add = [&](const Operand &operand) {
    if (operand.constant >= 0)
      bytes += graph.constants[operand.constant].bytes();
    else if (operand.tensor >= 0 && (operand.use == OperandUse::Channel ||
                                     operand.use == OperandUse::Factors))
      bytes += graph.tensors[operand.tensor].bytes();
  };
  llvm::for_each(layer.epilogue.operands, add);
  add(layer.gamma);
  add(layer.beta);
  return bytes;
}

/// What stays for all tiles of the group: vectors, weights that are resident.
int64_t GroupCost::residentBytes(const Group &group) const {
  int64_t bytes = 0;
  for (int index = first; index < last; ++index)
    bytes += vectorBytes(graph, graph.layers[index]);
  for (auto [index, tiling] : llvm::enumerate(group.layers)) {
    const Layer &layer = graph.layers[first + index];
    if (tiling.weightsResident && hasWeights(layer))
      bytes += graph.constants[layer.weights].bytes();
  }
  return bytes;
}

static int64_t roundUp(int64_t value, int64_t granule) {
  return static_cast<int64_t>(llvm::alignTo(value, granule));
}

/// The largest chunk that fits twice (or once, if it must) into `available`.
static int64_t chooseChunk(int64_t channels, int64_t bytesPerChannel,
                           int64_t available) {
  int64_t parts = channels * bytesPerChannel > kSmallWeights ? 4 : 2;
  int64_t largest = std::min(
      channels, roundUp(llvm::divideCeil(channels, parts), kChunkGranule));
  for (int64_t chunk = largest; chunk > kChunkGranule; chunk -= kChunkGranule)
    if (2 * chunk * bytesPerChannel <= available)
      return chunk;
  for (int64_t chunk = std::min(channels, kChunkGranule);
       chunk >= std::min(channels, kSmallestChunk); chunk -= kSmallestChunk)
    if (chunk > 0 && chunk * bytesPerChannel <= available)
      return chunk;
  return 0;
}

/// Keys, values and queries at a time for `available` bytes; false if none fit.
static bool chooseAttention(const Layer &layer, LayerTiling &tiling,
                            int64_t positions, int64_t element,
                            int64_t available) {
  int64_t rowBytes = 2 * layer.keys * element + 4;
  for (int64_t parts = 1; parts <= layer.keys; parts *= 2) {
    tiling.keyChunk = llvm::divideCeil(layer.keys, parts);
    tiling.valueChunk = std::max<int64_t>(
        std::min<int64_t>(layer.valueChannels, kSmallestChunk),
        llvm::divideCeil(layer.valueChannels, parts));
    int64_t streams = (tiling.keyChunk * layer.headChannels +
                       layer.keys * tiling.valueChunk) *
                      element;
    // Two chunks of queries in flight: tensor and vector engines alternate.
    int64_t rows = (available - 2 * streams) / (2 * rowBytes);
    if (rows < std::min(positions, kWantedQueries))
      rows = (available - streams) / rowBytes;
    rows = std::min(rows, positions);
    if (rows > 16)
      rows = rows / 16 * 16;
    bool isLastTry = 2 * parts > layer.keys;
    if (rows >= std::min<int64_t>(positions, isLastTry ? 1 : 16)) {
      // Large chunks cost little more than small ones and leave no overlap.
      tiling.chunk = std::min<int64_t>(rows, 512);
      return true;
    }
  }
  return false;
}

bool GroupCost::chooseChunks(Group &group, const std::vector<Buffer> &buffers,
                             bool weightsResident, std::string &why) const {
  int64_t budget = planningBudget(machine);
  group.layers.assign(last - first, {});
  for (auto [index, tiling] : llvm::enumerate(group.layers))
    tiling.weightsResident =
        weightsResident && hasWeights(graph.layers[first + index]);
  int64_t resident = residentBytes(group);
  bool isTiled = false;
  group.scratchBytes = group.prefetchBytes = 0;
  for (int index = first; index < last; ++index) {
    const Layer &layer = graph.layers[index];
    LayerTiling &tiling = group.layers[index - first];
    int64_t live = resident, nextTile = 0;
    int64_t positions = tileOf(group, index);
    isTiled |= group.tilePositions < workPositions(graph, layer);
    for (const Buffer &buffer : buffers) {
      if (buffer.begin <= index && index <= buffer.end)
        live += buffer.bytes;
      if (buffer.isLoaded && isTiled)
        nextTile += buffer.bytes;
    }
    bool fits = live <= budget;
    if (hasWeights(layer)) {
      int64_t channels = graph.tensors[layer.results.front()].channels;
      tiling.chunk =
          tiling.weightsResident
              ? std::min(channels,
                         roundUp(llvm::divideCeil(channels, 2), kChunkGranule))
              : chooseChunk(channels, weightBytesPerChannel(graph, layer),
                            budget - live);
      fits &= tiling.chunk > 0;
    } else if (layer.kind == LayerKind::Attention ||
               layer.kind == LayerKind::Scores ||
               layer.kind == LayerKind::Context) {
      int64_t element =
          efrt::sizeOf(graph.tensors[layer.inputs.front().tensor].dtype);
      // Leave room for the next tile's loads, unless so few queries at a time
      // remain that the engines would not be kept busy.
      int64_t available = budget - live;
      bool hasRoom = chooseAttention(layer, tiling, positions, element,
                                     available - nextTile) &&
                     tiling.chunk >= std::min(positions, kWantedQueries);
      if (!hasRoom)
        fits &= chooseAttention(layer, tiling, positions, element, available);
    }
    if (!fits) {
      why =
          "a tile of " + std::to_string(positions) + " positions needs " +
          std::to_string(live) + " bytes for activations" +
          (hasWeights(layer)
               ? " and " + std::to_string(weightBytesPerChannel(graph, layer)) +
                     " bytes for each output channel's weights"
               : std::string()) +
          " of " + std::to_string(budget) + " available";
      return false;
    }
    int64_t stream = streamBytes(layer, tiling);
    group.scratchBytes = std::max(group.scratchBytes, live + stream);
    group.prefetchBytes =
        std::max(group.prefetchBytes, live + 2 * stream + nextTile);
  }
  return true;
}
