// Largest magnitudes of weights. A U-Net has hundreds of millions of them: the
// loops work on bit patterns, so that they vectorise (the magnitudes of floats
// are ordered as integers) and NaN stands out as the largest of all.
#include "passes/quantize/WeightScales.h"

#include "dialects/ef/Quantized.h"
#include "dialects/ef/Shapes.h"

#include "mlir/IR/Threading.h"

#include <bit>

using namespace efc;

/// Bits of +infinity; larger magnitudes are NaN.
static constexpr uint32_t kInfinityBits = 0x7f800000;

static uint32_t magnitudeAt(const char *bytes, int64_t index) {
  uint32_t bits;
  std::memcpy(&bits, bytes + index * sizeof(bits), sizeof(bits));
  return bits & 0x7fffffff;
}

std::vector<float> efc::computeWeightScales(mlir::MLIRContext *context,
                                            const ef::HostTensor &weights,
                                            int32_t axis) {
  ef::AxisView view(weights.getShape(), axis);
  const char *bytes = weights.getBytes().data();
  std::vector<uint32_t> largest(view.extent, 0);
  if (view.inner == 1) {
    for (int64_t row = 0; row < view.outer; ++row)
      for (int64_t i = 0; i < view.extent; ++i)
        largest[i] =
            std::max(largest[i], magnitudeAt(bytes, row * view.extent + i));
  } else {
    mlir::parallelFor(context, 0, view.extent, [&](size_t channel) {
      uint32_t found = 0;
      for (int64_t outer = 0; outer < view.outer; ++outer) {
        int64_t base = (outer * view.extent + channel) * view.inner;
        for (int64_t i = 0; i < view.inner; ++i)
          found = std::max(found, magnitudeAt(bytes, base + i));
      }
      largest[channel] = found;
    });
  }
  std::vector<float> scales;
  for (uint32_t bits : largest) {
    if (bits >= kInfinityBits)
      return {};
    scales.push_back(
        ef::makeScale(std::bit_cast<float>(bits), ef::kWeightLimit));
  }
  return scales;
}
