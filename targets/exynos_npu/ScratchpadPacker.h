// Places buffers with known lifetimes in the scratchpad.
#ifndef EFC_TARGETS_EXYNOSNPU_SCRATCHPADPACKER_H
#define EFC_TARGETS_EXYNOSNPU_SCRATCHPADPACKER_H

#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace efc::npu {

/// A buffer that is alive from `start` to `end`, both included. It could start
/// as late as `latestStart`; the time before that is a prefetch.
struct PackedBuffer {
  int64_t bytes = 0; ///< A multiple of the alignment.
  int64_t start = 0, latestStart = 0, end = 0;
  int64_t address = -1;
};

/// Buffers that live long or are small first, then the largest, each at the
/// lowest address where nothing else lives at the same time; if there is one,
/// an address that has been free for `slack` before and stays so afterwards,
/// since a buffer that takes the place of one that has just been used has to
/// wait for its readers. A buffer without a place makes prefetches start later,
/// and then moves smaller ones; if that does not help either, all are placed
/// anew and it comes before the others.
class ScratchpadPacker {
public:
  static constexpr int64_t alignment = 64;

  ScratchpadPacker(std::vector<PackedBuffer> &buffers, int64_t capacity,
                   int64_t slack);

  /// Gives each buffer its address; shortens prefetches where it must. Returns
  /// the buffer that finds no place, if there is one.
  std::optional<size_t> run();

  /// Buffers that have places and live when `buffer` does, by address.
  llvm::SmallVector<int, 64> conflictsOf(size_t buffer, int64_t slack);

private:
  struct PlacingOrder {
    const std::vector<PackedBuffer> &buffers;
    const std::vector<int> &failures;
    int64_t capacity;
    bool operator()(int a, int b) const;
  };

  std::optional<size_t> placeAll();
  bool tryPlace(size_t buffer, int64_t slack);
  bool shorten(size_t buffer);
  bool evict(size_t buffer);
  void insert(size_t buffer, int64_t address);
  void remove(size_t buffer);

  std::vector<PackedBuffer> &buffers;
  int64_t capacity, slack;
  /// Placed buffers by the time in which they live, in blocks.
  std::vector<std::vector<int>> blocks;
  std::vector<int> seen; ///< Marks of conflictsOf(), by buffer.
  int mark = 0;
  std::vector<int64_t> firstBlock; ///< Of each placed buffer.
  std::vector<int> evictions;      ///< How often a buffer was moved.
  std::vector<int> failures;       ///< How often it found no place.
  std::set<int, PlacingOrder> queue;
};

} // namespace efc::npu

#endif
