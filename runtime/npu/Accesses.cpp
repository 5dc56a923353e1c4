// What each command reads and writes, and the small sums of Command.h.
#include "npu/Command.h"

#include <algorithm>

using namespace efrt;
using namespace efrt::npu;

uint64_t DmaCommand::numBytes() const {
  uint64_t count = elementBytes;
  for (uint32_t extent : extents)
    count *= extent;
  return count;
}

uint64_t TensorCommand::macs() const {
  const std::array<uint32_t, 4> &result = epilogue.result.extents;
  uint64_t products = static_cast<uint64_t>(weights.extents[1]) *
                      weights.extents[2] * weights.extents[3];
  uint64_t outputs =
      static_cast<uint64_t>(result[1]) * result[2] * result[3] * result[0];
  return outputs * products * (gated ? 2 : 1);
}

namespace {
struct Dimension {
  uint64_t extent;
  int64_t stride;
};

/// Collects a command's accesses.
class Collector {
public:
  explicit Collector(std::vector<Access> &accesses) : accesses(accesses) {}

  void add(const View &view, bool isWrite) {
    std::vector<Dimension> dimensions;
    for (size_t i = 0; i < view.extents.size(); ++i)
      dimensions.push_back({view.extents[i], view.strides[i]});
    add(isWrite, -1, view.address, sizeOf(view.dtype), std::move(dimensions));
  }

  void add(const VectorProgram &program) {
    for (const View &operand : program.operands)
      add(operand, /*isWrite=*/false);
    add(program.result, /*isWrite=*/true);
  }

  void add(const DmaCommand &dma) {
    std::vector<Dimension> dram, scratch;
    for (size_t i = 0; i < dma.extents.size(); ++i) {
      dram.push_back({dma.extents[i], dma.dramStrides[i]});
      scratch.push_back({dma.extents[i], dma.scratchStrides[i]});
    }
    auto addDram = [&] {
      add(dma.isStore, dma.slot, dma.offset, dma.elementBytes, std::move(dram));
    };
    if (!dma.isStore)
      addDram();
    add(!dma.isStore, -1, dma.address, dma.elementBytes, std::move(scratch));
    if (dma.isStore)
      addDram();
  }

private:
  /// `dimensions` are given innermost last.
  void add(bool isWrite, int32_t slot, uint64_t base, uint64_t elementBytes,
           std::vector<Dimension> dimensions);
  void addRows(Access access, std::span<const Dimension> dimensions);

  std::vector<Access> &accesses;
};
} // namespace

/// Innermost first, without what repeats; negative strides turned round.
static std::vector<Dimension> normalise(std::vector<Dimension> dimensions,
                                        uint64_t &base) {
  std::vector<Dimension> result;
  for (Dimension &dimension : dimensions) {
    if (dimension.extent == 1 || dimension.stride == 0)
      continue;
    if (dimension.stride < 0) {
      base += static_cast<uint64_t>(dimension.stride) * (dimension.extent - 1);
      dimension.stride = -dimension.stride;
    }
    result.push_back(dimension);
  }
  std::ranges::sort(result, {}, [](const Dimension &dimension) {
    return std::pair(dimension.stride, dimension.extent);
  });
  return result;
}

void Collector::add(bool isWrite, int32_t slot, uint64_t base,
                    uint64_t elementBytes, std::vector<Dimension> dimensions) {
  Access access = {isWrite,      slot,         base,
                   elementBytes, {1, 1, 1, 1}, {0, 0, 0, 0}};
  std::vector<Dimension> kept;
  for (const Dimension &dimension :
       normalise(std::move(dimensions), access.base)) {
    auto stride = static_cast<uint64_t>(dimension.stride);
    if (kept.empty() && stride == access.rowBytes)
      access.rowBytes *= dimension.extent;
    else if (!kept.empty() &&
             stride ==
                 kept.back().extent * static_cast<uint64_t>(kept.back().stride))
      kept.back().extent *= dimension.extent;
    else
      kept.push_back(dimension);
  }
  std::ranges::reverse(kept);
  addRows(access, kept);
}

/// `dimensions` outermost first; a fifth one becomes accesses of its own.
void Collector::addRows(Access access, std::span<const Dimension> dimensions) {
  size_t room = access.extents.size();
  if (dimensions.size() > room) {
    for (uint64_t i = 0; i < dimensions[0].extent; ++i) {
      addRows(access, dimensions.subspan(1));
      access.base += static_cast<uint64_t>(dimensions[0].stride);
    }
    return;
  }
  for (size_t i = 0; i < dimensions.size(); ++i) {
    size_t at = room - dimensions.size() + i;
    access.extents[at] = dimensions[i].extent;
    access.strides[at] = dimensions[i].stride;
  }
  accesses.push_back(access);
}

namespace {
struct Visitor {
  Collector &collector;

  void operator()(const DmaCommand &body) { collector.add(body); }
  void operator()(const TensorCommand &body) {
    collector.add(body.input, false);
    collector.add(body.weights, false);
    if (body.gated)
      collector.add(body.gateWeights, false);
    collector.add(body.epilogue);
  }
  void operator()(const VectorCommand &body) { collector.add(body.program); }
  void operator()(const SoftmaxCommand &body) {
    collector.add(body.input, false);
    collector.add(body.result, true);
    collector.add(body.sums, true);
  }
  void operator()(const NormStatsCommand &body) {
    collector.add(body.input, false);
    if (body.accumulate)
      collector.add(body.stats, false);
    collector.add(body.stats, true);
  }
  void operator()(const NormFactorsCommand &body) {
    for (const View *view : {&body.stats, &body.gamma, &body.beta})
      collector.add(*view, false);
    for (const View *view : {&body.factors, &body.biases})
      collector.add(*view, true);
  }
  void operator()(const LayerNormCommand &body) {
    for (const View *view : {&body.input, &body.gamma, &body.beta})
      collector.add(*view, false);
    collector.add(body.epilogue);
  }
};
} // namespace

std::vector<Access> npu::accessesOf(const Command &command) {
  std::vector<Access> accesses;
  Collector collector(accesses);
  std::visit(Visitor{collector}, command.body);
  return accesses;
}
