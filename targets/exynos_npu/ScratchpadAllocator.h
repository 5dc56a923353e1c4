// Places buffers in the scratchpad while a program's commands go by in order.
#ifndef EFC_TARGETS_EXYNOSNPU_SCRATCHPADALLOCATOR_H
#define EFC_TARGETS_EXYNOSNPU_SCRATCHPADALLOCATOR_H

#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <optional>
#include <string>

namespace efc::npu {

/// Free memory as segments that remember when they became free: what was used a
/// moment ago may still be read by another queue, and a buffer put there would
/// have to wait for it.
class ScratchpadAllocator {
public:
  static constexpr int64_t alignment = 64;

  explicit ScratchpadAllocator(int64_t capacity);

  /// The place of `bytes`, which start and end on the alignment, or nothing if
  /// no free range is large enough. Among the ranges that have been free for
  /// longest, the lowest one for a buffer that stays long and the highest one
  /// for the others, so that they do not break up each other's ranges.
  std::optional<int64_t> allocate(int64_t bytes, int64_t now, bool staysLong);
  /// What allocate() gave becomes free at `now`.
  void release(int64_t address, int64_t bytes, int64_t now);

  int64_t freeBytes() const;
  int64_t largestFree() const;

private:
  struct Segment {
    int64_t begin, end;
    int64_t freedAt;
  };

  llvm::SmallVector<Segment, 0> segments; ///< By address.
};

} // namespace efc::npu

#endif
