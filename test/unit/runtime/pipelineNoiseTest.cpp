// Noise and sampling against torch and diffusers, bit for bit.
#include "pipelineData.h"

#include "efrt/LcmScheduler.h"
#include "efrt/TorchRng.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

using namespace efrt;
using namespace efrt::test;

TEST(TorchRng, HasTorchsBits) {
  for (const auto &run : pipelineData()["randn"]) {
    TorchRng rng(std::stoull(run["seed"].get<std::string>()));
    for (const auto &draw : run["draws"]) {
      std::vector<float> values(draw["size"].get<size_t>());
      rng.randn(values);
      SCOPED_TRACE(testing::Message()
                   << "seed " << run["seed"] << ", size " << values.size());
      std::vector<float> samples = floats(draw["samples"]);
      size_t stride = draw["stride"];
      for (size_t i = 0; i < samples.size(); ++i)
        EXPECT_EQ(std::bit_cast<uint32_t>(samples[i]),
                  std::bit_cast<uint32_t>(values[i * stride]))
            << "value " << i * stride << ", " << samples[i] << " and "
            << values[i * stride];
      EXPECT_EQ(draw["digest"], digest(values));
    }
  }
}

TEST(TorchRng, EmptyDrawTakesNothing) {
  TorchRng with(3), without(3);
  std::vector<float> a(20), b(20);
  with.randn({});
  with.randn(a);
  without.randn(b);
  EXPECT_EQ(a, b);
}

static BetaSchedule scheduleNamed(const std::string &name) {
  if (name == "linear")
    return BetaSchedule::Linear;
  return name == "scaled_linear" ? BetaSchedule::ScaledLinear
                                 : BetaSchedule::SquaredCosCapV2;
}

TEST(LcmScheduler, AlphaBarsHaveTorchsBits) {
  for (const auto &expected : pipelineData()["alpha_bars"]) {
    LcmConfig config;
    config.betaSchedule = scheduleNamed(expected["schedule"]);
    config.betaStart = expected["beta_start"];
    config.betaEnd = expected["beta_end"];
    config.numTrainTimesteps = expected["count"];
    config.originalInferenceSteps = 10;
    auto scheduler = LcmScheduler::create(config);
    ASSERT_TRUE(scheduler.ok());
    std::span<const float> values = scheduler->alphaBars();
    ASSERT_EQ(expected["size"].get<size_t>(), values.size());
    std::vector<float> samples = floats(expected["samples"]);
    size_t stride = expected["stride"];
    for (size_t i = 0; i < samples.size(); ++i)
      EXPECT_EQ(samples[i], values[i * stride])
          << expected["schedule"] << " " << i * stride;
    EXPECT_EQ(expected["digest"], digest(values)) << expected["schedule"];
  }
}

TEST(LcmScheduler, TimestepsAreDiffusers) {
  for (const auto &expected : pipelineData()["timesteps"]) {
    LcmConfig config;
    config.numTrainTimesteps = expected["train"];
    config.originalInferenceSteps = expected["original"];
    auto scheduler = LcmScheduler::create(config);
    ASSERT_TRUE(scheduler.ok());
    std::vector<int64_t> timesteps = expected["timesteps"];
    auto actual = scheduler->timesteps(static_cast<int64_t>(timesteps.size()));
    ASSERT_TRUE(actual.ok());
    EXPECT_EQ(timesteps, *actual);
  }
}

static PredictionType predictionNamed(const std::string &name) {
  if (name == "epsilon")
    return PredictionType::Epsilon;
  return name == "sample" ? PredictionType::Sample
                          : PredictionType::VPrediction;
}

// torch takes square roots from a vector library that may be one unit in the
// last place off; this is that error, through the division by sqrt(alphaBar).
static double stepTolerance(const LcmScheduler &scheduler, int64_t timestep,
                            float magnitude) {
  return 3e-7 * (1 + std::abs(magnitude)) /
         std::sqrt(scheduler.alphaBars()[timestep]);
}

TEST(LcmScheduler, TrajectoriesAreDiffusersWithinOneRoundedRoot) {
  for (const auto &run : pipelineData()["trajectories"]) {
    LcmConfig config;
    config.predictionType = predictionNamed(run["prediction_type"]);
    auto scheduler = LcmScheduler::create(config);
    ASSERT_TRUE(scheduler.ok());
    int64_t steps = run["steps"];
    auto timesteps = scheduler->timesteps(steps);
    ASSERT_TRUE(timesteps.ok());
    EXPECT_EQ(run["timesteps"].get<std::vector<int64_t>>(), *timesteps);

    TorchRng rng(steps);
    std::vector<float> sample(4 * 3 * 3), denoised(sample.size());
    rng.randn(sample);
    for (int64_t i = 0; i < steps; ++i) {
      SCOPED_TRACE(testing::Message() << run["prediction_type"] << ", step "
                                      << i << " of " << steps);
      std::vector<float> noise;
      if (i + 1 < steps) {
        noise.resize(sample.size());
        rng.randn(noise);
      }
      const auto &state = run["states"][i];
      int64_t timestep = (*timesteps)[i];
      scheduler->step(timestep, (*timesteps)[std::min(i + 1, steps - 1)],
                      floats(state["prediction"]), noise, sample, denoised);
      std::vector<float> expectedSample = floats(state["sample"]),
                         expectedDenoised = floats(state["denoised"]);
      for (size_t j = 0; j < sample.size(); ++j) {
        double tolerance =
            stepTolerance(*scheduler, timestep, expectedDenoised[j]);
        EXPECT_NEAR(expectedSample[j], sample[j], tolerance);
        EXPECT_NEAR(expectedDenoised[j], denoised[j], tolerance);
      }
      sample = expectedSample; // Each step is judged alone.
    }
  }
}

TEST(LcmScheduler, RefusesWhatHasNoMeaning) {
  auto messageOf = [](auto change) {
    LcmConfig config;
    change(config);
    auto scheduler = LcmScheduler::create(config);
    EXPECT_FALSE(scheduler.ok());
    return scheduler.ok() ? "" : scheduler.status().message();
  };
  using testing::HasSubstr;
  EXPECT_THAT(messageOf([](LcmConfig &c) { c.originalInferenceSteps = 0; }),
              HasSubstr("original_inference_steps is 0"));
  EXPECT_THAT(messageOf([](LcmConfig &c) { c.originalInferenceSteps = 1001; }),
              HasSubstr("num_train_timesteps = 1000"));
  EXPECT_THAT(messageOf([](LcmConfig &c) { c.numTrainTimesteps = -1; }),
              HasSubstr("num_train_timesteps is -1"));
  EXPECT_THAT(messageOf([](LcmConfig &c) { c.betaEnd = 1; }),
              HasSubstr("beta_end 1"));
  EXPECT_THAT(messageOf([](LcmConfig &c) { c.timestepScaling = NAN; }),
              HasSubstr("timestep_scaling"));

  auto scheduler = LcmScheduler::create({});
  ASSERT_TRUE(scheduler.ok());
  EXPECT_FALSE(scheduler->timesteps(0).ok());
  EXPECT_FALSE(scheduler->timesteps(51).ok());
}

// The angles reach thousands of radians, so one unit in the last place of a
// frequency, which torch's vectorised exponential may be off by, shows.
TEST(GuidanceEmbedding, IsDiffusersWithinOneRoundedFrequency) {
  for (const auto &expected : pipelineData()["guidance"]) {
    std::vector<float> values = floats(expected["values"]);
    double scale = expected["scale"];
    size_t dimension = expected["dimension"];
    std::vector<float> actual = guidanceEmbedding(scale, dimension);
    ASSERT_EQ(values.size(), actual.size());
    size_t half = dimension / 2;
    for (size_t i = 0; i < dimension; ++i) {
      double exponent = -std::log(1e4) * static_cast<double>(i % half) /
                        static_cast<double>(half - 1);
      double angle = 1000 * (scale - 1) * std::exp(exponent);
      EXPECT_NEAR(values[i], actual[i], 1.2e-7 * (1 + angle))
          << "scale " << scale << ", element " << i << " of " << dimension;
    }
  }
}
