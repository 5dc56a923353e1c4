// Layers that only move elements: the DMA does all of it. See GroupEmitter.h.
#include "targets/exynos_npu/GroupEmitter.h"

using namespace mlir;
using namespace efc::npu;
using efrt::npu::DmaCommand;

/// Nearest neighbours by whole factors: the load reads each row and column as
/// often as it repeats.
void GroupEmitter::emitResize(const Layer &layer, const Range &range) {
  int source = layer.inputs.front().tensor, target = layer.results.front();
  const Tensor &from = graph.tensors[source];
  const Tensor &to = graph.tensors[target];
  int64_t element = bytesOf(from.dtype), pixel = from.channels * element;
  int64_t row = from.width * pixel;
  Tile result = makeTile(target, range.begin, range.end);
  int64_t firstRow = range.begin / to.width / layer.factorY;
  int64_t rows = range.size() / to.width / layer.factorY;
  DmaCommand dma;
  dma.slot = dram.tensors[source].slot;
  dma.offset = dram.tensors[source].offset + firstRow * row;
  dma.elementBytes = element;
  std::array<int64_t, 5> extents = {rows, layer.factorY, from.width,
                                    layer.factorX, from.channels};
  llvm::copy(extents, dma.extents.begin());
  dma.dramStrides = {row, 0, pixel, 0, element};
  int64_t stride = element;
  for (int i = 4; i >= 0; --i) {
    dma.scratchStrides[i] = stride;
    stride *= extents[i];
  }
  commands.load(result.buffer, dma);
  storeTile(target, result);
}

namespace {
/// A dimension of a transpose in the order of the result.
struct Dimension {
  int64_t extent;
  int64_t dramStride;    ///< Of the input, in bytes.
  int64_t scratchStride; ///< Of the result.
};
} // namespace

/// The transfer of some whole dimensions. DRAM is read in its own order, so
/// that its bursts are long: the scratchpad does not mind.
static DmaCommand makeTransfer(ArrayRef<Dimension> dimensions,
                               int64_t elementBytes) {
  SmallVector<Dimension> sorted(dimensions);
  llvm::sort(sorted, [](const Dimension &a, const Dimension &b) {
    return a.dramStride != b.dramStride ? a.dramStride > b.dramStride
                                        : a.scratchStride > b.scratchStride;
  });
  DmaCommand dma;
  dma.elementBytes = elementBytes;
  size_t at = 5 - sorted.size();
  for (const Dimension &dimension : sorted) {
    dma.extents[at] = dimension.extent;
    dma.dramStrides[at] = dimension.dramStride;
    dma.scratchStrides[at++] = dimension.scratchStride;
  }
  return dma;
}

/// Loads elements [begin, end) of a result in row-major order: at most one
/// whole block and what is left on either side of it, in each dimension.
static void loadRange(ArrayRef<Dimension> dimensions, int64_t begin,
                      int64_t end, int64_t elementBytes, int64_t dramOffset,
                      int64_t address,
                      llvm::function_ref<void(DmaCommand)> load) {
  if (begin >= end)
    return;
  const Dimension &outer = dimensions.front();
  ArrayRef<Dimension> inner = dimensions.drop_front();
  int64_t size = outer.scratchStride / elementBytes;
  int64_t first = llvm::divideCeil(begin, size), last = end / size;
  if (first > last) { // Inside one index of this dimension.
    int64_t index = begin / size;
    return loadRange(inner, begin - index * size, end - index * size,
                     elementBytes, dramOffset + index * outer.dramStride,
                     address, load);
  }
  int64_t head = first * size - begin;
  if (head > 0)
    loadRange(inner, size - head, size, elementBytes,
              dramOffset + (first - 1) * outer.dramStride, address, load);
  if (last > first) {
    SmallVector<Dimension> whole(dimensions);
    whole.front().extent = last - first;
    DmaCommand dma = makeTransfer(whole, elementBytes);
    dma.offset = dramOffset + first * outer.dramStride;
    dma.address = address + head * elementBytes;
    load(dma);
  }
  if (end > last * size)
    loadRange(inner, 0, end - last * size, elementBytes,
              dramOffset + last * outer.dramStride,
              address + (head + (last - first) * size) * elementBytes, load);
}

void GroupEmitter::emitTranspose(const Layer &layer, const Range &range) {
  int source = layer.inputs.front().tensor, target = layer.results.front();
  int64_t element = bytesOf(graph.tensors[source].dtype);
  int64_t channels = graph.tensors[target].channels;
  SmallVector<int64_t> strides(layer.extents.size());
  int64_t stride = element;
  for (size_t i = strides.size(); i-- > 0; stride *= layer.extents[i])
    strides[i] = stride;
  SmallVector<Dimension> dimensions;
  for (int64_t dim : layer.permutation)
    dimensions.push_back({layer.extents[dim], strides[dim], 0});
  stride = element;
  for (Dimension &dimension : llvm::reverse(dimensions)) {
    dimension.scratchStride = stride;
    stride *= dimension.extent;
  }
  Tile result = makeTile(target, range.begin, range.end);
  const DramPlan::Place &place = dram.tensors[source];
  loadRange(dimensions, range.begin * channels, range.end * channels, element,
            place.offset, 0, [&](DmaCommand dma) {
              dma.slot = place.slot;
              commands.load(result.buffer, dma);
            });
  storeTile(target, result);
}
