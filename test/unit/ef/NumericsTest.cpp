// The scalar functions of docs/numerics.md: their accuracy against binary64,
// special arguments, and the formats over all their values.
#include "runtime/npu/Numerics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

using namespace efrt::numerics;

namespace {

/// |value - expected| in units in the last place of expected as binary32.
double errorInUlps(float value, double expected) {
  constexpr float maximum = std::numeric_limits<float>::max();
  float magnitude = std::min(std::fabs(static_cast<float>(expected)),
                             std::nextafter(maximum, 0.0f));
  double unit = static_cast<double>(std::nextafter(magnitude, kInfinity)) -
                static_cast<double>(magnitude);
  return std::fabs(static_cast<double>(value) - expected) / unit;
}

/// The largest error over every 1009th of all binary32 numbers in [low, high].
double largestError(float (*function)(float), double (*reference)(double),
                    float low, float high) {
  double largest = 0;
  for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 1009) {
    float x = fromBits(static_cast<uint32_t>(bits));
    if (!(x >= low && x <= high))
      continue;
    double expected = reference(static_cast<double>(x));
    float value = function(x);
    if (std::isinf(static_cast<float>(expected))) {
      EXPECT_EQ(value, static_cast<float>(expected)) << "of " << x;
      continue;
    }
    largest = std::max(largest, errorInUlps(value, expected));
  }
  return largest;
}

double sigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }

TEST(NumericsTest, FunctionsAreAccurate) {
  using std::exp, std::log, std::tanh, std::erf;
  auto expOf = [](double x) { return exp(x); };
  auto logOf = [](double x) { return log(x); };
  auto tanhOf = [](double x) { return tanh(x); };
  auto erfOf = [](double x) { return erf(x); };
  auto siluOf = [](double x) { return x * sigmoidOf(x); };
  auto geluOf = [](double x) { return 0.5 * x * std::erfc(-x * M_SQRT1_2); };
  auto sinOf = [](double x) { return std::sin(x); };
  auto cosOf = [](double x) { return std::cos(x); };
  EXPECT_LT(largestError(exp32, expOf, -200, 200), 1.1);
  EXPECT_LT(largestError(log32, logOf, 0, kInfinity), 0.9);
  EXPECT_LT(largestError(tanh32, tanhOf, -30, 30), 1.4);
  EXPECT_LT(largestError(erf32, erfOf, -kInfinity, kInfinity), 1.0);
  EXPECT_LT(largestError(sigmoid32, sigmoidOf, -80, 200), 2.6);
  EXPECT_LT(largestError(silu32, siluOf, -80, 200), 2.6);
  EXPECT_LT(largestError(gelu32, geluOf, 0, 1e30f), 1.8);
  EXPECT_LT(largestError(sin32, sinOf, -1e6f, 1e6f), 0.51);
  EXPECT_LT(largestError(cos32, cosOf, -1e6f, 1e6f), 0.51);
}

TEST(NumericsTest, GeluOfNegativeNumbersIsAbsolutelyAccurate) {
  for (float x = -12; x < 0; x += 0.001f) {
    double expected = 0.5 * x * std::erfc(-x * M_SQRT1_2);
    EXPECT_NEAR(gelu32(x), expected, std::fabs(x) * 0x1p-23) << x;
    double cubic = x + 0.044715 * x * x * x;
    double byTanh = x * sigmoidOf(2 * std::sqrt(2 / M_PI) * cubic);
    EXPECT_NEAR(geluTanh32(x), byTanh, std::fabs(x) * 0x1p-21) << x;
    EXPECT_NEAR(quickGelu32(x), x * sigmoidOf(1.702 * x),
                std::fabs(x) * 0x1p-22)
        << x;
  }
  EXPECT_EQ(gelu32(-100.0f), 0.0f);
}

TEST(NumericsTest, SpecialArguments) {
  EXPECT_EQ(exp32(-kInfinity), 0.0f);
  EXPECT_EQ(exp32(kInfinity), kInfinity);
  EXPECT_EQ(exp32(0.0f), 1.0f);
  EXPECT_EQ(log32(0.0f), -kInfinity);
  EXPECT_EQ(log32(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(log32(-1.0f)));
  EXPECT_EQ(erf32(kInfinity), 1.0f);
  EXPECT_EQ(tanh32(-kInfinity), -1.0f);
  EXPECT_EQ(sin32(0x1p41f), 0.0f);
  EXPECT_TRUE(std::isnan(cos32(kInfinity)));
  for (auto function : {exp32, log32, tanh32, erf32, sigmoid32, silu32, gelu32,
                        geluTanh32, quickGelu32, sin32, cos32})
    EXPECT_TRUE(std::isnan(function(kNaN)));
  EXPECT_TRUE(std::signbit(minimum(0.0f, -0.0f)));
  EXPECT_TRUE(std::signbit(minimum(-0.0f, 0.0f)));
  EXPECT_FALSE(std::signbit(maximum(-0.0f, 0.0f)));
  EXPECT_TRUE(std::isnan(minimum(1.0f, kNaN)));
  EXPECT_TRUE(std::isnan(maximum(kNaN, 1.0f)));
}

TEST(NumericsTest, QuantizeRoundsToEvenAndSaturates) {
  EXPECT_EQ(quantize(0.5f, 1.0f, 32767), 0);
  EXPECT_EQ(quantize(1.5f, 1.0f, 32767), 2);
  EXPECT_EQ(quantize(-2.5f, 1.0f, 32767), -2);
  EXPECT_EQ(quantize(32767.4f, 1.0f, 32767), 32767);
  EXPECT_EQ(quantize(-1e30f, 1.0f, 8191), -8191);
  EXPECT_EQ(quantize(kInfinity, 1.0f, 8191), 8191);
  EXPECT_EQ(quantize(kNaN, 1.0f, 8191), 0);
}

TEST(NumericsTest, EveryStoredIntegerSurvivesItsCasts) {
  for (float scale : {1.0f, 0x1p-126f, 1e-6f, 0.0123f, 3.3e33f})
    for (int32_t q = -32767; q <= 32767; ++q)
      ASSERT_EQ(quantize(dequantize(q, scale), invert(scale), 32767), q)
          << "scale " << scale;
}

TEST(NumericsTest, SoftmaxExponentialFallsFromOne) {
  for (float scale : {1e-4f, 1e-3f, 0.05f}) {
    EXPECT_EQ(softmaxExponential(0, scale), 32767);
    int32_t previous = 32767;
    for (int32_t below = 1; below <= 65534; ++below) {
      int32_t e = softmaxExponential(-below, scale);
      ASSERT_LE(e, previous);
      ASSERT_NEAR(e, 32767 * std::exp(-below * static_cast<double>(scale)),
                  0.51);
      previous = e;
    }
  }
}

TEST(NumericsTest, StatisticsOfAConstantAreItsMean) {
  int64_t n = 1 << 20, q = 32767;
  NormStatistics statistics =
      normStatistics(n * q, n * q * q, n, 0.5f, 1e-6, false);
  EXPECT_EQ(statistics.mean, q);
  // Variance 0: only epsilon is left.
  EXPECT_DOUBLE_EQ(statistics.t, 0.5 / std::sqrt(1e-6));
  NormFactors factors = groupNormFactors(statistics, 2.0f, 3.0f);
  EXPECT_NEAR(static_cast<float>(q) * factors.a + factors.b, 3.0f, 4.0f);
}

} // namespace
