// See ScratchMap.h.
#include "compiler/report/ScratchMap.h"

#include <algorithm>
#include <map>
#include <tuple>

using namespace efc;
using namespace efrt::npu;

namespace {
struct Range {
  uint64_t first, last;
};

/// Follows the commands in the order of their starts. Buffers that are alive
/// are disjoint and found by address.
class Tracker {
public:
  explicit Tracker(const NpuPartition &partition) : partition(partition) {}

  std::vector<ScratchBuffer> run() {
    const std::vector<Event> &events = partition.timeline.events;
    for (uint32_t i = 0; i < events.size(); ++i) {
      const Command &command =
          partition.program
              .queues[static_cast<size_t>(events[i].queue)][events[i].index];
      std::vector<Access> accesses = accessesOf(command);
      for (const Access &access : accesses)
        if (access.slot < 0 && !access.isWrite)
          read(rangeOf(access), events[i].end);
      for (const Access &access : accesses)
        if (access.slot < 0 && access.isWrite)
          write(rangeOf(access), i);
    }
    std::ranges::sort(buffers, {}, [](const ScratchBuffer &buffer) {
      return std::tie(buffer.start, buffer.address);
    });
    return std::move(buffers);
  }

private:
  /// All bytes from the first to the last: the gaps of a strided access belong
  /// to the same buffer.
  static Range rangeOf(const Access &access) {
    uint64_t last = access.base + access.rowBytes;
    for (size_t i = 0; i < access.extents.size(); ++i)
      last += (access.extents[i] - 1) * access.strides[i];
    return {access.base, last};
  }

  /// Calls visit(buffer index) for what is alive in `range`.
  template <typename Visit> void forOverlaps(Range range, Visit &&visit) {
    auto it = alive.upper_bound(range.first);
    if (it != alive.begin())
      --it;
    while (it != alive.end() && it->first < range.last) {
      const ScratchBuffer &buffer = buffers[it->second];
      auto next = std::next(it);
      if (buffer.address + buffer.bytes > range.first)
        visit(it);
      it = next;
    }
  }

  void read(Range range, double time) {
    forOverlaps(range, [&](auto it) {
      ScratchBuffer &buffer = buffers[it->second];
      buffer.end = std::max(buffer.end, time);
      isRead[it->second] = true;
    });
  }

  uint32_t sourceOf(uint32_t event) const {
    const Event &writer = partition.timeline.events[event];
    return partition.program
        .queues[static_cast<size_t>(writer.queue)][writer.index]
        .source;
  }

  /// Parts that one layer writes for one tile, before anything is read, are one
  /// buffer.
  bool isGrowing(size_t index, uint32_t event) const {
    return !isRead[index] && sourceOf(buffers[index].event) == sourceOf(event);
  }

  void write(Range range, uint32_t event) {
    const Event &writer = partition.timeline.events[event];
    uint64_t first = range.first, last = range.last;
    double start = writer.start, end = writer.end;
    uint32_t firstEvent = event;
    forOverlaps(range, [&](auto it) {
      ScratchBuffer &buffer = buffers[it->second];
      if (isGrowing(it->second, event)) {
        first = std::min<uint64_t>(first, buffer.address);
        last = std::max<uint64_t>(last, buffer.address + buffer.bytes);
        start = std::min(start, buffer.start);
        end = std::max(end, buffer.end);
        firstEvent = std::min(firstEvent, buffer.event);
        buffer.bytes = 0; // It goes on as part of the new one.
      } else {
        buffer.end = std::min(buffer.end, writer.start);
      }
      alive.erase(it);
    });
    alive[first] = buffers.size();
    buffers.push_back({static_cast<uint32_t>(first),
                       static_cast<uint32_t>(last - first), start, end,
                       firstEvent});
    isRead.push_back(false);
  }

  const NpuPartition &partition;
  std::vector<ScratchBuffer> buffers;
  std::vector<bool> isRead;         ///< By buffer.
  std::map<uint64_t, size_t> alive; ///< By address.
};
} // namespace

std::vector<ScratchBuffer>
efc::scratchBuffersOf(const NpuPartition &partition) {
  std::vector<ScratchBuffer> buffers = Tracker(partition).run();
  std::erase_if(buffers, [](const ScratchBuffer &buffer) {
    return buffer.bytes == 0 || buffer.end <= buffer.start;
  });
  return buffers;
}

uint64_t efc::peakBytesOf(const std::vector<ScratchBuffer> &buffers) {
  // Ends before starts: what ends when another begins is gone.
  std::vector<std::pair<double, int64_t>> changes;
  for (const ScratchBuffer &buffer : buffers) {
    changes.emplace_back(buffer.start, buffer.bytes);
    changes.emplace_back(buffer.end, -static_cast<int64_t>(buffer.bytes));
  }
  std::ranges::sort(changes);
  int64_t bytes = 0, peak = 0;
  for (auto [time, change] : changes)
    peak = std::max(peak, bytes += change);
  return peak;
}
