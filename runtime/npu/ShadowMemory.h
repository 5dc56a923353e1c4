// For each granule of a memory, who wrote it last and who has read it since.
// Commands touch rows of many granules, so neighbours mostly agree: each page
// keeps runs of granules with equal states.
#ifndef EFRT_NPU_SHADOWMEMORY_H
#define EFRT_NPU_SHADOWMEMORY_H

#include "npu/Command.h"

#include <algorithm>
#include <vector>

namespace efrt::npu {

/// `Granule`: bytes, 16 or 64. `Readers`: queues that can access the memory,
/// the first ones.
template <uint64_t Granule, size_t Readers> class ShadowMemory {
public:
  static constexpr uint64_t kGranule = Granule;
  static constexpr uint32_t kPageGranules = 64;
  using Mask = uint64_t;
  static constexpr Mask kAllBytes =
      Granule == 64 ? ~Mask(0) : (Mask(1) << Granule % 64) - 1;

  /// Commands are counted from 1 here; 0: none.
  struct State {
    uint32_t writer = 0; ///< The last one, over all queues.
    Mask written = 0;    ///< Bytes that something wrote.
    /// What that one wrote: bytes, and of which of its accesses, which begins
    /// in granule `origin`.
    Mask byWriter = 0;
    uint32_t origin = 0, part = 0;
    /// Since then, by queue: the last one's index + 1.
    std::array<uint32_t, Readers> readers = {};
    bool operator==(const State &) const = default;
  };

  explicit ShadowMemory(uint64_t bytes)
      : pages((bytes + kPageGranules * Granule - 1) /
              (kPageGranules * Granule)) {}

  /// Calls visit(State &, mask, first granule, number of granules) for all
  /// granules of [begin, end), in order: `mask` are the bytes of each granule
  /// that are touched. One call may stand for a run of equal granules, all of
  /// which get what visit makes of the state. Stops when it returns false.
  template <typename Visit>
  bool visitRow(uint64_t begin, uint64_t end, Visit &&visit) {
    uint64_t first = begin / Granule, last = (end - 1) / Granule;
    if (first == last)
      return visitOne(first, maskOf(begin % Granule, (end - 1) % Granule + 1),
                      visit);
    if (begin % Granule != 0) {
      if (!visitOne(first, maskOf(begin % Granule, Granule), visit))
        return false;
      ++first;
    }
    bool hasTail = end % Granule != 0;
    uint64_t wholeEnd = hasTail ? last : last + 1;
    if (!visitWhole(first, wholeEnd, visit))
      return false;
    return !hasTail || visitOne(last, maskOf(0, end % Granule), visit);
  }

private:
  struct Run {
    uint32_t begin = 0; ///< First granule in the page; ends at the next run.
    State state;
  };
  using Page = std::vector<Run>; ///< Empty: nothing has touched it.

  static Mask maskOf(uint64_t begin, uint64_t end) {
    Mask upTo = end == 64 ? ~Mask(0) : (Mask(1) << end) - 1;
    return upTo & ~((Mask(1) << begin) - 1);
  }

  template <typename Visit>
  bool visitOne(uint64_t granule, Mask mask, Visit &visit) {
    uint32_t at = granule % kPageGranules;
    return visitRuns(granule - at, at, at + 1, mask, visit);
  }

  template <typename Visit>
  bool visitWhole(uint64_t granule, uint64_t end, Visit &visit) {
    while (granule < end) {
      uint32_t at = granule % kPageGranules;
      uint32_t stop = std::min<uint64_t>(kPageGranules, at + (end - granule));
      if (!visitRuns(granule - at, at, stop, kAllBytes, visit))
        return false;
      granule += stop - at;
    }
    return true;
  }

  /// Granules [begin, end) of the page whose first granule is `base`.
  template <typename Visit>
  bool visitRuns(uint64_t base, uint32_t begin, uint32_t end, Mask mask,
                 Visit &visit) {
    Page &page = pages[base / kPageGranules];
    if (page.empty())
      page.emplace_back();
    size_t first = cut(page, begin);
    size_t last = end == kPageGranules ? page.size() : cut(page, end);
    for (size_t i = first; i < last; ++i) {
      uint32_t stop = i + 1 < page.size() ? page[i + 1].begin : kPageGranules;
      if (!visit(page[i].state, mask, base + page[i].begin,
                 uint64_t(stop - page[i].begin)))
        return false;
    }
    join(page, first > 0 ? first - 1 : 0, std::min(last + 1, page.size()));
    return true;
  }

  /// The index of the run that begins at `granule`, which is made if need be.
  static size_t cut(Page &page, uint32_t granule) {
    auto run = std::ranges::lower_bound(page, granule, {}, &Run::begin);
    if (run != page.end() && run->begin == granule)
      return run - page.begin();
    Run tail = {granule, std::prev(run)->state};
    return page.insert(run, tail) - page.begin();
  }

  /// Makes one of equal neighbours among runs [first, last).
  static void join(Page &page, size_t first, size_t last) {
    auto begin = page.begin() + first, end = page.begin() + last;
    page.erase(std::unique(begin, end,
                           [](const Run &a, const Run &b) {
                             return a.state == b.state;
                           }),
               end);
  }

  std::vector<Page> pages;
};

/// Calls visit(begin, end) for each row of the access, in order; stops when it
/// returns false.
template <typename Visit> bool forEachRow(const Access &access, Visit &&visit) {
  const auto &[e0, e1, e2, e3] = access.extents;
  for (uint64_t i = 0; i < e0; ++i)
    for (uint64_t j = 0; j < e1; ++j)
      for (uint64_t k = 0; k < e2; ++k) {
        uint64_t base = access.base +
                        i * static_cast<uint64_t>(access.strides[0]) +
                        j * static_cast<uint64_t>(access.strides[1]) +
                        k * static_cast<uint64_t>(access.strides[2]);
        for (uint64_t l = 0; l < e3; ++l) {
          if (!visit(base, base + access.rowBytes))
            return false;
          base += static_cast<uint64_t>(access.strides[3]);
        }
      }
  return true;
}

} // namespace efrt::npu

#endif
