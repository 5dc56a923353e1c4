// See ScratchpadAllocator.h.
#include "targets/exynos_npu/ScratchpadAllocator.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace efc::npu;

/// Commands after which memory counts as free for long: about as many as the
/// queues have in flight.
static constexpr int64_t kSettled = 24;

ScratchpadAllocator::ScratchpadAllocator(int64_t capacity) {
  segments.push_back({0, capacity / alignment * alignment, -kSettled});
}

std::optional<int64_t> ScratchpadAllocator::allocate(int64_t bytes, int64_t now,
                                                     bool staysLong) {
  bytes = llvm::alignTo(bytes, alignment);
  std::optional<int64_t> best;
  int64_t bestFreed = 0;
  auto consider = [&](int64_t begin, int64_t freedAt) {
    // All that is settled is equally good.
    freedAt = std::max(freedAt, now - kSettled);
    bool isBetter =
        !best || freedAt < bestFreed ||
        (freedAt == bestFreed && (staysLong ? begin < *best : begin > *best));
    if (isBetter) {
      best = begin;
      bestFreed = freedAt;
    }
  };
  // Ranges that start where a segment does, and ranges that end where one does.
  for (size_t i = 0, e = segments.size(); i < e; ++i) {
    int64_t end = segments[i].begin, freedAt = INT64_MIN;
    for (size_t j = i; j < e && segments[j].begin == end; ++j) {
      freedAt = std::max(freedAt, segments[j].freedAt);
      end = segments[j].end;
      if (end - segments[i].begin >= bytes) {
        consider(segments[i].begin, freedAt);
        break;
      }
    }
    int64_t begin = segments[i].end;
    freedAt = INT64_MIN;
    for (size_t j = i + 1; j-- > 0 && segments[j].end == begin;) {
      freedAt = std::max(freedAt, segments[j].freedAt);
      begin = segments[j].begin;
      if (segments[i].end - begin >= bytes) {
        consider(segments[i].end - bytes, freedAt);
        break;
      }
    }
  }
  if (!best)
    return std::nullopt;
  llvm::SmallVector<Segment, 0> rest;
  for (const Segment &segment : segments) {
    int64_t begin = std::max(segment.begin, *best);
    int64_t end = std::min(segment.end, *best + bytes);
    if (begin >= end) {
      rest.push_back(segment);
      continue;
    }
    if (segment.begin < begin)
      rest.push_back({segment.begin, begin, segment.freedAt});
    if (end < segment.end)
      rest.push_back({end, segment.end, segment.freedAt});
  }
  segments = std::move(rest);
  return best;
}

void ScratchpadAllocator::release(int64_t address, int64_t bytes, int64_t now) {
  Segment segment = {
      address, address + static_cast<int64_t>(llvm::alignTo(bytes, alignment)),
      now};
  auto next = llvm::lower_bound(
      segments, segment,
      [](const Segment &a, const Segment &b) { return a.begin < b.begin; });
  segments.insert(next, segment);
  // Neighbours that are both settled are one.
  llvm::SmallVector<Segment, 0> merged;
  for (const Segment &other : segments) {
    bool joins = !merged.empty() && merged.back().end == other.begin &&
                 merged.back().freedAt <= now - kSettled &&
                 other.freedAt <= now - kSettled;
    if (joins) {
      merged.back().end = other.end;
      merged.back().freedAt = std::max(merged.back().freedAt, other.freedAt);
    } else {
      merged.push_back(other);
    }
  }
  segments = std::move(merged);
}

int64_t ScratchpadAllocator::freeBytes() const {
  int64_t bytes = 0;
  for (const Segment &segment : segments)
    bytes += segment.end - segment.begin;
  return bytes;
}

int64_t ScratchpadAllocator::largestFree() const {
  int64_t largest = 0, begin = 0, end = -1;
  for (const Segment &segment : segments) {
    if (segment.begin != end)
      begin = segment.begin;
    end = segment.end;
    largest = std::max(largest, end - begin);
  }
  return largest;
}
