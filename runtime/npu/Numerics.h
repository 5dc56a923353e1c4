// The scalar arithmetic of the quantised path, to the bit: docs/numerics.md in
// code. Reference evaluation and the simulator call these functions; CPU code
// generation emits the same operations from the same coefficients.
//
// Every function is a fixed sequence of IEEE 754 operations (add, mul, div,
// sqrt, fma, compare, select, conversions, bit operations) in binary32 unless
// it says binary64, so that it has one result everywhere. It is without
// branches, so that it vectorises. Defined for every argument; what NaN a NaN
// is, is left open (no stored result shows it: qcast gives 0).
//
// A compiler must not contract a * b + c into an fma here: compile with
// -ffp-contract=off (for clang this header sees to it, to the file's end).
#ifndef EFRT_NPU_NUMERICS_H
#define EFRT_NPU_NUMERICS_H

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

namespace efrt::numerics {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

//===--- Coefficients: polynomials in ascending order ---===//

/// exp: x is first clamped to [kExpLow, kExpHigh].
inline constexpr float kExpLow = -104.0f, kExpHigh = 89.0f;
inline constexpr float kLog2E = 0x1.715476p+0f;
/// 1.5 * 2^23: added to |x| < 2^22 it rounds to an integer.
inline constexpr float kRoundMagic = 0x1.8p23f;
/// ln 2 in two parts; products of the first with |n| < 2^9 are exact.
inline constexpr float kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f;
/// (exp(r) - 1 - r) / r^2 over |r| <= 0.35 (Chebyshev interpolant).
inline constexpr std::array<float, 5> kExpPolynomial = {
    0.5f, 0.166665734239f, 0.0416665501627f, 0.00836376702329f,
    0.00139269180559f};

/// Bits of sqrt(1/2), where log splits off the exponent.
inline constexpr int32_t kLogHalfRoot = 0x3f3504f3;
/// R(s^2) / s^2 with log((1+s)/(1-s)) = 2s + s R(s^2) (FreeBSD msun, e_log.c).
inline constexpr std::array<float, 4> kLogPolynomial = {
    0x1.555556p-1f, 0x1.99999ap-2f, 0x1.24924ap-2f, 0x1.c71c72p-3f};

/// (tanh(x) / x - 1) / x^2 in x^2 over [0, 0.4]; used below |x| = 0.625.
inline constexpr float kTanhSmall = 0.625f;
inline constexpr std::array<float, 6> kTanhPolynomial = {
    -0.333333331494f, 0.133333001462f,    -0.0539584616275f,
    0.0217625029074f, -0.00832318705828f, 0.00226950168416f};

/// erf(x) = x + x P(x^2) below |x| = kErfSmall, else with t = |x|
/// sign(x) (1 - exp(-t + t Q(t))) (minimax, of N. Juffa's erff).
inline constexpr float kErfSmall = 0.927734375f;
inline constexpr std::array<float, 6> kErfPolynomial = {
    0x1.06eba8p-3f,  -0x1.8127p-2f,  0x1.ce1c44p-4f,
    -0x1.b691b2p-6f, 0x1.471a58p-8f, -0x1.38ep-11f};
inline constexpr std::array<float, 7> kErfTailPolynomial = {
    -0x1.079d0cp-3f, -0x1.450aap-1f,  -0x1.b55cb8p-4f, 0x1.8d6342p-6f,
    -0x1.fd1438p-9f, 0x1.91cfb2p-12f, -0x1.22p-16f};

inline constexpr float kInverseRoot2 = 0x1.6a09e6p-1f;
inline constexpr float kQuickGeluFactor = -1.702f;
/// 2 sqrt(2 / pi) and the cubic coefficient of GELU's tanh form.
inline constexpr float kGeluTanhFactor = 0x1.988454p+0f;
inline constexpr float kGeluTanhCubic = 0.044715f;

/// sin, cos in binary64: pi/2 in three parts, Taylor series in r^2.
inline constexpr std::array<double, 3> kHalfPi = {
    0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110};
inline constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
/// Larger arguments give 0: neighbours are thousands of periods apart.
inline constexpr double kSinLimit = 0x1p40;
inline constexpr std::array<double, 7> kSinPolynomial = {
    1.0,          -1.0 / 6,        1.0 / 120,       -1.0 / 5040,
    1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800};
inline constexpr std::array<double, 8> kCosPolynomial = {
    1.0,         -1.0 / 2,       1.0 / 24,        -1.0 / 720,
    1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200};

//===--- Building blocks ---===//

/// Horner's scheme from the highest coefficient, one fma a step.
template <typename T, size_t N>
inline T polynomial(T x, const std::array<T, N> &coefficients) {
  T result = coefficients[N - 1];
  for (size_t i = N - 1; i-- > 0;)
    result = std::fma(result, x, coefficients[i]);
  return result;
}

inline int32_t bitsOf(float x) { return std::bit_cast<int32_t>(x); }
inline float fromBits(uint32_t bits) { return std::bit_cast<float>(bits); }

//===--- Formats ---===//

/// dcast: q converts exactly, one rounding.
inline float dequantize(int32_t q, float scale) {
  return static_cast<float>(q) * scale;
}

/// The factor of qcast to `scale`.
inline float invert(float scale) { return 1.0f / scale; }

/// Rounds to nearest even and clamps to [-limit, limit]; NaN gives 0.
inline int32_t roundAndClamp(float x, int32_t limit) {
  float high = static_cast<float>(limit);
  x = x > high ? high : x;
  x = x < -high ? -high : x;
  x = x == x ? x : 0.0f;
  // |x| < 2^22: the sum rounds to an integer, ties to even, and the difference
  // of the bits is that integer.
  return bitsOf(x + kRoundMagic) - bitsOf(kRoundMagic);
}

/// qcast of an activation; `inverse` is invert(scale).
inline int32_t quantize(float x, float inverse, int32_t limit) {
  return roundAndClamp(x * inverse, limit);
}

/// qcast of a weight: divided, because weights are rounded once and for all.
inline int32_t quantizeWeight(float x, float scale) {
  return roundAndClamp(x / scale, 127);
}

//===--- Functions ---===//

/// IEEE 754-2019 minimum and maximum: NaN if either is; -0 below +0.
inline float minimum(float a, float b) {
  float smaller = a < b ? a : b;
  // For equal numbers: the sign bit if either has it.
  smaller = a == b ? fromBits(bitsOf(a) | bitsOf(b)) : smaller;
  return a == a && b == b ? smaller : kNaN;
}
inline float maximum(float a, float b) {
  float larger = a > b ? a : b;
  larger = a == b ? fromBits(bitsOf(a) & bitsOf(b)) : larger;
  return a == a && b == b ? larger : kNaN;
}

inline float relu(float x) { return x < 0.0f ? 0.0f : x; }
/// Two roundings.
inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }

/// 2^n exp(r), |r| <= ln(2) / 2. Below kExpLow 0, above 88.72 infinity.
inline float exp32(float x) {
  x = x < kExpLow ? kExpLow : x;
  x = x > kExpHigh ? kExpHigh : x;
  float shifted = std::fma(x, kLog2E, kRoundMagic);
  float n = shifted - kRoundMagic;
  int32_t exponent =
      static_cast<int32_t>(static_cast<uint32_t>(bitsOf(shifted)) -
                           static_cast<uint32_t>(bitsOf(kRoundMagic)));
  float r = std::fma(n, -kLn2High, x);
  r = std::fma(n, -kLn2Low, r);
  float value = std::fma(r * r, polynomial(r, kExpPolynomial), r) + 1.0f;
  // 2^n in two factors: one exponent field does not hold -150 .. 128.
  int32_t half = exponent >> 1;
  uint32_t first = static_cast<uint32_t>(half),
           second = static_cast<uint32_t>(exponent) - first;
  value = value * fromBits((first + 127u) << 23);
  return value * fromBits((second + 127u) << 23);
}

/// x = 2^n (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), s = f / (2 + f):
/// log(1 + f) = f - (f^2/2 - s (f^2/2 + R)).
inline float log32(float x) {
  bool isTiny = x < 0x1p-126f;
  float normal = isTiny ? x * 0x1p25f : x;
  float offset = isTiny ? -25.0f : 0.0f;
  uint32_t fraction = static_cast<uint32_t>(bitsOf(normal)) -
                      static_cast<uint32_t>(kLogHalfRoot);
  int32_t exponent = static_cast<int32_t>(fraction) >> 23;
  float mantissa = fromBits(static_cast<uint32_t>(bitsOf(normal)) -
                            (static_cast<uint32_t>(exponent) << 23));
  float n = static_cast<float>(exponent) + offset;
  float f = mantissa + -1.0f;
  float s = f / (f + 2.0f);
  float s2 = s * s;
  float halfSquare = (f * f) * 0.5f;
  float r = s2 * polynomial(s2, kLogPolynomial);
  float small = std::fma(s, halfSquare + r, n * kLn2Low);
  float result = std::fma(n, kLn2High, f - (halfSquare - small));
  result = x == 0.0f ? -kInfinity : result;
  result = x < kInfinity ? result : x; // +infinity and NaN are themselves.
  return x < 0.0f ? kNaN : result;
}

inline float tanh32(float x) {
  float magnitude = std::fabs(x);
  float power = exp32(magnitude * 2.0f);
  float large = 1.0f - 2.0f / (power + 1.0f);
  float square = magnitude * magnitude;
  float small = std::fma(magnitude * square,
                         polynomial(square, kTanhPolynomial), magnitude);
  return std::copysign(magnitude < kTanhSmall ? small : large, x);
}

inline float erf32(float x) {
  float magnitude = std::fabs(x), square = x * x;
  float small = std::fma(polynomial(square, kErfPolynomial), x, x);
  float exponent = std::fma(polynomial(magnitude, kErfTailPolynomial),
                            magnitude, -magnitude);
  float large = std::copysign(1.0f - exp32(exponent), x);
  return magnitude < kErfSmall ? small : large;
}

inline float sigmoid32(float x) { return 1.0f / (exp32(-x) + 1.0f); }
inline float silu32(float x) { return x / (exp32(-x) + 1.0f); }
inline float quickGelu32(float x) {
  return x / (exp32(x * kQuickGeluFactor) + 1.0f);
}
inline float gelu32(float x) {
  return (0.5f * x) * (1.0f + erf32(x * kInverseRoot2));
}
/// 0.5 (1 + tanh(u)) = sigmoid(2u).
inline float geluTanh32(float x) {
  float cubic = std::fma(x * x, kGeluTanhCubic, 1.0f);
  return x / (exp32(-((x * cubic) * kGeluTanhFactor)) + 1.0f);
}

/// sin(x + quadrant * pi/2), binary64 rounded once.
inline float sinQuadrant(float x, double quadrant) {
  double wide = x;
  double n = std::nearbyint(wide * kTwoOverPi);
  double r = std::fma(n, -kHalfPi[0], wide);
  r = std::fma(n, -kHalfPi[1], r);
  r = std::fma(n, -kHalfPi[2], r);
  double square = r * r;
  double sine = r * polynomial(square, kSinPolynomial);
  double cosine = polynomial(square, kCosPolynomial);
  double turn = n + quadrant;
  turn = turn - std::floor(turn * 0.25) * 4.0; // 0, 1, 2 or 3
  double value = turn == 1.0 || turn == 3.0 ? cosine : sine;
  value = turn > 1.5 ? -value : value;
  // x - x: 0, but NaN of infinities.
  return static_cast<float>(std::fabs(wide) < kSinLimit ? value : wide - wide);
}
inline float sin32(float x) { return sinQuadrant(x, 0.0); }
inline float cos32(float x) { return sinQuadrant(x, 1.0); }

//===--- Attention ---===//

/// c: the accumulator of q k times this is the scaled score.
inline float attentionScoreFactor(float queryScale, float keyScale,
                                  double scale) {
  return static_cast<float>(static_cast<double>(queryScale) *
                            static_cast<double>(keyScale) * scale);
}

/// e of a score that lies `difference` (0 or negative) from its row's largest:
/// 0..32767.
inline int32_t softmaxExponential(int32_t difference, float scoreScale) {
  return roundAndClamp(exp32(dequantize(difference, scoreScale)) * 32767.0f,
                       32767);
}

//===--- Normalisation: factors in binary64 ---===//

struct NormStatistics {
  double mean; ///< Of q.
  double t;    ///< scale / standard deviation of the real values.
};

/// From exact sums of q and q^2 over `count` elements.
inline NormStatistics normStatistics(int64_t sum, int64_t squares,
                                     int64_t count, float scale, double epsilon,
                                     bool rms) {
  double n = static_cast<double>(count), s = static_cast<double>(scale);
  double mean = rms ? 0.0 : static_cast<double>(sum) / n;
  double square = mean * mean;
  double variance = static_cast<double>(squares) / n - square;
  variance = variance < 0.0 ? 0.0 : variance;
  double inverse = 1.0 / std::sqrt(((variance * s) * s) + epsilon);
  return {mean, s * inverse};
}

/// y = q * a + b, two roundings.
struct NormFactors {
  float a, b;
};

inline NormFactors groupNormFactors(NormStatistics statistics, float gamma,
                                    float beta) {
  double wide = static_cast<double>(gamma);
  double shift = (statistics.mean * statistics.t) * wide;
  return {static_cast<float>(statistics.t * wide),
          static_cast<float>(static_cast<double>(beta) - shift)};
}

inline NormFactors layerNormFactors(NormStatistics statistics) {
  return {static_cast<float>(statistics.t),
          static_cast<float>(-(statistics.mean * statistics.t))};
}

} // namespace efrt::numerics

#endif
