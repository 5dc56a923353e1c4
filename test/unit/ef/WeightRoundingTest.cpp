// Rounding of weights with errors that sum to zero.
#include "dialects/ef/WeightRounding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

using efc::ef::roundChannel;

static std::vector<int> round(const std::vector<float> &weights,
                              int64_t groupSize, float scale) {
  std::vector<int8_t> result(weights.size());
  roundChannel(weights.data(), weights.size(), groupSize, scale, result.data());
  return {result.begin(), result.end()};
}

TEST(WeightRoundingTest, MovesTheLargestErrorsOfTheSumsSign) {
  // To nearest 127, 0, 0, 0: the errors sum to -1.3, so one weight moves up.
  EXPECT_EQ(round({127, 0.4f, 0.45f, 0.45f}, 1, 1),
            (std::vector<int>{127, 0, 1, 0}));
  // Sum -0.3: nothing moves.
  EXPECT_EQ(round({127, 0.3f}, 1, 1), (std::vector<int>{127, 0}));
  // Sum +1.2: one moves down.
  EXPECT_EQ(round({-127, 0.6f, 0.6f, 0.6f}, 1, 1),
            (std::vector<int>{-127, 0, 1, 1}));
}

TEST(WeightRoundingTest, NoWeightLeavesTheRange) {
  // Both errors want to move past the end.
  EXPECT_EQ(round({127.49f, 127.49f, 127.49f}, 3, 1),
            (std::vector<int>{127, 127, 127}));
  EXPECT_EQ(round({0, 0, 0}, 3, 1), (std::vector<int>{0, 0, 0}));
}

TEST(WeightRoundingTest, SumsOfErrorsAreAtMostOneHalf) {
  constexpr unsigned seed = 7;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, 30);
  constexpr int64_t taps = 9, count = taps * 640;
  std::vector<float> weights(count);
  for (float &weight : weights)
    weight = std::clamp(normal(generator), -127.0f, 127.0f);
  std::vector<int> rounded = round(weights, taps, 1);
  double total = 0;
  for (int64_t first = 0; first < count; first += taps) {
    double sum = 0;
    for (int64_t i = first; i < first + taps; ++i) {
      double error = rounded[i] - static_cast<double>(weights[i]);
      EXPECT_LT(std::fabs(error), 2);
      sum += error;
    }
    // The channel's balance may move one weight of a kernel further.
    EXPECT_LT(std::fabs(sum), 1.51);
    total += sum;
  }
  EXPECT_LT(std::fabs(total), 0.51);
}
