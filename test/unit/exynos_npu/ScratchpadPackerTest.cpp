// Placement of buffers with known lifetimes: nothing that lives at the same
// time overlaps, and what fills memory closely is placed.
#include "targets/exynos_npu/ScratchpadPacker.h"

#include <gtest/gtest.h>

#include <random>

using namespace efc::npu;

static constexpr int64_t kUnit = ScratchpadPacker::alignment;

/// Splits [start, end) x `units` of memory at random until pieces are small;
/// some of them start later, with a prefetch before.
static void split(std::mt19937 &random, int64_t start, int64_t end,
                  int64_t units, std::vector<PackedBuffer> &buffers) {
  bool cutsTime = end - start > 8 && (units < 4 || random() % 2);
  if (cutsTime) {
    int64_t middle = start + 2 + random() % (end - start - 4);
    split(random, start, middle, units, buffers);
    split(random, middle + 1, end, units, buffers);
  } else if (units >= 4 && random() % 8 != 0) {
    int64_t part = 1 + random() % (units - 2);
    split(random, start, end, part, buffers);
    split(random, start, end, units - part, buffers);
  } else {
    PackedBuffer &buffer = buffers.emplace_back();
    buffer.bytes = units * kUnit;
    buffer.start = buffer.latestStart = start;
    buffer.end = end;
    if (random() % 3 == 0)
      buffer.latestStart += (end - start) / 2;
  }
}

static void expectApart(const std::vector<PackedBuffer> &buffers,
                        int64_t capacity) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    const PackedBuffer &a = buffers[i];
    EXPECT_GE(a.address, 0);
    EXPECT_LE(a.address + a.bytes, capacity);
    EXPECT_LE(a.start, a.latestStart);
    for (size_t j = i + 1; j < buffers.size(); ++j) {
      const PackedBuffer &b = buffers[j];
      bool meetInTime = a.start <= b.end && b.start <= a.end;
      bool meetInMemory =
          a.address < b.address + b.bytes && b.address < a.address + a.bytes;
      EXPECT_FALSE(meetInTime && meetInMemory) << i << " and " << j;
    }
  }
}

TEST(ScratchpadPacker, PlacesWhatFillsMemoryClosely) {
  constexpr unsigned seed = 20261123;
  std::mt19937 random(seed);
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE("seed 20261123, round " + std::to_string(round));
    std::vector<PackedBuffer> buffers;
    split(random, 0, 600, 64, buffers);
    // A placement without a gap exists; an eighth more is left for others.
    int64_t capacity = 72 * kUnit;
    ScratchpadPacker packer(buffers, capacity, /*slack=*/8);
    EXPECT_EQ(packer.run(), std::nullopt);
    expectApart(buffers, capacity);
    if (testing::Test::HasFailure())
      return;
  }
}

TEST(ScratchpadPacker, NamesABufferThatHasNoPlace) {
  std::vector<PackedBuffer> buffers(3);
  for (auto [index, buffer] :
       {std::pair(0, &buffers[0]), {1, &buffers[1]}, {2, &buffers[2]}}) {
    buffer->bytes = (index + 1) * kUnit;
    buffer->end = 10;
  }
  ScratchpadPacker fits(buffers, 6 * kUnit, /*slack=*/0);
  EXPECT_EQ(fits.run(), std::nullopt);
  expectApart(buffers, 6 * kUnit);
  for (PackedBuffer &buffer : buffers)
    buffer.address = -1;
  ScratchpadPacker tooSmall(buffers, 5 * kUnit, /*slack=*/0);
  EXPECT_NE(tooSmall.run(), std::nullopt);
}
