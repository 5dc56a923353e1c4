// The numbers of the binary layout (docs/exynos-npu.md, "Binary encoding") that
// the writer and the reader share. Little-endian, as every host of the runtime.
#ifndef EFRT_NPU_ENCODINGLAYOUT_H
#define EFRT_NPU_ENCODINGLAYOUT_H

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace efrt::npu::layout {

static_assert(std::endian::native == std::endian::little);

inline constexpr uint32_t kMagic = 0x55504e45; ///< "ENPU"
inline constexpr uint32_t kVersion = 1 << 16;  ///< major << 16 | minor
inline constexpr size_t kSourceWords = 6;
inline constexpr size_t kMaxWords = size_t(1) << 28;

// A command's first word: kind, flags, number of waits, size in words.
inline constexpr uint32_t kKindMask = 0xf, kNotify = 1 << 4, kWaitsShift = 8,
                          kWaitsMask = 0xf, kSizeShift = 16,
                          kHeadReserved = 0xf0e0, kMaxCommandWords = 0xffff,
                          kCommandWords = 3, kMaxWaitCount = (1 << 28) - 1;

inline constexpr uint32_t kViewExtentsShift = 4, kViewStridesShift = 8,
                          kViewDense = 1 << 12, kViewScaled = 1 << 13,
                          kViewLimitShift = 14, kViewReserved = 0xffff0000;
inline constexpr std::array<int32_t, 2> kLimits = {32767, 8191};

inline constexpr uint32_t kDmaStore = 1, kDmaExtentsShift = 3,
                          kDmaDramShift = 8, kDmaScratchShift = 13,
                          kDmaWide = 1 << 18, kDmaDramDense = 1 << 19,
                          kDmaScratchDense = 1 << 20, kDmaReserved = 0xffe00000;
inline constexpr uint64_t kMaxOffset = (uint64_t(1) << 48) - 1;

inline constexpr uint32_t kTensorGated = 1, kTensorDepthwise = 2,
                          kTensorWindow = 4;

inline constexpr uint32_t kMaxCode = (1 << 20) - 1;
inline constexpr uint32_t kProgramReserved = 0xf0000000;

struct ScheduleRow {
  uint32_t queue, index, sequence, zero;
  double start, end;
};
static_assert(sizeof(ScheduleRow) == 32);

/// Which entries are not `usual`, bit by bit.
template <typename T, size_t N>
uint32_t presence(const std::array<T, N> &values, T usual) {
  uint32_t mask = 0;
  for (size_t i = 0; i < N; ++i)
    mask |= values[i] != usual ? 1u << i : 0;
  return mask;
}

/// Are the strides of all dimensions with more than one element those of a
/// dense row-major tensor?
template <typename Stride, size_t N>
bool hasDenseStrides(const std::array<uint32_t, N> &extents,
                     const std::array<Stride, N> &strides, int64_t step) {
  for (size_t i = N; i-- > 0;) {
    if (extents[i] != 1 && strides[i] != step)
      return false;
    if (__builtin_mul_overflow(step, static_cast<int64_t>(extents[i]), &step))
      return false;
  }
  return true;
}

} // namespace efrt::npu::layout

#endif
