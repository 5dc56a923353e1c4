// See DramPlan.h.
#include "targets/exynos_npu/DramPlan.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace efc::npu;

/// What the DMA moves at its best, and no two tensors share a granule.
static constexpr int64_t kAlignment = 64;

llvm::SmallVector<Operand> efc::npu::vectorsOf(const Layer &layer) {
  llvm::SmallVector<Operand> vectors;
  for (const Operand &operand : layer.epilogue.operands)
    if (operand.use == OperandUse::Channel && operand.constant >= 0)
      vectors.push_back(operand);
  for (const Operand *operand : {&layer.gamma, &layer.beta})
    if (operand->constant >= 0)
      vectors.push_back(*operand);
  return vectors;
}

static void placeConstants(const LayerGraph &graph, DramPlan &plan) {
  plan.constants.assign(graph.constants.size(), -1);
  int64_t &bytes = plan.slotBytes[kWeightsSlot];
  auto place = [&](int constant) {
    if (constant < 0 || plan.constants[constant] >= 0)
      return;
    plan.constants[constant] = bytes;
    bytes =
        llvm::alignTo(bytes + graph.constants[constant].bytes(), kAlignment);
  };
  for (const Layer &layer : graph.layers) {
    place(layer.weights);
    for (const Operand &vector : vectorsOf(layer))
      place(vector.constant);
  }
}

namespace {
/// A tensor of the workspace; alive from group `first` to group `last`.
struct LiveRange {
  int tensor;
  int64_t bytes;
  int first, last;
};
} // namespace

/// Largest first, each at the lowest offset where nothing alive at the same
/// time is.
static void placeWorkspace(std::vector<LiveRange> ranges, DramPlan &plan) {
  llvm::sort(ranges, [](const LiveRange &a, const LiveRange &b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.tensor < b.tensor;
  });
  std::vector<LiveRange> placed; // By offset.
  auto offsetOf = [&](const LiveRange &range) -> int64_t & {
    return plan.tensors[range.tensor].offset;
  };
  for (const LiveRange &range : ranges) {
    int64_t offset = 0;
    for (const LiveRange &other : placed) {
      if (other.last < range.first || range.last < other.first)
        continue;
      if (offset + range.bytes <= offsetOf(other))
        break;
      offset = std::max(offset, offsetOf(other) + other.bytes);
    }
    plan.tensors[range.tensor] = {kWorkspaceSlot, offset};
    plan.slotBytes[kWorkspaceSlot] =
        std::max(plan.slotBytes[kWorkspaceSlot], offset + range.bytes);
    placed.insert(
        llvm::upper_bound(placed, range,
                          [&](const LiveRange &a, const LiveRange &b) {
                            return offsetOf(a) < offsetOf(b);
                          }),
        range);
  }
}

DramPlan efc::npu::planDram(const LayerGraph &graph, const Tiling &tiling) {
  DramPlan plan;
  plan.slotBytes.assign(kFirstInputSlot + graph.numInputs + graph.numOutputs,
                        0);
  placeConstants(graph, plan);
  std::vector<int> groupOf(graph.layers.size());
  for (auto [index, group] : llvm::enumerate(tiling.groups))
    for (int layer = group.first; layer < group.last; ++layer)
      groupOf[layer] = index;

  plan.tensors.resize(graph.tensors.size());
  std::vector<LiveRange> ranges;
  for (auto [index, tensor] : llvm::enumerate(graph.tensors)) {
    auto takeSlot = [&](int slot) {
      plan.tensors[index] = {slot, 0};
      plan.slotBytes[slot] = tensor.bytes();
    };
    if (tensor.producer < 0 && tensor.input >= 0) {
      takeSlot(kFirstInputSlot + tensor.input);
      continue;
    }
    if (tensor.output >= 0) {
      takeSlot(kFirstInputSlot + graph.numInputs + tensor.output);
      continue;
    }
    if (tensor.producer < 0 || tensor.consumers.empty())
      continue;
    int first = groupOf[tensor.producer];
    int last = groupOf[tensor.consumers.back()];
    if (last > first)
      ranges.push_back(
          {static_cast<int>(index),
           static_cast<int64_t>(llvm::alignTo(tensor.bytes(), kAlignment)),
           first, last});
  }
  placeWorkspace(std::move(ranges), plan);
  return plan;
}
