// For each granule of a memory, who wrote it last and who has read it since.
// Commands touch whole buffers, so neighbours mostly agree: granules are kept
// in pages that have one state as long as all of their granules do.
#ifndef EFRT_NPU_SHADOWMEMORY_H
#define EFRT_NPU_SHADOWMEMORY_H

#include "npu/Command.h"

#include <algorithm>
#include <memory>

namespace efrt::npu {

/// `Granule`: bytes, 16 or 64. `Readers`: queues that can access the memory,
/// the first ones.
template <uint64_t Granule, size_t Readers> class ShadowMemory {
public:
  static constexpr uint64_t kGranule = Granule;
  static constexpr size_t kPageGranules = 64;
  using Mask = uint64_t;
  static constexpr Mask kAllBytes =
      Granule == 64 ? ~Mask(0) : (Mask(1) << Granule % 64) - 1;

  /// Commands are counted from 1 here; 0: none.
  struct State {
    Mask written = 0;    ///< Bytes that something wrote.
    uint32_t writer = 0; ///< The last one, over all queues.
    /// What that one wrote: bytes, and of which of its accesses, which begins
    /// in granule `origin`.
    Mask byWriter = 0;
    uint32_t origin = 0, part = 0;
    /// Since then, by queue: the last one's index + 1.
    std::array<uint32_t, Readers> readers = {};
  };

  explicit ShadowMemory(uint64_t bytes)
      : pages((bytes + kPageGranules * Granule - 1) /
              (kPageGranules * Granule)) {}

  /// Calls visit(State &, mask, first granule, number of granules) for all
  /// granules of [begin, end), in order: `mask` are the bytes of each granule
  /// that are touched. One call may stand for a page of equal granules; visit
  /// must not look at what else the row touches. Stops when it returns false.
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

  const State &at(uint64_t granule) const {
    const Page &page = pages[granule / kPageGranules];
    return page.granules ? page.granules[granule % kPageGranules]
                         : page.uniform;
  }

private:
  struct Page {
    State uniform; ///< Of all granules, unless `granules` is there.
    std::unique_ptr<State[]> granules;
  };

  static Mask maskOf(uint64_t begin, uint64_t end) {
    Mask upTo = end == 64 ? ~Mask(0) : (Mask(1) << end) - 1;
    return upTo & ~((Mask(1) << begin) - 1);
  }

  static State *split(Page &page) {
    if (!page.granules) {
      page.granules = std::make_unique<State[]>(kPageGranules);
      std::fill_n(page.granules.get(), kPageGranules, page.uniform);
    }
    return page.granules.get();
  }

  template <typename Visit>
  bool visitOne(uint64_t granule, Mask mask, Visit &visit) {
    State *states = split(pages[granule / kPageGranules]);
    return visit(states[granule % kPageGranules], mask, granule, uint64_t(1));
  }

  template <typename Visit>
  bool visitWhole(uint64_t granule, uint64_t end, Visit &visit) {
    while (granule < end) {
      Page &page = pages[granule / kPageGranules];
      size_t at = granule % kPageGranules;
      if (at == 0 && end - granule >= kPageGranules) {
        if (!visitPage(page, granule, visit))
          return false;
        granule += kPageGranules;
        continue;
      }
      State *states = split(page);
      size_t stop = std::min<uint64_t>(kPageGranules, at + (end - granule));
      for (; at < stop; ++at, ++granule)
        if (!visit(states[at], kAllBytes, granule, uint64_t(1)))
          return false;
    }
    return true;
  }

  template <typename Visit>
  bool visitPage(Page &page, uint64_t granule, Visit &visit) {
    if (!page.granules)
      return visit(page.uniform, kAllBytes, granule, uint64_t(kPageGranules));
    for (size_t i = 0; i < kPageGranules; ++i)
      if (!visit(page.granules[i], kAllBytes, granule + i, uint64_t(1)))
        return false;
    // What one command touches as a whole becomes alike.
    const State &first = page.granules[0];
    if (page.granules[kPageGranules - 1].writer == first.writer &&
        isUniform(page)) {
      State state = first;
      page.granules.reset();
      page.uniform = state;
    }
    return true;
  }

  static bool isUniform(const Page &page) {
    const State &first = page.granules[0];
    for (size_t i = 1; i < kPageGranules; ++i) {
      const State &other = page.granules[i];
      if (other.written != first.written || other.writer != first.writer ||
          other.byWriter != first.byWriter || other.origin != first.origin ||
          other.part != first.part || other.readers != first.readers)
        return false;
    }
    return true;
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
