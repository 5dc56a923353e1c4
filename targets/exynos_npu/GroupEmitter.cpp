// Tiles of a group, their views, and the DMA commands that fill and empty them.
// See GroupEmitter.h.
#include "targets/exynos_npu/GroupEmitter.h"

#include "targets/exynos_npu/GroupCost.h"

using namespace mlir;
using namespace efc::npu;
using efrt::DType;
using efrt::npu::DmaCommand;
using efrt::npu::View;

void GroupEmitter::emit() {
  int64_t numTiles = 1;
  for (int i = group.first; i < group.last; ++i)
    numTiles = std::max(numTiles,
                        group.numTiles(workPositions(graph, graph.layers[i])));
  const Layer &front = graph.layers[group.first];
  // A part of an attention is cut inside each head.
  int64_t heads = isAttentionPart(front.kind) ? front.heads : 1;
  int64_t each = workPositions(graph, front) / heads;
  int64_t tile = 0, perHead = llvm::divideCeil(each, group.tilePositions);
  if (heads > 1)
    numTiles = heads * perHead;
  for (tile = 0; tile < numTiles; ++tile) {
    tiles.clear();
    int64_t base = tile / perHead * each;
    Range range;
    range.begin = base + tile % perHead * group.tilePositions;
    range.end = std::min(range.begin + group.tilePositions, base + each);
    range.isFirst = tile == 0;
    range.isLast = tile == numTiles - 1;
    if (numTiles > 1 && group.last - group.first > 1)
      findNeeds(range);
    for (int i = group.first; i < group.last; ++i) {
      const Layer &layer = graph.layers[i];
      Range own = workOf(layer, range);
      if (numTiles == 1)
        own.end = workPositions(graph, layer);
      commands.setSource(layer, index, tile);
      emitLayer(layer, group.layers[i - group.first], own);
    }
  }
}

void GroupEmitter::findNeeds(const Range &range) {
  needs.clear();
  stored = range;
  auto need = [&](const Operand &operand, const Range &positions) {
    if (operand.tensor < 0 || operand.use != OperandUse::Rows)
      return;
    auto [entry, isNew] = needs.try_emplace(operand.tensor, positions);
    Range &known = entry->second;
    known.begin = std::min(known.begin, positions.begin);
    known.end = std::max(known.end, positions.end);
  };
  for (int i = group.last - 1; i >= group.first; --i) {
    const Layer &layer = graph.layers[i];
    Range own = workOf(layer, range);
    // Groups with a halo have no resize, which reads other positions.
    if (layer.kind != LayerKind::Resize)
      for (const Operand &operand : layer.inputs)
        need(operand, inputRange(layer, own));
    for (const Operand &operand : layer.epilogue.operands)
      need(operand, own);
  }
}

GroupEmitter::Range GroupEmitter::workOf(const Layer &layer,
                                         Range range) const {
  // A position that is in two tiles counts once in statistics.
  if (layer.kind == LayerKind::GroupStats)
    return range;
  if (auto known = needs.find(layer.results.front()); known != needs.end()) {
    range.begin = std::min(range.begin, known->second.begin);
    range.end = std::max(range.end, known->second.end);
  }
  return range;
}

void GroupEmitter::emitLayer(const Layer &layer, const LayerTiling &tiling,
                             Range range) {
  switch (layer.kind) {
  case LayerKind::Conv:
  case LayerKind::Matmul:
    return emitProduct(layer, tiling, range);
  case LayerKind::Attention:
    return emitAttention(layer, tiling, range);
  case LayerKind::Scores:
    return emitScoresLayer(layer, tiling, range);
  case LayerKind::Softmax:
    return emitSoftmaxLayer(layer, range);
  case LayerKind::Context:
    return emitContextLayer(layer, tiling, range);
  case LayerKind::GroupStats:
    return emitGroupStats(layer, range);
  case LayerKind::LayerNorm:
    return emitLayerNorm(layer, range);
  case LayerKind::Elementwise:
    return emitElementwise(layer, range);
  case LayerKind::Concat:
    return emitConcat(layer, range);
  case LayerKind::Resize:
    return emitResize(layer, range);
  case LayerKind::Transpose:
    return emitTranspose(layer, range);
  }
}

//===--- Tiles ------------------------------------------------------------===//

Tile GroupEmitter::makeTile(int tensor, int64_t begin, int64_t end) {
  const Tensor &t = graph.tensors[tensor];
  Value buffer = commands.alloc((end - begin) * t.channels * bytesOf(t.dtype));
  Tile tile{buffer, begin, end, 0, t.channels};
  tiles[tensor] = tile;
  return tile;
}

/// Rows of `rowBytes` from the slot, `pitch` apart, dense in the scratchpad.
static DmaCommand rowsTransfer(const DramPlan::Place &place, int64_t first,
                               int64_t rows, int64_t rowBytes, int64_t pitch,
                               int64_t elementBytes) {
  DmaCommand dma;
  dma.slot = place.slot;
  dma.offset = place.offset + first;
  dma.elementBytes = elementBytes;
  if (rowBytes == pitch) {
    rowBytes *= rows;
    rows = 1;
  }
  dma.extents[4] = rowBytes / elementBytes;
  dma.dramStrides[4] = dma.scratchStrides[4] = elementBytes;
  if (rows > 1) {
    dma.extents[3] = rows;
    dma.dramStrides[3] = pitch;
    dma.scratchStrides[3] = rowBytes;
  }
  return dma;
}

Tile GroupEmitter::fetchRows(int tensor, int64_t begin, int64_t end) {
  auto known = tiles.find(tensor);
  if (known != tiles.end() && known->second.begin <= begin &&
      end <= known->second.end)
    return known->second;
  // Later layers of the tile may read more of it.
  if (auto wanted = needs.find(tensor); wanted != needs.end()) {
    begin = std::min(begin, wanted->second.begin);
    end = std::max(end, wanted->second.end);
  }
  const Tensor &t = graph.tensors[tensor];
  Tile tile = makeTile(tensor, begin, end);
  int64_t row = t.channels * bytesOf(t.dtype);
  commands.load(tile.buffer,
                rowsTransfer(dram.tensors[tensor], begin * row, end - begin,
                             row, row, bytesOf(t.dtype)));
  return tile;
}

Tile GroupEmitter::fetchColumns(int tensor, int64_t begin, int64_t end,
                                int64_t first, int64_t channels) {
  auto known = tiles.find(tensor);
  if (known != tiles.end() && known->second.begin <= begin &&
      end <= known->second.end)
    return known->second;
  const Tensor &t = graph.tensors[tensor];
  int64_t element = bytesOf(t.dtype), pitch = t.channels * element;
  Tile tile{commands.alloc((end - begin) * channels * element), begin, end,
            first, channels};
  commands.load(tile.buffer,
                rowsTransfer(dram.tensors[tensor],
                             begin * pitch + first * element, end - begin,
                             channels * element, pitch, element));
  return tile;
}

void GroupEmitter::storeTile(int tensor, const Tile &tile) {
  if (dram.tensors[tensor].slot < 0)
    return;
  const Tensor &t = graph.tensors[tensor];
  int64_t element = bytesOf(t.dtype), pitch = t.channels * element;
  // Of the rows that two tiles compute each one stores its own.
  int64_t begin = tile.begin, end = tile.end;
  if (needs.contains(tensor)) {
    begin = std::max(begin, stored.begin);
    end = std::min(end, stored.end);
  }
  DmaCommand dma = rowsTransfer(
      dram.tensors[tensor], begin * pitch + tile.firstChannel * element,
      end - begin, tile.channels * element, pitch, element);
  dma.address = (begin - tile.begin) * tile.channels * element;
  commands.store(tile.buffer, dma);
}

Value GroupEmitter::loadBytes(int slot, int64_t offset, int64_t count,
                              DType dtype) {
  int64_t bytes = count * bytesOf(dtype);
  Value buffer = commands.alloc(bytes);
  commands.load(
      buffer, rowsTransfer({slot, offset}, 0, 1, bytes, bytes, bytesOf(dtype)));
  return buffer;
}

void GroupEmitter::loadVectors(const Layer &layer) {
  SmallVector<int> wanted;
  for (const Operand &operand : vectorsOf(layer))
    if (!vectors.contains(operand.constant) &&
        !llvm::is_contained(wanted, operand.constant))
      wanted.push_back(operand.constant);
  llvm::sort(wanted, [&](int a, int b) {
    return dram.constants[a] < dram.constants[b];
  });
  // Vectors that stand beside each other come in one transfer.
  for (size_t i = 0; i < wanted.size();) {
    int64_t begin = dram.constants[wanted[i]], end = begin;
    size_t first = i;
    for (; i < wanted.size() &&
           dram.constants[wanted[i]] == int64_t(llvm::alignTo(end, 64));
         ++i)
      end = dram.constants[wanted[i]] + graph.constants[wanted[i]].bytes();
    Value buffer =
        loadBytes(kWeightsSlot, begin, (end - begin) / 4, DType::F32);
    for (; first < i; ++first)
      vectors[wanted[first]] = {buffer, dram.constants[wanted[first]] - begin};
  }
}

bool GroupEmitter::isSums(const Operand &operand) const {
  if (operand.tensor < 0)
    return operand.constant < 0;
  int producer = graph.tensors[operand.tensor].producer;
  return producer >= 0 && graph.layers[producer].kind == LayerKind::Softmax;
}

void GroupEmitter::fetchOperands(const Layer &layer, const Range &range) {
  for (const Operand &operand : layer.epilogue.operands)
    if (operand.tensor >= 0 && operand.use == OperandUse::Rows &&
        !isSums(operand))
      fetchRows(operand.tensor, range.begin, range.end);
  loadVectors(layer);
  auto fetchVector = [&](const Operand &operand) {
    if (operand.tensor < 0 || (operand.use != OperandUse::Channel &&
                               operand.use != OperandUse::Factors))
      return;
    const Tensor &tensor = graph.tensors[operand.tensor];
    if (tensorVectors.contains(operand.tensor))
      return;
    Tile tile;
    if (auto own = tiles.find(operand.tensor); own != tiles.end())
      tile = own->second;
    else
      tile = {loadBytes(dram.tensors[operand.tensor].slot,
                        dram.tensors[operand.tensor].offset, tensor.channels,
                        tensor.dtype),
              0, 1, 0, tensor.channels};
    tensorVectors[operand.tensor] = tile;
  };
  llvm::for_each(layer.epilogue.operands, fetchVector);
  fetchVector(layer.gamma);
  fetchVector(layer.beta);
}

//===--- Views ------------------------------------------------------------===//

Format GroupEmitter::formatOf(int tensor) const {
  const Tensor &t = graph.tensors[tensor];
  return t.dtype == DType::I16 ? Format{t.dtype, t.scale, t.limit}
                               : Format{t.dtype};
}

BufferView GroupEmitter::view(const Tile &tile, const Format &format,
                              const Region &region) const {
  int64_t element = bytesOf(format.dtype), row = tile.channels * element;
  View view;
  view.dtype = format.dtype;
  view.scale = format.scale;
  view.limit = format.limit;
  view.address = (region.begin - tile.begin) * row +
                 (region.firstChannel - tile.firstChannel) * element;
  view.extents = {1, static_cast<uint32_t>(region.y),
                  static_cast<uint32_t>(region.x),
                  static_cast<uint32_t>(region.channels)};
  std::array<int64_t, 4> strides = {0, region.x * row, row, element};
  for (int i = 0; i < 4; ++i)
    view.strides[i] = view.extents[i] == 1 ? 0 : strides[i];
  return {tile.buffer, view};
}

/// One value a channel, repeated over positions.
BufferView GroupEmitter::vectorView(const Operand &operand,
                                    const Region &region) {
  Region channels;
  channels.channels = region.channels;
  channels.firstChannel = operand.firstChannel + region.firstChannel;
  if (operand.constant >= 0) {
    const auto &[buffer, byte] = vectors.at(operand.constant);
    int64_t count = graph.constants[operand.constant].n;
    if (count == 1) {
      channels.channels = 1;
      channels.firstChannel = 0;
    }
    BufferView result = view({buffer, 0, 1, 0, count}, {DType::F32}, channels);
    result.view.address += byte;
    return result;
  }
  if (graph.tensors[operand.tensor].channels == 1) {
    channels.channels = 1;
    channels.firstChannel = 0;
  }
  Format format = formatOf(operand.tensor);
  if (operand.raw)
    format.scale = 1;
  return view(tensorVectors.at(operand.tensor), format, channels);
}

BufferView GroupEmitter::operandView(const Operand &operand,
                                     const Region &region) {
  if (attentionSums && isSums(operand)) {
    Region rows = region;
    rows.firstChannel = 0;
    rows.channels = 1;
    return view(*attentionSums, {sumsType}, rows);
  }
  if (operand.use != OperandUse::Rows)
    return vectorView(operand, region);
  Region own = region;
  own.firstChannel += operand.firstChannel;
  if (graph.tensors[operand.tensor].channels == 1) {
    own.firstChannel = 0;
    own.channels = 1;
  }
  Format format = formatOf(operand.tensor);
  if (operand.raw)
    format.scale = 1;
  return view(tiles.at(operand.tensor), format, own);
}

void GroupEmitter::addOperands(SmallVectorImpl<BufferView> &views,
                               const Epilogue &epilogue, const Region &region) {
  for (const Operand &operand : epilogue.operands)
    views.push_back(operandView(operand, region));
}
