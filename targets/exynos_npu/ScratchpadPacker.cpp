// See ScratchpadPacker.h.
#include "targets/exynos_npu/ScratchpadPacker.h"

#include "llvm/ADT/STLExtras.h"

using namespace efc::npu;

/// Time in one block of the index of placed buffers.
static constexpr int64_t kBlock = 128;
/// What lives for longer than this (statistics, resident weights of a group)
/// and what is smaller than this share of memory (vectors) comes before
/// everything else: it finds no place in the gaps that large buffers leave only
/// for moments, and takes little.
static constexpr int64_t kLongLife = 256, kSmallShare = 256;
/// How often a buffer may be moved before there is no place for all.
static constexpr int kMaxEvictions = 40;
/// How often all are placed in another order.
static constexpr int kMaxRounds = 16;

bool ScratchpadPacker::PlacingOrder::operator()(int a, int b) const {
  if (failures[a] != failures[b])
    return failures[a] > failures[b];
  const PackedBuffer &first = buffers[a], &second = buffers[b];
  auto comesFirst = [&](const PackedBuffer &buffer) {
    return buffer.bytes * kSmallShare <= capacity ||
           buffer.end - buffer.latestStart > kLongLife;
  };
  if (comesFirst(first) != comesFirst(second))
    return comesFirst(first);
  if (first.bytes != second.bytes)
    return first.bytes > second.bytes;
  if (first.start != second.start)
    return first.start < second.start;
  return a < b;
}

ScratchpadPacker::ScratchpadPacker(std::vector<PackedBuffer> &buffers,
                                   int64_t capacity, int64_t slack)
    : buffers(buffers), capacity(capacity), slack(slack),
      seen(buffers.size(), 0), firstBlock(buffers.size(), 0),
      evictions(buffers.size(), 0), failures(buffers.size(), 0),
      queue(PlacingOrder{buffers, failures, capacity}) {
  int64_t end = 0;
  for (const PackedBuffer &buffer : buffers)
    end = std::max(end, buffer.end);
  blocks.resize(end / kBlock + 1);
}

llvm::SmallVector<int, 64> ScratchpadPacker::conflictsOf(size_t buffer,
                                                         int64_t slack) {
  const PackedBuffer &own = buffers[buffer];
  int64_t start = own.start - slack, end = own.end + slack;
  llvm::SmallVector<int, 64> conflicts;
  ++mark;
  int64_t last = std::min<int64_t>(end / kBlock, blocks.size() - 1);
  for (int64_t block = std::max<int64_t>(start, 0) / kBlock; block <= last;
       ++block)
    for (int other : blocks[block])
      if (std::exchange(seen[other], mark) != mark &&
          buffers[other].start <= end && start <= buffers[other].end)
        conflicts.push_back(other);
  llvm::sort(conflicts, [&](int a, int b) {
    return buffers[a].address != buffers[b].address
               ? buffers[a].address < buffers[b].address
               : a < b;
  });
  return conflicts;
}

void ScratchpadPacker::insert(size_t buffer, int64_t address) {
  PackedBuffer &own = buffers[buffer];
  own.address = address;
  firstBlock[buffer] = own.start / kBlock;
  for (int64_t block = own.start / kBlock; block <= own.end / kBlock; ++block)
    blocks[block].push_back(buffer);
}

void ScratchpadPacker::remove(size_t buffer) {
  PackedBuffer &own = buffers[buffer];
  own.address = -1;
  // A shortened prefetch may still stand in earlier blocks.
  for (int64_t block = firstBlock[buffer]; block <= own.end / kBlock; ++block)
    llvm::erase(blocks[block], static_cast<int>(buffer));
}

bool ScratchpadPacker::tryPlace(size_t buffer, int64_t slack) {
  int64_t address = 0, bytes = buffers[buffer].bytes;
  for (int other : conflictsOf(buffer, slack)) {
    if (address + bytes <= buffers[other].address)
      break;
    address = std::max(address, buffers[other].address + buffers[other].bytes);
  }
  if (address + bytes > capacity)
    return false;
  insert(buffer, address);
  return true;
}

/// Lets one prefetch start later: the buffer's own, or the one among those in
/// its way that is needed last. False if there is none.
bool ScratchpadPacker::shorten(size_t buffer) {
  PackedBuffer &own = buffers[buffer];
  int64_t early = own.latestStart - own.start;
  if (early > 0) {
    // By half, so that it stays as early as it can; prefetches have odd times.
    own.start = early < 8 ? own.latestStart : (own.latestStart - early / 2) | 1;
    return true;
  }
  PackedBuffer *latest = nullptr;
  for (int other : conflictsOf(buffer, 0)) {
    PackedBuffer &conflict = buffers[other];
    if (conflict.latestStart > own.end &&
        conflict.start < conflict.latestStart &&
        (!latest || conflict.latestStart > latest->latestStart))
      latest = &conflict;
  }
  if (!latest)
    return false;
  int64_t start = (own.end + 1) | 1;
  latest->start = std::min(start, latest->latestStart);
  return true;
}

/// Puts the buffer where it drives out least; what was there gets another
/// place.
bool ScratchpadPacker::evict(size_t buffer) {
  const PackedBuffer &own = buffers[buffer];
  llvm::SmallVector<int, 64> conflicts = conflictsOf(buffer, 0);
  llvm::SmallVector<int64_t, 64> candidates = {0, capacity - own.bytes};
  for (int other : conflicts) {
    candidates.push_back(buffers[other].address + buffers[other].bytes);
    candidates.push_back(buffers[other].address - own.bytes);
  }
  int64_t best = -1;
  double bestCost = 0;
  for (int64_t address : candidates) {
    if (address < 0 || address + own.bytes > capacity)
      continue;
    double cost = 0;
    for (int other : conflicts) {
      const PackedBuffer &conflict = buffers[other];
      if (conflict.address < address + own.bytes &&
          address < conflict.address + conflict.bytes)
        cost += double(conflict.bytes) * (1 + evictions[other]);
    }
    if (best < 0 || cost < bestCost) {
      best = address;
      bestCost = cost;
    }
  }
  if (best < 0 || ++evictions[buffer] > kMaxEvictions)
    return false;
  for (int other : conflicts)
    if (buffers[other].address < best + own.bytes &&
        best < buffers[other].address + buffers[other].bytes) {
      remove(other);
      queue.insert(other);
    }
  insert(buffer, best);
  return true;
}

std::optional<size_t> ScratchpadPacker::run() {
  for (int round = 1;; ++round) {
    std::optional<size_t> failed = placeAll();
    if (!failed || round > kMaxRounds)
      return failed;
    queue.clear();
    ++failures[*failed];
    // The last round's failure is for the user, in the order that has a reason.
    if (round == kMaxRounds)
      llvm::fill(failures, 0);
    for (PackedBuffer &buffer : buffers)
      buffer.address = -1;
    for (std::vector<int> &block : blocks)
      block.clear();
    llvm::fill(evictions, 0);
  }
}

std::optional<size_t> ScratchpadPacker::placeAll() {
  for (size_t buffer = 0; buffer < buffers.size(); ++buffer)
    queue.insert(buffer);
  while (!queue.empty()) {
    size_t buffer = *queue.begin();
    queue.erase(queue.begin());
    if (tryPlace(buffer, slack))
      continue;
    bool isPlaced = tryPlace(buffer, 0);
    while (!isPlaced && shorten(buffer))
      isPlaced = tryPlace(buffer, 0);
    if (!isPlaced && !evict(buffer))
      return buffer;
  }
  return std::nullopt;
}
