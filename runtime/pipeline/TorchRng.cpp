// torch's two samplers of normals. Sources of the formulas: torch's
// DistributionTemplates.h and DistributionsHelper.h (which values are drawn, in
// which order) and the Cephes library's single precision logf, sinf and cosf,
// which torch's vectorised path follows. Its build contracts each
// multiplication that feeds an addition into a fused one; the fused operations
// are written out here, so the bits do not depend on this compiler's flags.
#include "efrt/TorchRng.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

using namespace efrt;

// Values that one step of torch's vectorised sampler makes: 8 pairs.
static constexpr size_t kBlock = 16;

namespace {
struct SinCos {
  float sin, cos;
};
} // namespace

// Cephes logf: x = m * 2^e with m in [sqrt(1/2), sqrt(2)), log x = e ln 2 + log
// m.
static float cephesLog(float x) {
#pragma STDC FP_CONTRACT OFF
  constexpr float sqrtHalf = 0.707106781186547524f;
  constexpr float coefficients[] = {
      7.0376836292E-2f,  -1.1514610310E-1f, 1.1676998740E-1f,
      -1.2420140846E-1f, 1.4249322787E-1f,  -1.6668057665E-1f,
      2.0000714765E-1f,  -2.4999993993E-1f, 3.3333331174E-1f};
  constexpr float ln2Low = -2.12194440e-4f, ln2High = 0.693359375f;

  x = std::max(x, std::numeric_limits<float>::min());
  uint32_t bits = std::bit_cast<uint32_t>(x);
  float exponent = static_cast<float>(static_cast<int32_t>(bits >> 23) - 126);
  float m = std::bit_cast<float>((bits & 0x007fffffu) | 0x3f000000u);
  if (m < sqrtHalf) {
    exponent -= 1.0f;
    m = (m - 1.0f) + m;
  } else {
    m -= 1.0f;
  }

  float square = m * m;
  float y = coefficients[0];
  for (size_t i = 1; i < std::size(coefficients); ++i)
    y = std::fma(y, m, coefficients[i]);
  y *= m;
  y = std::fma(y, square, exponent * ln2Low);
  y = std::fma(square, -0.5f, y);
  return std::fma(exponent, ln2High, m + y);
}

// Cephes sinf and cosf together, x >= 0: x is reduced by the nearest even
// multiple of pi/4, and the octant says which polynomial gives which result.
static SinCos cephesSinCos(float x) {
#pragma STDC FP_CONTRACT OFF
  constexpr float fourOverPi = 1.27323954473516f;
  // pi/4 in three parts, each short enough for exact products.
  constexpr float part1 = 0.78515625f, part2 = 2.4187564849853515625e-4f,
                  part3 = 3.77489497744594108e-8f;

  int32_t octant = (static_cast<int32_t>(x * fourOverPi) + 1) & ~1;
  float multiple = static_cast<float>(octant);
  x = std::fma(multiple, -part1, x);
  x = std::fma(multiple, -part2, x);
  x = std::fma(multiple, -part3, x);
  float square = x * x;

  float cosine = 2.443315711809948E-005f;
  cosine = std::fma(cosine, square, -1.388731625493765E-003f);
  cosine = std::fma(cosine, square, 4.166664568298827E-002f);
  cosine *= square;
  cosine = std::fma(cosine, square, -(square * 0.5f)) + 1.0f;

  float sine = -1.9515295891E-4f;
  sine = std::fma(sine, square, 8.3321608736E-3f);
  sine = std::fma(sine, square, -1.6666654611E-1f);
  sine *= square;
  sine = std::fma(sine, x, x);

  if (octant & 2)
    std::swap(sine, cosine);
  if (octant & 4)
    sine = -sine;
  if (((octant - 2) & 4) == 0)
    cosine = -cosine;
  return {sine, cosine};
}

// Box-Muller in place: uniforms [0, 8) give the radii, [8, 16) the angles.
static void boxMullerBlock(std::span<float, kBlock> block) {
#pragma STDC FP_CONTRACT OFF
  constexpr float twoPi = static_cast<float>(2.0 * std::numbers::pi);
  for (size_t i = 0; i < kBlock / 2; ++i) {
    float u1 = 1.0f - block[i]; // [0, 1) to (0, 1], for the logarithm.
    float radius = std::sqrt(-2.0f * cephesLog(u1));
    SinCos angle = cephesSinCos(twoPi * block[i + kBlock / 2]);
    // The sum with the mean turns a negative zero into a positive one.
    block[i] = radius * angle.cos + 0.0f;
    block[i + kBlock / 2] = radius * angle.sin + 0.0f;
  }
}

TorchRng::TorchRng(uint64_t seed) : engine(static_cast<uint32_t>(seed)) {}

float TorchRng::uniformFloat() {
  return static_cast<float>(static_cast<uint32_t>(engine()) & 0xffffffu) *
         0x1p-24f;
}

double TorchRng::uniformDouble() {
  uint64_t high = engine();
  uint64_t low = engine();
  return static_cast<double>((high << 32 | low) & ((uint64_t(1) << 53) - 1)) *
         0x1p-53;
}

double TorchRng::normalDouble() {
  if (cachedNormal)
    return *std::exchange(cachedNormal, std::nullopt);
  double u1 = uniformDouble();
  double u2 = uniformDouble();
  double radius = std::sqrt(-2.0 * std::log1p(-u2));
  double angle = 2.0 * std::numbers::pi * u1;
  cachedNormal = radius * std::sin(angle);
  return radius * std::cos(angle);
}

void TorchRng::randn(std::span<float> values) {
  if (values.size() < kBlock) {
    for (float &value : values)
      value = static_cast<float>(normalDouble());
    return;
  }
  for (float &value : values)
    value = uniformFloat();
  size_t whole = values.size() / kBlock * kBlock;
  for (size_t i = 0; i < whole; i += kBlock)
    boxMullerBlock(values.subspan(i).first<kBlock>());
  if (whole == values.size())
    return;
  // torch draws the last 16 values anew, overlapping the block before them.
  std::span<float, kBlock> last = values.last<kBlock>();
  for (float &value : last)
    value = uniformFloat();
  boxMullerBlock(last);
}
