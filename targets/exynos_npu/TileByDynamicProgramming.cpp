// Tiling by dynamic programming over the cut points: best[j] is the cheapest
// way to run layers [0, j), the last group being [i, j) for some i.
#include "targets/exynos_npu/LayerSignature.h"
#include "targets/exynos_npu/Tiling.h"

#include "llvm/ADT/StringMap.h"

#include <algorithm>
#include <limits>

using namespace efc::npu;

/// Longest group that is tried. A transformer block with its projections has
/// about twenty layers.
static constexpr int kLongestGroup = 28;

namespace {
/// Prices runs of layers, each structure once.
class GroupTable {
public:
  explicit GroupTable(const TilingProblem &problem) : problem(problem) {}

  const std::optional<Group> &lookup(int first, int last) {
    auto [entry, isNew] =
        groups.try_emplace(signatureOf(problem.graph, first, last));
    if (isNew)
      entry->second = problem.bestGroup(first, last);
    return entry->second;
  }

private:
  const TilingProblem &problem;
  llvm::StringMap<std::optional<Group>> groups;
};
} // namespace

llvm::Expected<Tiling>
efc::npu::tileByDynamicProgramming(const TilingProblem &problem) {
  if (llvm::Error error = problem.check())
    return error;
  int count = problem.graph.layers.size();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> best(count + 1, infinity);
  std::vector<Group> lastGroup(count + 1);
  GroupTable table(problem);
  best[0] = 0;
  for (int first = 0; first < count; ++first) {
    int longest = problem.mlt == MltMode::Full
                      ? std::min(count, first + kLongestGroup)
                      : first + 1;
    for (int last = first + 1; last <= longest; ++last) {
      // A longer run contains what could not share a group.
      if (!mayShareGroup(problem.graph, first, last, /*tiled=*/false))
        break;
      const std::optional<Group> &group = table.lookup(first, last);
      if (!group || best[first] + group->cycles >= best[last])
        continue;
      best[last] = best[first] + group->cycles;
      lastGroup[last] = *group;
      lastGroup[last].first = first;
      lastGroup[last].last = last;
    }
  }
  Tiling tiling;
  tiling.cycles = best[count];
  for (int end = count; end > 0; end = lastGroup[end].first)
    tiling.groups.push_back(lastGroup[end]);
  std::reverse(tiling.groups.begin(), tiling.groups.end());
  return tiling;
}
