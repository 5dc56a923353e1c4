// Convolutions and matrix products: weights in chunks of output channels, each
// chunk's work split over the tensor engines. See GroupEmitter.h.
#include "targets/exynos_npu/GroupEmitter.h"

#include "targets/exynos_npu/GroupCost.h"

#include "npu/Timing.h"

using namespace mlir;
using namespace efc::npu;
using efrt::DType;
using efrt::npu::Machine;
using efrt::npu::TensorEngineSpec;
using efrt::npu::View;

/// Commands shorter than this are not worth splitting.
static constexpr double kShortCommand = 1000;

//===--- Splitting --------------------------------------------------------===//

double GroupEmitter::costOf(const Epilogue &epilogue) const {
  double cost = machine.loadStoreCost * (epilogue.operands.size() + 1);
  for (const efrt::npu::Instruction &instruction : epilogue.code)
    cost += machine.opCost[static_cast<size_t>(instruction.op)];
  return cost;
}

void GroupEmitter::splitProduct(
    const Product &product,
    llvm::function_ref<void(const Region &)> emit) const {
  const Region &all = product.region;
  bool isSmall =
      runsOnSmallEngines(all.y * all.x, product.isDepthwise, machine);
  const TensorEngineSpec &engine = isSmall ? machine.ste : machine.gte;
  double rate = efrt::npu::rateOf(product.input, product.weights, machine);
  auto cycles = [&](int64_t rows, int64_t outputs) {
    int64_t gates = product.isGated ? 2 : 1;
    return efrt::npu::tensorCycles(
        engine, rate, rows * all.x, product.taps, product.k,
        llvm::alignTo(outputs, product.isGated ? engine.arrayN : 1) * gates,
        product.cost / gates);
  };
  int64_t count = engine.count;
  double whole = cycles(all.y, all.channels);
  if (count < 2 || whole < kShortCommand)
    return emit(all);
  // Whole blocks of the array, as even as they go.
  int64_t unit = std::max<int64_t>(1, engine.arrayM / all.x);
  int64_t rows = std::min<int64_t>(
      all.y, llvm::alignTo(llvm::divideCeil(all.y, count), unit));
  int64_t outputs = std::min<int64_t>(
      all.channels,
      llvm::alignTo(llvm::divideCeil(all.channels, count), engine.arrayN));
  double byRows = cycles(rows, all.channels),
         byOutputs = cycles(all.y, outputs);
  if (byRows <= byOutputs && rows < all.y) {
    for (int64_t first = 0; first < all.y; first += rows) {
      Region piece = all;
      piece.begin += first * all.x;
      piece.y = std::min(rows, all.y - first);
      emit(piece);
    }
    return;
  }
  for (int64_t first = 0; first < all.channels; first += outputs) {
    Region piece = all;
    piece.firstChannel += first;
    piece.channels = std::min(outputs, all.channels - first);
    emit(piece);
  }
}

//===--- Weights ----------------------------------------------------------===//

GroupEmitter::Chunk GroupEmitter::fetchWeights(const Layer &layer,
                                               const LayerTiling &tiling,
                                               int64_t first) {
  std::pair<int, int64_t> key = {layer.weights, first};
  if (tiling.weightsResident)
    if (auto known = residentWeights.find(key); known != residentWeights.end())
      return known->second;
  const Constant &weights = graph.constants[layer.weights];
  int64_t channels = graph.tensors[layer.results.front()].channels;
  Chunk chunk;
  chunk.first = first;
  chunk.count = std::min(tiling.chunk, channels - first);
  int64_t each = weights.taps * weights.k;
  auto load = [&](int64_t channel) {
    return loadBytes(kWeightsSlot,
                     dram.constants[layer.weights] +
                         channel * each * bytesOf(weights.dtype),
                     chunk.count * each, weights.dtype);
  };
  chunk.weights = load(first);
  if (layer.epilogue.gated)
    chunk.gate = load(channels + first);
  if (tiling.weightsResident)
    residentWeights[key] = chunk;
  return chunk;
}

void GroupEmitter::addWeights(SmallVectorImpl<BufferView> &views,
                              const Layer &layer, const Chunk &chunk,
                              const Region &region) const {
  const Constant &weights = graph.constants[layer.weights];
  int64_t each = weights.taps * weights.k * bytesOf(weights.dtype);
  View view;
  view.dtype = weights.dtype;
  view.address = (region.firstChannel - chunk.first) * each;
  view.extents = {static_cast<uint32_t>(region.channels),
                  static_cast<uint32_t>(layer.kernelY),
                  static_cast<uint32_t>(layer.kernelX),
                  static_cast<uint32_t>(weights.k)};
  view.strides = denseStrides(view.extents, view.dtype);
  views.push_back({chunk.weights, view});
  if (layer.epilogue.gated)
    views.push_back({chunk.gate, view});
}

//===--- Commands ---------------------------------------------------------===//

GroupEmitter::Range GroupEmitter::inputRange(const Layer &layer,
                                             const Range &range) const {
  if (layer.kind != LayerKind::Conv)
    return range;
  const Tensor &input = graph.tensors[layer.inputs.front().tensor];
  const Tensor &result = graph.tensors[layer.results.front()];
  int64_t firstRow = range.begin / result.width,
          lastRow = (range.end - 1) / result.width;
  int64_t first = firstRow * layer.strideY - layer.padTop;
  int64_t last = lastRow * layer.strideY - layer.padTop +
                 (layer.kernelY - 1) * layer.dilationY;
  // A window that lies in the padding alone still needs a row to stand on.
  first = std::clamp<int64_t>(first, 0, input.height - 1);
  last = std::clamp<int64_t>(last, first, input.height - 1);
  Range rows;
  rows.begin = first * input.width;
  rows.end = (last + 1) * input.width;
  return rows;
}

void GroupEmitter::emitProduct(const Layer &layer, const LayerTiling &tiling,
                               const Range &range) {
  Range from = inputRange(layer, range);
  int64_t channels = graph.tensors[layer.results.front()].channels;
  Tile input = fetchRows(layer.inputs.front().tensor, from.begin, from.end);
  Chunk chunk = fetchWeights(layer, tiling, 0);
  fetchOperands(layer, range);
  Tile result = makeTile(layer.results.front(), range.begin, range.end);
  for (int64_t first = 0; first < channels; first += tiling.chunk) {
    if (first > 0)
      chunk = fetchWeights(layer, tiling, first);
    emitChunk(layer, chunk, input, result, range);
  }
  storeTile(layer.results.front(), result);
}

void GroupEmitter::emitChunk(const Layer &layer, const Chunk &chunk,
                             const Tile &input, const Tile &result,
                             const Range &range) {
  const Constant &weights = graph.constants[layer.weights];
  Product product;
  product.input = graph.tensors[layer.inputs.front().tensor].dtype;
  product.weights = weights.dtype;
  // A channel of a depthwise convolution has nothing to sum but its taps.
  product.taps = layer.depthwise ? 1 : weights.taps;
  product.k = layer.depthwise ? weights.taps : weights.k;
  product.isDepthwise = layer.depthwise;
  product.isGated = layer.epilogue.gated;
  product.cost = costOf(layer.epilogue);
  int64_t x = layer.kind == LayerKind::Conv
                  ? graph.tensors[layer.results.front()].width
                  : 1;
  product.region = {range.begin, range.size() / x, x, chunk.first, chunk.count};
  splitProduct(product, [&](const Region &region) {
    emitPiece(layer, chunk, input, result, region);
  });
}

void GroupEmitter::emitPiece(const Layer &layer, const Chunk &chunk,
                             const Tile &input, const Tile &result,
                             const Region &region) {
  int source = layer.inputs.front().tensor;
  const Constant &weights = graph.constants[layer.weights];
  Region read = region;
  read.firstChannel = layer.inputs.front().firstChannel;
  read.channels = weights.k;
  if (layer.depthwise) {
    read.firstChannel += region.firstChannel;
    read.channels = region.channels;
  }
  SmallVector<int64_t, 6> window;
  if (layer.kind == LayerKind::Conv) {
    Range range;
    range.begin = region.begin;
    range.end = region.begin + region.y * region.x;
    Range from = inputRange(layer, range);
    const Tensor &image = graph.tensors[source];
    read.begin = from.begin;
    read.y = from.size() / image.width;
    read.x = image.width;
    int64_t padTop = from.begin / image.width + layer.padTop -
                     region.begin / region.x * layer.strideY;
    window = {layer.strideY,   layer.strideX, layer.dilationY,
              layer.dilationX, padTop,        layer.padLeft};
  }
  SmallVector<BufferView, 8> views = {view(input, formatOf(source), read)};
  addWeights(views, layer, chunk, region);
  addOperands(views, layer.epilogue, region);
  int target = layer.results.front();
  views.push_back(view(result, formatOf(target), region));
  commands.tensor(views, layer.epilogue, window, layer.epilogue.gated,
                  layer.depthwise);
}
