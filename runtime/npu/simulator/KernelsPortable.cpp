// The kernels in portable C++.
#include "npu/simulator/Kernels.h"
#include "npu/simulator/ScalarFunctions.h"
#include "runtime/devices/CpuFeatures.h"

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::simulator;

namespace {
#define EFRT_TARGET
#include "npu/simulator/ElementwiseLoops.inc"
#undef EFRT_TARGET

void multiplyI16(const int16_t *const *rows, unsigned numRows,
                 const int16_t *panel, size_t pairs, int32_t *acc) {
  for (unsigned r = 0; r < numRows; ++r)
    for (size_t p = 0; p < pairs; ++p) {
      int32_t a0 = rows[r][2 * p], a1 = rows[r][2 * p + 1];
      const int16_t *b = panel + p * 2 * kBlockOutputs;
      for (unsigned n = 0; n < kBlockOutputs; ++n)
        acc[r * kBlockOutputs + n] += a0 * b[2 * n] + a1 * b[2 * n + 1];
    }
}

/// A product of two binary16 numbers is exact in binary32, so that this is what
/// an fma gives.
void multiplyF32(const float *const *rows, unsigned numRows, const float *panel,
                 size_t channels, float *acc) {
  for (unsigned r = 0; r < numRows; ++r)
    for (size_t c = 0; c < channels; ++c) {
      float a = rows[r][c];
      const float *b = panel + c * kBlockOutputs;
      for (unsigned n = 0; n < kBlockOutputs; ++n)
        acc[r * kBlockOutputs + n] += a * b[n];
    }
}

template <typename T>
void pack(const T *source, size_t rowElements, size_t pairs, int16_t *panel) {
  for (size_t p = 0; p < pairs; ++p)
    for (unsigned n = 0; n < kBlockOutputs; ++n)
      for (unsigned i = 0; i < 2; ++i)
        panel[(p * kBlockOutputs + n) * 2 + i] =
            source[n * rowElements + 2 * p + i];
}

void splitPanel(const int16_t *panel, size_t pairs, int16_t *first,
                int16_t *second) {
  for (size_t p = 0; p < pairs; ++p)
    for (unsigned i = 0; i < 2 * kBlockOutputs; ++i) {
      int16_t value = panel[p * 2 * kBlockOutputs + i];
      int16_t *target = (i < kBlockOutputs ? first : second) +
                        p * 2 * kBlockOutputs + i % kBlockOutputs;
      target[0] = static_cast<int16_t>(value >> 8);
      target[kBlockOutputs] = static_cast<int16_t>(value & 255);
    }
}

void loadF16(const uint16_t *src, float *dst, size_t count) {
  for (size_t i = 0; i < count; ++i)
    dst[i] = fromHalf(src[i]);
}

void storeF16(const float *src, uint16_t *dst, size_t count) {
  for (size_t i = 0; i < count; ++i)
    dst[i] = toHalf(src[i]);
}
} // namespace

const Kernels &simulator::portableKernels() {
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

const Kernels &simulator::hostKernels() {
#if defined(__x86_64__)
  static const bool hasAvx2 =
      hostHasFeature("avx2") && hostHasFeature("fma") && hostHasFeature("f16c");
  if (hasAvx2)
    return avx2Kernels();
#endif
  return portableKernels();
}
