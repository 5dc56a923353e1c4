// Attention, one head and one chunk of query positions at a time: scores on the
// tensor engines, exponentials in place on the vector engines, context on the
// tensor engines. See GroupEmitter.h.
#include "targets/exynos_npu/GroupEmitter.h"

using namespace mlir;
using namespace efc::npu;
using efrt::DType;
using efrt::npu::Instruction;
using efrt::npu::Opcode;
using efrt::npu::View;

Format GroupEmitter::scoreFormat(const Layer &layer) const {
  DType dtype = graph.tensors[layer.inputs.front().tensor].dtype;
  if (layer.kind == LayerKind::Context || layer.kind == LayerKind::Softmax)
    return formatOf(layer.inputs.front().tensor);
  return dtype == DType::I16 ? Format{dtype, layer.scoreScale} : Format{dtype};
}

/// Accumulators to scores.
static Epilogue makeScoreCode(const Layer &layer) {
  Epilogue code;
  code.code = {Instruction{Opcode::Constant, 1, 0, 0, layer.scoreFactor},
               Instruction{Opcode::Mul, 0, 0, 1, 0}};
  return code;
}

Tile GroupEmitter::fetchHead(const Operand &operand, int64_t firstRow,
                             int64_t rows, int64_t firstChannel,
                             int64_t channels) {
  return fetchColumns(operand.tensor, firstRow, firstRow + rows,
                      operand.firstChannel + firstChannel, channels);
}

/// The columns of `scores` of some keys.
void GroupEmitter::emitScores(const Layer &layer, const Range &queries,
                              int64_t head, const Tile &query, const Tile &keys,
                              const Tile &scores, int64_t firstKey,
                              int64_t numKeys) {
  const Operand &q = layer.inputs[0], &k = layer.inputs[1];
  DType dtype = graph.tensors[q.tensor].dtype;
  int64_t column = head * layer.headChannels;
  Epilogue code = makeScoreCode(layer);
  Product product;
  product.input = product.weights = dtype;
  product.k = layer.headChannels;
  product.cost = costOf(code);
  product.region = {queries.begin, queries.size(), 1, firstKey, numKeys};
  splitProduct(product, [&](const Region &region) {
    Region read = region;
    read.firstChannel = q.firstChannel + column;
    read.channels = layer.headChannels;
    // Each key is an output channel.
    Region rows = {region.firstChannel, region.channels, 1,
                   k.firstChannel + column, layer.headChannels};
    BufferView weights = view(keys, formatOf(k.tensor), rows);
    weights.view.extents = {weights.view.extents[1], 1, 1,
                            weights.view.extents[3]};
    weights.view.strides = {weights.view.strides[1], 0, 0,
                            weights.view.strides[3]};
    Format format = scoreFormat(layer);
    commands.tensor({view(query, formatOf(q.tensor), read), weights,
                     view(scores, format, region)},
                    code, {}, false, false);
  });
}

/// `firstQuery`: the query of the tile's first row.
void GroupEmitter::emitSoftmax(const Layer &layer, const Tile &scores,
                               const Tile &result, const Tile &sums,
                               int64_t firstQuery) {
  Format format = scoreFormat(layer), exponentials = {format.dtype};
  bool isInteger = format.dtype == DType::I16;
  if (isInteger)
    exponentials.scale = 1.0f / 32767;
  Format sumFormat = {isInteger ? DType::I32 : DType::F32};
  int64_t rows = scores.end - scores.begin;
  // A row counts as one channel while rows are split.
  Region all = {scores.begin, 1, rows, 0, 1};
  splitVector(all, machine.softmaxCost * layer.keys, [&](Region region) {
    region.firstChannel = 0;
    region.channels = 1;
    BufferView sum = view(sums, sumFormat, region);
    region.channels = layer.keys;
    std::optional<int64_t> offset;
    if (layer.causal)
      offset = firstQuery + region.begin - scores.begin + layer.keys -
               numQueries(layer);
    commands.softmax(
        {view(scores, format, region), view(result, exponentials, region), sum},
        offset);
  });
}

/// Some of the head's columns of the result.
void GroupEmitter::emitContext(const Layer &layer, const HeadUnit &unit,
                               const Tile &values, const Tile &result,
                               int64_t firstValue, int64_t numValues) {
  const Operand &v = layer.inputs.back();
  DType dtype = graph.tensors[v.tensor].dtype;
  bool isInteger = dtype == DType::I16;
  int target = layer.results.front();
  int64_t column = unit.head * layer.valueChannels;
  attentionSums = &unit.sums;
  sumsType = isInteger ? DType::I32 : DType::F32;
  Product product;
  product.input = product.weights = dtype;
  product.k = layer.keys;
  product.cost = costOf(layer.epilogue);
  product.region = {unit.queries.begin, unit.queries.size(), 1,
                    column + firstValue, numValues};
  splitProduct(product, [&](const Region &region) {
    Region read = region;
    read.firstChannel = 0;
    read.channels = layer.keys;
    Format exponentials = {dtype};
    if (isInteger)
      exponentials.scale = 1.0f / 32767;
    // Each channel of the values is an output channel: the matrix is read
    // down its columns.
    Region all = {0, layer.keys, 1, v.firstChannel + region.firstChannel,
                  region.channels};
    BufferView weights = view(values, formatOf(v.tensor), all);
    weights.view.extents = {static_cast<uint32_t>(region.channels), 1, 1,
                            static_cast<uint32_t>(layer.keys)};
    weights.view.strides = {weights.view.strides[3], 0, 0,
                            weights.view.strides[1]};
    SmallVector<BufferView, 8> views = {view(unit.scores, exponentials, read),
                                        weights};
    addOperands(views, layer.epilogue, region);
    views.push_back(view(result, formatOf(target), region));
    commands.tensor(views, layer.epilogue, {}, false, false);
  });
  attentionSums = nullptr;
}

int64_t GroupEmitter::numQueries(const Layer &layer) const {
  const Tensor &first = graph.tensors[layer.inputs.front().tensor];
  bool hasHeads =
      layer.kind == LayerKind::Softmax || layer.kind == LayerKind::Context;
  return hasHeads ? first.positions / layer.heads : first.positions;
}

//===--- Attention in one layer -------------------------------------------===//

/// `keys` is the head's, kept from one unit to the next if it is whole.
void GroupEmitter::emitUnitScores(const Layer &layer, const LayerTiling &tiling,
                                  HeadUnit &unit, const Tile &query,
                                  Tile &keys) {
  const Operand &k = layer.inputs[1];
  int64_t element = bytesOf(graph.tensors[k.tensor].dtype);
  int64_t rows = unit.queries.size();
  int64_t column = unit.head * layer.headChannels;
  auto load = [&](int64_t first) {
    return fetchHead(k, first, std::min(tiling.keyChunk, layer.keys - first),
                     column, layer.headChannels);
  };
  bool isWhole = tiling.keyChunk >= layer.keys;
  if (isWhole && !keys.buffer)
    keys = load(0);
  unit.scores = {commands.alloc(rows * layer.keys * element),
                 unit.queries.begin, unit.queries.end, 0, layer.keys};
  for (int64_t first = 0; first < layer.keys; first += tiling.keyChunk) {
    emitScores(layer, unit.queries, unit.head, query,
               isWhole ? keys : load(first), unit.scores, first,
               std::min(tiling.keyChunk, layer.keys - first));
  }
  unit.sums = {commands.alloc(rows * 4), unit.queries.begin, unit.queries.end,
               0, 1};
  emitSoftmax(layer, unit.scores, unit.scores, unit.sums, unit.queries.begin);
}

void GroupEmitter::emitUnitContext(const Layer &layer,
                                   const LayerTiling &tiling, HeadUnit &unit,
                                   const Tile &result, Tile &values) {
  const Operand &v = layer.inputs.back();
  int64_t column = unit.head * layer.valueChannels;
  auto load = [&](int64_t first) {
    return fetchHead(v, 0, layer.keys, column + first,
                     std::min(tiling.valueChunk, layer.valueChannels - first));
  };
  bool isWhole = tiling.valueChunk >= layer.valueChannels;
  if (isWhole && !values.buffer)
    values = load(0);
  for (int64_t first = 0; first < layer.valueChannels;
       first += tiling.valueChunk)
    emitContext(layer, unit, isWhole ? values : load(first), result, first,
                std::min(tiling.valueChunk, layer.valueChannels - first));
}

void GroupEmitter::emitAttention(const Layer &layer, const LayerTiling &tiling,
                                 const Range &range) {
  Tile query = fetchRows(layer.inputs[0].tensor, range.begin, range.end);
  fetchOperands(layer, range);
  SmallVector<HeadUnit> units;
  for (int64_t head = 0; head < layer.heads; ++head)
    for (int64_t first = range.begin; first < range.end;
         first += tiling.chunk) {
      HeadUnit &unit = units.emplace_back();
      unit.head = head;
      unit.queries.begin = first;
      unit.queries.end = std::min(first + tiling.chunk, range.end);
    }
  Tile result = makeTile(layer.results.front(), range.begin, range.end);
  // The tensor engines compute the next unit's scores while the vector engines
  // are at this one's exponentials.
  size_t lag = machine.overlap ? 1 : 0;
  Tile keys, values;
  for (size_t i = 0; i < units.size() + lag; ++i) {
    if (i < units.size()) {
      if (i > 0 && units[i].head != units[i - 1].head)
        keys = {};
      emitUnitScores(layer, tiling, units[i], query, keys);
    }
    if (i < lag)
      continue;
    HeadUnit &unit = units[i - lag];
    if (i > lag && unit.head != units[i - lag - 1].head)
      values = {};
    emitUnitContext(layer, tiling, unit, result, values);
  }
  storeTile(layer.results.front(), result);
}

//===--- Attention in three layers ----------------------------------------===//

void GroupEmitter::emitScoresLayer(const Layer &layer,
                                   const LayerTiling &tiling,
                                   const Range &range) {
  int64_t queries = numQueries(layer), head = range.begin / queries;
  Range rows = range;
  rows.begin -= head * queries;
  rows.end -= head * queries;
  const Operand &k = layer.inputs[1];
  Tile query = fetchHead(layer.inputs[0], rows.begin, rows.size(),
                         head * layer.headChannels, layer.headChannels);
  Tile result = makeTile(layer.results.front(), range.begin, range.end);
  Tile scores = result;
  scores.begin = rows.begin;
  scores.end = rows.end;
  for (int64_t first = 0; first < layer.keys; first += tiling.keyChunk) {
    int64_t count = std::min(tiling.keyChunk, layer.keys - first);
    bool isWhole = count == layer.keys;
    if (!isWhole || headTile.first != head)
      headTile = {head, fetchHead(k, first, count, head * layer.headChannels,
                                  layer.headChannels)};
    emitScores(layer, rows, head, query, headTile.second, scores, first, count);
  }
  storeTile(layer.results.front(), result);
}

void GroupEmitter::emitSoftmaxLayer(const Layer &layer, const Range &range) {
  Tile scores = fetchRows(layer.inputs[0].tensor, range.begin, range.end);
  // The scores' tile becomes the exponentials'.
  Tile result = scores;
  Tile sums = makeTile(layer.results[1], range.begin, range.end);
  emitSoftmax(layer, scores, result, sums, range.begin % numQueries(layer));
  storeTile(layer.results[0], result);
  storeTile(layer.results[1], sums);
}

void GroupEmitter::emitContextLayer(const Layer &layer,
                                    const LayerTiling &tiling,
                                    const Range &range) {
  int64_t queries = numQueries(layer);
  HeadUnit unit;
  unit.head = range.begin / queries;
  unit.queries.begin = range.begin - unit.head * queries;
  unit.queries.end = range.end - unit.head * queries;
  auto ownRows = [&](int tensor) {
    Tile tile = fetchRows(tensor, range.begin, range.end);
    tile.begin = unit.queries.begin;
    tile.end = unit.queries.end;
    return tile;
  };
  unit.scores = ownRows(layer.inputs.front().tensor);
  for (const Operand &operand : layer.epilogue.operands)
    if (isSums(operand))
      unit.sums = ownRows(operand.tensor);
  fetchOperands(layer, unit.queries);
  int target = layer.results.front();
  int64_t column = unit.head * layer.valueChannels;
  Tile result = {commands.alloc(range.size() * layer.valueChannels *
                                bytesOf(graph.tensors[target].dtype)),
                 unit.queries.begin, unit.queries.end, column,
                 layer.valueChannels};
  if (headTile.first != unit.head)
    headTile = {unit.head, {}};
  emitUnitContext(layer, tiling, unit, result, headTile.second);
  storeTile(target, result);
}
