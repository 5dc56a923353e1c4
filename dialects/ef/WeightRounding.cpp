// Rounding whose errors sum to zero: SQuant's idea (Guo et al., "SQuant:
// On-the-Fly Data-Free Quantization via Diagonal Hessian Approximation", ICLR
// 2022, arXiv 2202.07471), which needs no data. Errors are integers of 2^-20,
// so that sums are exact and independent of their order.
#include "dialects/ef/WeightRounding.h"

#include "dialects/ef/Quantized.h"
#include "runtime/npu/Numerics.h"

#include <algorithm>
#include <vector>

using namespace efc::ef;
namespace numerics = efrt::numerics;

static constexpr int32_t kOne = 1 << 20;
/// Candidates for another rounding have at least this error if there are
/// enough of them; a channel needs few, so that only a small part is sorted.
static constexpr int32_t kLargeError = kOne / 100 * 45;

namespace {
/// Weights with their rounding errors q - w / s.
struct Errors {
  int8_t *values;
  int32_t *errors;
  int64_t count;

  int64_t sum() const {
    int64_t result = 0;
    for (int64_t i = 0; i < count; ++i)
      result += errors[i];
    return result;
  }
  /// How much `values[i]` would like to move by -sign.
  int32_t key(int64_t i, int32_t sign) const {
    bool isAtEnd = values[i] * sign == -kWeightLimit;
    return isAtEnd ? 0 : errors[i] * sign;
  }
  void move(int64_t i, int32_t sign) {
    values[i] = static_cast<int8_t>(values[i] - sign);
    errors[i] -= sign * kOne;
  }
};
} // namespace

/// Indices with a key above `threshold`.
static std::vector<int64_t> collect(const Errors &channel, int32_t sign,
                                    int32_t threshold) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < channel.count; ++i)
    if (channel.key(i, sign) > threshold)
      indices.push_back(i);
  return indices;
}

/// Moves weights until the sum of errors is at most one half.
static void balance(Errors weights) {
  int64_t sum = weights.sum();
  int32_t sign = sum < 0 ? -1 : 1;
  int64_t moves = (sum * sign + kOne / 2) / kOne;
  if (moves == 0)
    return;
  std::vector<int64_t> indices = collect(weights, sign, kLargeError);
  if (static_cast<int64_t>(indices.size()) < moves)
    indices = collect(weights, sign, 0);
  moves = std::min<int64_t>(moves, indices.size());
  // The largest errors, the first of equal ones.
  std::partial_sort(indices.begin(), indices.begin() + moves, indices.end(),
                    [&](int64_t a, int64_t b) {
                      int32_t keyA = weights.key(a, sign),
                              keyB = weights.key(b, sign);
                      return keyA != keyB ? keyA > keyB : a < b;
                    });
  for (int64_t i = 0; i < moves; ++i)
    weights.move(indices[i], sign);
}

/// The same for the few weights of a kernel, without memory.
static void balanceGroup(Errors weights) {
  int64_t sum = weights.sum();
  int32_t sign = sum < 0 ? -1 : 1;
  for (int64_t moves = (sum * sign + kOne / 2) / kOne; moves > 0; --moves) {
    int64_t best = 0;
    for (int64_t i = 1; i < weights.count; ++i)
      if (weights.key(i, sign) > weights.key(best, sign))
        best = i;
    if (weights.key(best, sign) <= 0)
      return;
    weights.move(best, sign);
  }
}

void efc::ef::roundChannel(const float *weights, int64_t count,
                           int64_t groupSize, float scale, int8_t *result) {
  std::vector<int32_t> errors(count);
  for (int64_t i = 0; i < count; ++i) {
    int32_t q = numerics::quantizeWeight(weights[i], scale);
    result[i] = static_cast<int8_t>(q);
    float error = static_cast<float>(q) - weights[i] / scale;
    errors[i] = numerics::roundAndClamp(error * static_cast<float>(kOne), kOne);
  }
  if (groupSize > 1)
    for (int64_t first = 0; first < count; first += groupSize)
      balanceGroup({result + first, errors.data() + first,
                    std::min(groupSize, count - first)});
  balance({result, errors.data(), count});
}
