// The kernels for AVX2, FMA and F16C. Products: blocks of 6 positions x 16
// outputs in 12 accumulators; a pair of channels is broadcast from a row and
// multiplied with two registers of the packed panel (VPMADDWD: 16 products an
// instruction).
#include "npu/simulator/Kernels.h"
#include "npu/simulator/ScalarFunctions.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::simulator;

#define EFRT_TARGET __attribute__((target("avx2,fma,f16c")))

namespace {
#include "npu/simulator/ElementwiseLoops.inc"

EFRT_TARGET __m256i load(const void *address) {
  return _mm256_loadu_si256(static_cast<const __m256i *>(address));
}

EFRT_TARGET void store(void *address, __m256i value) {
  _mm256_storeu_si256(static_cast<__m256i *>(address), value);
}

template <unsigned Rows>
EFRT_TARGET void multiplyBlockI16(const int16_t *const *rows,
                                  const int16_t *panel, size_t pairs,
                                  int32_t *acc) {
  __m256i sums[Rows][2];
  const int16_t *a[Rows];
#pragma GCC unroll 6
  for (unsigned r = 0; r < Rows; ++r) {
    sums[r][0] = load(acc + r * kBlockOutputs);
    sums[r][1] = load(acc + r * kBlockOutputs + 8);
    a[r] = rows[r];
  }
  for (size_t p = 0; p < pairs; ++p) {
    __m256i b0 = load(panel + p * 32), b1 = load(panel + p * 32 + 16);
#pragma GCC unroll 6
    for (unsigned r = 0; r < Rows; ++r) {
      int32_t pair;
      std::memcpy(&pair, a[r] + 2 * p, sizeof(pair));
      __m256i broadcast = _mm256_set1_epi32(pair);
      sums[r][0] =
          _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(broadcast, b0));
      sums[r][1] =
          _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(broadcast, b1));
    }
  }
#pragma GCC unroll 6
  for (unsigned r = 0; r < Rows; ++r) {
    store(acc + r * kBlockOutputs, sums[r][0]);
    store(acc + r * kBlockOutputs + 8, sums[r][1]);
  }
}

template <unsigned Rows>
EFRT_TARGET void multiplyBlockF32(const float *const *rows, const float *panel,
                                  size_t channels, float *acc) {
  __m256 sums[Rows][2];
  const float *a[Rows];
#pragma GCC unroll 6
  for (unsigned r = 0; r < Rows; ++r) {
    sums[r][0] = _mm256_loadu_ps(acc + r * kBlockOutputs);
    sums[r][1] = _mm256_loadu_ps(acc + r * kBlockOutputs + 8);
    a[r] = rows[r];
  }
  for (size_t c = 0; c < channels; ++c) {
    __m256 b0 = _mm256_loadu_ps(panel + c * 16),
           b1 = _mm256_loadu_ps(panel + c * 16 + 8);
#pragma GCC unroll 6
    for (unsigned r = 0; r < Rows; ++r) {
      __m256 broadcast = _mm256_broadcast_ss(a[r] + c);
      sums[r][0] = _mm256_fmadd_ps(broadcast, b0, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(broadcast, b1, sums[r][1]);
    }
  }
#pragma GCC unroll 6
  for (unsigned r = 0; r < Rows; ++r) {
    _mm256_storeu_ps(acc + r * kBlockOutputs, sums[r][0]);
    _mm256_storeu_ps(acc + r * kBlockOutputs + 8, sums[r][1]);
  }
}

void multiplyI16(const int16_t *const *rows, unsigned numRows,
                 const int16_t *panel, size_t pairs, int32_t *acc) {
  static constexpr decltype(&multiplyBlockI16<1>) blocks[] = {
      multiplyBlockI16<1>, multiplyBlockI16<2>, multiplyBlockI16<3>,
      multiplyBlockI16<4>, multiplyBlockI16<5>, multiplyBlockI16<6>};
  blocks[numRows - 1](rows, panel, pairs, acc);
}

void multiplyF32(const float *const *rows, unsigned numRows, const float *panel,
                 size_t channels, float *acc) {
  static constexpr decltype(&multiplyBlockF32<1>) blocks[] = {
      multiplyBlockF32<1>, multiplyBlockF32<2>, multiplyBlockF32<3>,
      multiplyBlockF32<4>, multiplyBlockF32<5>, multiplyBlockF32<6>};
  blocks[numRows - 1](rows, panel, channels, acc);
}

/// rows[n] holds pair p of output n in 32-bit lane p; afterwards rows[p] holds
/// it in lane n.
EFRT_TARGET inline void transpose(__m256i (&rows)[8]) {
  __m256i t[8], u[8];
#pragma GCC unroll 4
  for (unsigned i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 2
  for (unsigned i = 0; i < 8; i += 4) {
    u[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    u[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    u[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    u[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (unsigned i = 0; i < 4; ++i) {
    rows[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
  }
}

EFRT_TARGET inline __m256i loadWide(const int8_t *address) {
  return _mm256_cvtepi8_epi16(
      _mm_loadu_si128(reinterpret_cast<const __m128i *>(address)));
}

EFRT_TARGET inline __m256i loadWide(const int16_t *address) {
  return load(address);
}

template <typename T>
EFRT_TARGET void pack(const T *source, size_t rowElements, size_t pairs,
                      int16_t *panel) {
  for (size_t p = 0; p < pairs; p += 8)
    for (unsigned half = 0; half < 2; ++half) {
      __m256i rows[8];
#pragma GCC unroll 8
      for (unsigned n = 0; n < 8; ++n)
        rows[n] = loadWide(source + (half * 8 + n) * rowElements + 2 * p);
      transpose(rows);
#pragma GCC unroll 8
      for (unsigned i = 0; i < 8; ++i)
        store(panel + (p + i) * 32 + half * 16, rows[i]);
    }
}

EFRT_TARGET void splitPanel(const int16_t *panel, size_t pairs, int16_t *first,
                            int16_t *second) {
  const __m256i lowBits = _mm256_set1_epi16(255);
  for (size_t p = 0; p < pairs; ++p)
    for (unsigned half = 0; half < 2; ++half) {
      __m256i values = load(panel + p * 32 + half * 16);
      int16_t *target = (half == 0 ? first : second) + p * 32;
      store(target, _mm256_srai_epi16(values, 8));
      store(target + 16, _mm256_and_si256(values, lowBits));
    }
}

EFRT_TARGET void loadF16(const uint16_t *src, float *dst, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128(
                                  reinterpret_cast<const __m128i *>(src + i))));
  for (; i < count; ++i)
    dst[i] = fromHalf(src[i]);
}

EFRT_TARGET void storeF16(const float *src, uint16_t *dst, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm_storeu_si128(
        reinterpret_cast<__m128i *>(dst + i),
        _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
  for (; i < count; ++i)
    dst[i] = toHalf(src[i]);
}
} // namespace

const Kernels &simulator::avx2Kernels() {
  static constexpr Kernels kernels = {multiplyI16,
                                      multiplyF32,
                                      pack<int8_t>,
                                      pack<int16_t>,
                                      splitPanel,
                                      maxAbsLoop<int16_t>,
                                      maxAbsLoop<int8_t>,
                                      applyOp,
                                      loadIntegers<int8_t>,
                                      loadIntegers<int16_t>,
                                      loadIntegers<int32_t>,
                                      loadF16,
                                      storeI16Loop,
                                      storeF16,
                                      softmaxI16Loop,
                                      softmaxF32Loop,
                                      sumsI16Loop,
                                      normaliseLoop};
  return kernels;
}

#endif
