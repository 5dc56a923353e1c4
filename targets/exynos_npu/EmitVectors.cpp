// Layers of the vector engines: element-wise programs, concatenations and
// norms. See GroupEmitter.h.
#include "targets/exynos_npu/GroupEmitter.h"

#include "npu/Timing.h"

using namespace mlir;
using namespace efc::npu;
using efrt::DType;
using efrt::npu::View;

/// Commands shorter than this are not worth splitting.
static constexpr double kShortCommand = 256;
/// Pieces of rows are multiples of this, so that even a value of four bytes a
/// row shares no granule with another piece.
static constexpr int64_t kRowUnit = 4;

void GroupEmitter::splitVector(
    const Region &region, double cost,
    llvm::function_ref<void(const Region &)> emit) const {
  int64_t rows = region.y * region.x;
  double cycles =
      efrt::npu::vectorCycles(machine, rows * region.channels, cost);
  int64_t pieces = std::clamp<int64_t>(cycles / kShortCommand, 1,
                                       std::max(machine.vectorEngines, 1u));
  Region flat = region;
  flat.y = 1;
  flat.x = rows;
  if (pieces == 1)
    return emit(flat);
  if (rows < pieces * kRowUnit) {
    int64_t each = llvm::alignTo(llvm::divideCeil(region.channels, pieces), 16);
    for (int64_t first = 0; first < region.channels; first += each) {
      Region piece = flat;
      piece.firstChannel += first;
      piece.channels = std::min(each, region.channels - first);
      emit(piece);
    }
    return;
  }
  int64_t each = llvm::alignTo(llvm::divideCeil(rows, pieces), kRowUnit);
  for (int64_t first = 0; first < rows; first += each) {
    Region piece = flat;
    piece.begin += first;
    piece.x = std::min(each, rows - first);
    emit(piece);
  }
}

void GroupEmitter::emitElementwise(const Layer &layer, const Range &range) {
  fetchOperands(layer, range);
  int target = layer.results.front();
  Tile result = makeTile(target, range.begin, range.end);
  Region all = {range.begin, 1, range.size(), 0,
                graph.tensors[target].channels};
  splitVector(all, costOf(layer.epilogue), [&](const Region &region) {
    SmallVector<BufferView, 8> views;
    addOperands(views, layer.epilogue, region);
    views.push_back(view(result, formatOf(target), region));
    commands.vector(views, layer.epilogue);
  });
  storeTile(target, result);
}

/// A program that stores its one operand.
static Epilogue makeCopy() {
  Epilogue copy;
  copy.code = {{efrt::npu::Opcode::Load, 0, 0, 0, 0}};
  copy.operands.resize(1);
  return copy;
}

void GroupEmitter::emitConcat(const Layer &layer, const Range &range) {
  int target = layer.results.front();
  Epilogue copy = makeCopy();
  for (const Operand &part : layer.inputs)
    fetchRows(part.tensor, range.begin, range.end);
  Tile result = makeTile(target, range.begin, range.end);
  int64_t first = 0;
  for (const Operand &part : layer.inputs) {
    Tile source = fetchRows(part.tensor, range.begin, range.end);
    int64_t channels = graph.tensors[part.tensor].channels;
    Region all = {range.begin, 1, range.size(), 0, channels};
    splitVector(all, costOf(copy), [&](const Region &region) {
      Region to = region;
      to.firstChannel += first;
      commands.vector({view(source, formatOf(part.tensor), region),
                       view(result, formatOf(target), to)},
                      copy);
    });
    first += channels;
  }
  storeTile(target, result);
}

void GroupEmitter::emitLayerNorm(const Layer &layer, const Range &range) {
  const Operand &input = layer.inputs.front();
  Tile source = fetchRows(input.tensor, range.begin, range.end);
  fetchOperands(layer, range);
  int target = layer.results.front();
  Tile result = makeTile(target, range.begin, range.end);
  // Statistics need whole rows.
  int64_t channels = graph.tensors[target].channels;
  auto emit = [&](const Region &region) {
    SmallVector<BufferView, 8> views;
    Region from = region;
    from.firstChannel = input.firstChannel;
    views.push_back(view(source, formatOf(input.tensor), from));
    views.push_back(operandView(layer.gamma, region));
    views.push_back(operandView(layer.beta, region));
    addOperands(views, layer.epilogue, region);
    views.push_back(view(result, formatOf(target), region));
    commands.layerNorm(views, layer.epilogue, layer.epsilon, layer.rms);
  };
  // The elements of a row count as one channel while they are split.
  Region rows = {range.begin, 1, range.size(), 0, 1};
  double cost = machine.layerNormCost + costOf(layer.epilogue);
  splitVector(rows, cost * channels, [&](Region region) {
    region.firstChannel = 0;
    region.channels = channels;
    emit(region);
  });
  storeTile(target, result);
}

//===--- Group norm -------------------------------------------------------===//

void GroupEmitter::emitGroupStats(const Layer &layer, const Range &range) {
  const Operand &input = layer.inputs.front();
  const Tensor &tensor = graph.tensors[input.tensor];
  Tile source = fetchRows(input.tensor, range.begin, range.end);
  bool isInteger = tensor.dtype == DType::I16;
  DType sumType = isInteger ? DType::I64 : DType::F64;
  Value &sums = statistics[input.tensor];
  if (range.isFirst)
    sums = commands.alloc(layer.groups * 2 * bytesOf(sumType));
  int64_t each = tensor.channels / layer.groups;
  // Each engine has groups of its own: their sums share no granule.
  int64_t engines = std::max(machine.vectorEngines, 1u);
  int64_t piece = llvm::divideCeil(layer.groups, engines);
  for (int64_t first = 0; first < layer.groups; first += piece) {
    int64_t count = std::min(piece, layer.groups - first);
    Region region = {range.begin, 1, range.size(),
                     input.firstChannel + first * each, count * each};
    BufferView from = view(source, formatOf(input.tensor), region);
    from.view.extents = {1, static_cast<uint32_t>(range.size()),
                         static_cast<uint32_t>(count),
                         static_cast<uint32_t>(each)};
    int32_t element = bytesOf(tensor.dtype);
    from.view.strides = {0, static_cast<int32_t>(source.channels) * element,
                         static_cast<int32_t>(each) * element, element};
    View to;
    to.dtype = sumType;
    to.address = first * 2 * bytesOf(sumType);
    to.extents = {1, 1, static_cast<uint32_t>(count), 2};
    to.strides = denseStrides(to.extents, sumType);
    commands.normStats({from, {sums, to}}, !range.isFirst);
  }
  if (range.isLast)
    emitNormFactors(layer, sums);
}

void GroupEmitter::emitNormFactors(const Layer &layer, Value sums) {
  const Tensor &tensor = graph.tensors[layer.inputs.front().tensor];
  bool isInteger = tensor.dtype == DType::I16;
  fetchOperands(layer, {});
  int64_t each = tensor.channels / layer.groups;
  SmallVector<BufferView, 5> views;
  View stats;
  stats.dtype = isInteger ? DType::I64 : DType::F64;
  stats.extents = {1, 1, static_cast<uint32_t>(layer.groups), 2};
  stats.strides = denseStrides(stats.extents, stats.dtype);
  views.push_back({sums, stats});
  Region all = {0, 1, 1, 0, tensor.channels};
  views.push_back(operandView(layer.gamma, all));
  views.push_back(operandView(layer.beta, all));
  SmallVector<std::pair<int, Tile>, 2> results;
  for (int target : layer.results) {
    results.emplace_back(target, makeTile(target, 0, 1));
    views.push_back(view(results.back().second, formatOf(target), all));
  }
  for (BufferView &vector : llvm::drop_begin(views)) {
    vector.view.extents = {1, 1, static_cast<uint32_t>(layer.groups),
                           static_cast<uint32_t>(each)};
    vector.view.strides = denseStrides(vector.view.extents, DType::F32);
  }
  int64_t count = tensor.positions * each;
  commands.normFactors(views, count, layer.epsilon,
                       isInteger ? tensor.scale : 1);
  for (auto &[target, tile] : results)
    storeTile(target, tile);
}
