// The simulator's inner loops, once in portable C++ and once for AVX2. Both
// give the same bits: integers are exact, floats follow one order of
// operations.
#ifndef EFRT_NPU_SIMULATOR_KERNELS_H
#define EFRT_NPU_SIMULATOR_KERNELS_H

#include "npu/Command.h"

namespace efrt::npu::simulator {

/// The register block of the products: positions x outputs.
inline constexpr unsigned kBlockRows = 6, kBlockOutputs = 16;

struct Kernels {
  /// acc[row][output] += the products of `pairs` pairs of channels: of row r
  /// rows[r][2p], rows[r][2p + 1], of output n panel[p][n][0], panel[p][n][1].
  /// Reads a pair at a time from a row. The caller sees to it that no sum
  /// leaves int32.
  void (*multiplyI16)(const int16_t *const *rows, unsigned numRows,
                      const int16_t *panel, size_t pairs, int32_t *acc);
  /// The same with single channels, added in order: panel[c][n].
  void (*multiplyF32)(const float *const *rows, unsigned numRows,
                      const float *panel, size_t channels, float *acc);
  /// panel[p][n][i] = source[n * rowElements + 2p + i] for 16 outputs. Reads up
  /// to 16 elements at a time; `pairs` is a multiple of 8.
  void (*packI8)(const int8_t *source, size_t rowElements, size_t pairs,
                 int16_t *panel);
  void (*packI16)(const int16_t *source, size_t rowElements, size_t pairs,
                  int16_t *panel);
  /// Each value as high * 256 + low: outputs 0..7 of `panel` become the 8 high
  /// and 8 low ones of high, outputs 8..15 those of the second panel.
  void (*splitPanel)(const int16_t *panel, size_t pairs, int16_t *first,
                     int16_t *second);
  int32_t (*maxAbsI16)(const int16_t *values, size_t count);
  int32_t (*maxAbsI8)(const int8_t *values, size_t count);

  /// One instruction over `count` elements; not Load and Constant.
  void (*apply)(Opcode op, const float *a, const float *b, float *dst,
                size_t count);
  /// Dense loads and stores: dequantise (or convert), and qcast (or convert).
  void (*loadI8)(const int8_t *src, float scale, float *dst, size_t count);
  void (*loadI16)(const int16_t *src, float scale, float *dst, size_t count);
  void (*loadI32)(const int32_t *src, float scale, float *dst, size_t count);
  void (*loadF16)(const uint16_t *src, float *dst, size_t count);
  void (*storeI16)(const float *src, float inverse, int32_t limit, int16_t *dst,
                   size_t count);
  void (*storeF16)(const float *src, uint16_t *dst, size_t count);

  /// dst = round(exp((src - max) * scale) * 32767); returns the sum.
  int64_t (*softmaxI16)(const int16_t *src, size_t count, float scale,
                        int16_t *dst);
  /// dst = exp(src - max) in binary32, and its sum in order.
  float (*softmaxF32)(const float *src, size_t count, float *dst);
  /// Adds the sums of q and of q * q.
  void (*sumsI16)(const int16_t *values, size_t count, int64_t &sum,
                  int64_t &squares);
  /// y = (q * a + b) * gamma + beta, four roundings.
  void (*normalise)(const float *q, float a, float b, bool addB,
                    const float *gamma, const float *beta, float *dst,
                    size_t count);
};

const Kernels &portableKernels();
/// The best that this machine runs.
const Kernels &hostKernels();
#if defined(__x86_64__)
const Kernels &avx2Kernels();
#endif

} // namespace efrt::npu::simulator

#endif
