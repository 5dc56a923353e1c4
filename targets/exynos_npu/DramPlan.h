// Where a program's tensors and constants are in DRAM.
#ifndef EFC_TARGETS_EXYNOSNPU_DRAMPLAN_H
#define EFC_TARGETS_EXYNOSNPU_DRAMPLAN_H

#include "targets/exynos_npu/Tiling.h"

namespace efc::npu {

inline constexpr int kWeightsSlot = 0, kWorkspaceSlot = 1, kFirstInputSlot = 2;

struct DramPlan {
  struct Place {
    int slot = -1; ///< -1: never leaves the scratchpad.
    int64_t offset = 0;
  };
  std::vector<Place> tensors;
  std::vector<int64_t> constants; ///< Offsets in the weights.
  std::vector<int64_t> slotBytes;
};

/// Operands that are vectors, one value a channel, in the order in which the
/// layer reads them: they stand beside each other in the weights.
llvm::SmallVector<Operand> vectorsOf(const Layer &layer);

/// A tensor that another group reads gets a place in the workspace, shared with
/// tensors that do not live at the same time; the partition's results are
/// written in place. `slotBytes` of inputs and outputs come from the graph.
DramPlan planDram(const LayerGraph &graph, const Tiling &tiling);

} // namespace efc::npu

#endif
