// n-d copies: dimensions that are contiguous on both sides become one memcpy.
#include "npu/simulator/Execution.h"

#include <cstring>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::simulator;

namespace {
struct CopyDimension {
  uint64_t extent;
  int64_t from, to; ///< Strides.
};
} // namespace

template <size_t Bytes>
static void copyElements(const CopyDimension &dimension, const std::byte *from,
                         std::byte *to) {
  for (uint64_t i = 0; i < dimension.extent;
       ++i, from += dimension.from, to += dimension.to)
    std::memcpy(to, from, Bytes);
}

static void copy(std::span<const CopyDimension> dimensions, size_t rowBytes,
                 const std::byte *from, std::byte *to) {
  if (dimensions.empty()) {
    std::memcpy(to, from, rowBytes);
    return;
  }
  if (dimensions.size() == 1 && rowBytes <= 4 && rowBytes != 3) {
    if (rowBytes == 1)
      return copyElements<1>(dimensions[0], from, to);
    return rowBytes == 2 ? copyElements<2>(dimensions[0], from, to)
                         : copyElements<4>(dimensions[0], from, to);
  }
  for (uint64_t i = 0; i < dimensions[0].extent; ++i)
    copy(dimensions.subspan(1), rowBytes,
         from + static_cast<int64_t>(i) * dimensions[0].from,
         to + static_cast<int64_t>(i) * dimensions[0].to);
}

void simulator::execute(const DmaCommand &dma, ExecutionContext &context) {
  std::byte *scratch = context.memory.scratch + dma.address,
            *dram = static_cast<std::byte *>(context.memory.slots[dma.slot]) +
                    dma.offset;
  size_t rowBytes = dma.elementBytes;
  std::vector<CopyDimension> dimensions; // Innermost last.
  for (size_t i = dma.extents.size(); i-- > 0;) {
    if (dma.extents[i] == 1)
      continue;
    int64_t from = dma.isStore ? dma.scratchStrides[i] : dma.dramStrides[i],
            to = dma.isStore ? dma.dramStrides[i] : dma.scratchStrides[i];
    auto step = static_cast<int64_t>(rowBytes);
    if (dimensions.empty() && from == step && to == step)
      rowBytes *= dma.extents[i];
    else
      dimensions.insert(dimensions.begin(), {dma.extents[i], from, to});
  }
  const std::byte *from = dma.isStore ? scratch : dram;
  std::byte *to = dma.isStore ? dram : scratch;
  constexpr uint64_t sharedBytes = 1 << 18;
  if (dimensions.empty() || dma.numBytes() < sharedBytes) {
    copy(dimensions, rowBytes, from, to);
    return;
  }
  parallelFor(
      context.pool, dimensions[0].extent, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          copy(std::span(dimensions).subspan(1), rowBytes,
               from + i * dimensions[0].from, to + i * dimensions[0].to);
      });
}
