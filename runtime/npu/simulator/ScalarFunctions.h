// The vector instructions that are one operation, as functions.
#ifndef EFRT_NPU_SIMULATOR_SCALARFUNCTIONS_H
#define EFRT_NPU_SIMULATOR_SCALARFUNCTIONS_H

#include "npu/Numerics.h"

namespace efrt::npu::simulator {

inline float add(float a, float b) { return a + b; }
inline float subtract(float a, float b) { return a - b; }
inline float multiply(float a, float b) { return a * b; }
inline float divide(float a, float b) { return a / b; }
inline float negate(float a) { return -a; }
inline float absolute(float a) { return std::fabs(a); }
inline float squareRoot(float a) { return std::sqrt(a); }
inline float reciprocal(float a) { return 1.0f / a; }

/// binary16 -> binary32, exact (a NaN becomes quiet, as by VCVTPH2PS).
inline float fromHalf(uint16_t half) {
  uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16,
           exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
  if (exponent == 0x1f)
    return numerics::fromBits(sign | 0x7f800000 | fraction << 13 |
                              (fraction ? 0x400000 : 0));
  if (exponent == 0) { // Zero or subnormal: fraction * 2^-24, exact.
    float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return numerics::fromBits(sign | (exponent + 112) << 23 | fraction << 13);
}

/// binary32 -> binary16, to nearest, ties to even (a NaN becomes quiet and
/// keeps its upper bits, as by VCVTPS2PH).
inline uint16_t toHalf(float value) {
  auto bits = static_cast<uint32_t>(numerics::bitsOf(value));
  auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return static_cast<uint16_t>(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  if (magnitude >= 0x477ff000) // Rounds to 2^16 or more.
    return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < 0x38800000) {
    // Below 2^-14: adding 0.5 leaves the multiple of 2^-24 in the last bits.
    float shifted = numerics::fromBits(magnitude) + 0.5f;
    return static_cast<uint16_t>(
        sign | static_cast<uint16_t>(numerics::bitsOf(shifted) - 0x3f000000));
  }
  uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return static_cast<uint16_t>(sign | (rounded - 0x38000000) >> 13);
}

} // namespace efrt::npu::simulator

#endif
