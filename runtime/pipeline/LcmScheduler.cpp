// LCM sampling in the arithmetic of diffusers on torch: float32, one rounding
// an operation, no fused multiply-add.
#include "efrt/LcmScheduler.h"

#include "runtime/core/Text.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

#pragma STDC FP_CONTRACT OFF

using namespace efrt;

// torch.linspace(start, end, count) in float32: both halves are counted from
// their own end, so that both ends are exact.
static std::vector<float> linspace(float start, float end, int64_t count) {
  std::vector<float> values(count, start);
  if (count == 1)
    return values;
  float step = (end - start) / static_cast<float>(count - 1);
  for (int64_t i = 0; i < count; ++i)
    values[i] = i < count / 2
                    ? std::fma(step, static_cast<float>(i), start)
                    : std::fma(-step, static_cast<float>(count - i - 1), end);
  return values;
}

// Nichol and Dhariwal's cosine schedule, in double as diffusers computes it.
static std::vector<float> squaredCosBetas(int64_t count) {
  auto alphaBar = [](double t) {
    double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  std::vector<float> betas(count);
  for (int64_t i = 0; i < count; ++i) {
    double ratio = alphaBar(static_cast<double>(i + 1) / count) /
                   alphaBar(static_cast<double>(i) / count);
    betas[i] = static_cast<float>(std::min(1 - ratio, 0.999));
  }
  return betas;
}

static std::vector<float> makeBetas(const LcmConfig &config) {
  int64_t count = config.numTrainTimesteps;
  switch (config.betaSchedule) {
  case BetaSchedule::Linear:
    return linspace(static_cast<float>(config.betaStart),
                    static_cast<float>(config.betaEnd), count);
  case BetaSchedule::ScaledLinear: {
    std::vector<float> betas =
        linspace(static_cast<float>(std::sqrt(config.betaStart)),
                 static_cast<float>(std::sqrt(config.betaEnd)), count);
    for (float &beta : betas)
      beta *= beta;
    return betas;
  }
  case BetaSchedule::SquaredCosCapV2:
    return squaredCosBetas(count);
  }
  return {};
}

LcmScheduler::LcmScheduler(const LcmConfig &config) : config(config) {
  // torch accumulates float32 products in double and rounds each.
  double product = 1.0;
  for (float beta : makeBetas(config)) {
    product *= 1.0f - beta;
    alphasCumprod.push_back(static_cast<float>(product));
  }
}

Result<LcmScheduler> LcmScheduler::create(const LcmConfig &config) {
  auto invalid = [](std::string message) {
    return Status(StatusCode::InvalidArgument, std::move(message));
  };
  constexpr int64_t maxTimesteps = 1000000;
  if (config.numTrainTimesteps < 1 || config.numTrainTimesteps > maxTimesteps)
    return invalid(concat("the scheduler's num_train_timesteps is ",
                          config.numTrainTimesteps, ", not in [1, ",
                          maxTimesteps, "]"));
  if (config.originalInferenceSteps < 1 ||
      config.originalInferenceSteps > config.numTrainTimesteps)
    return invalid(concat(
        "the scheduler's original_inference_steps is ",
        config.originalInferenceSteps,
        ", not in [1, num_train_timesteps = ", config.numTrainTimesteps, "]"));
  auto isBeta = [](double beta) { return beta > 0 && beta < 1; };
  if (!isBeta(config.betaStart) || !isBeta(config.betaEnd))
    return invalid(concat("the scheduler's beta_start ", config.betaStart,
                          " or beta_end ", config.betaEnd,
                          " is not between 0 and 1"));
  if (!(config.timestepScaling > 0) || !std::isfinite(config.timestepScaling) ||
      !(config.sigmaData > 0) || !std::isfinite(config.sigmaData))
    return invalid(concat("the scheduler's timestep_scaling ",
                          config.timestepScaling, " or sigma_data ",
                          config.sigmaData, " is not a positive number"));
  return LcmScheduler(config);
}

Result<std::vector<int64_t>> LcmScheduler::timesteps(int64_t numSteps) const {
  int64_t original = config.originalInferenceSteps;
  if (numSteps < 1 || numSteps > original)
    return Status(StatusCode::InvalidArgument,
                  concat("the number of steps is ", numSteps, ", not in [1, ",
                         original, "]"));
  int64_t skip = config.numTrainTimesteps / original;
  double stride = static_cast<double>(original) / static_cast<double>(numSteps);
  std::vector<int64_t> schedule;
  for (int64_t i = 0; i < numSteps; ++i) {
    auto index =
        static_cast<int64_t>(std::floor(static_cast<double>(i) * stride));
    schedule.push_back((original - index) * skip - 1);
  }
  return schedule;
}

void LcmScheduler::step(int64_t timestep, int64_t nextTimestep,
                        std::span<const float> prediction,
                        std::span<const float> noise, std::span<float> sample,
                        std::span<float> denoised) const {
  assert(prediction.size() == sample.size() &&
         denoised.size() == sample.size() &&
         (noise.empty() || noise.size() == sample.size()));
  float alpha = alphasCumprod[timestep];
  float sqrtAlpha = std::sqrt(alpha), sqrtBeta = std::sqrt(1.0f - alpha);
  float nextAlpha = alphasCumprod[nextTimestep];
  float sqrtNextAlpha = std::sqrt(nextAlpha),
        sqrtNextBeta = std::sqrt(1.0f - nextAlpha);

  auto variance = static_cast<float>(config.sigmaData * config.sigmaData);
  float scaled =
      static_cast<float>(timestep) * static_cast<float>(config.timestepScaling);
  float denominator = scaled * scaled + variance;
  float skipScale = variance / denominator;
  float outputScale = scaled / std::sqrt(denominator);

  for (size_t i = 0; i < sample.size(); ++i) {
    float original = prediction[i];
    if (config.predictionType == PredictionType::Epsilon)
      original = (sample[i] - sqrtBeta * prediction[i]) / sqrtAlpha;
    else if (config.predictionType == PredictionType::VPrediction)
      original = sqrtAlpha * sample[i] - sqrtBeta * prediction[i];
    denoised[i] = outputScale * original + skipScale * sample[i];
    sample[i] = noise.empty()
                    ? denoised[i]
                    : sqrtNextAlpha * denoised[i] + sqrtNextBeta * noise[i];
  }
}

std::vector<float> efrt::guidanceEmbedding(double guidanceScale,
                                           size_t dimension) {
  assert(dimension >= 4 && "the frequencies divide by half - 1");
  size_t half = dimension / 2;
  std::vector<float> embedding(dimension, 0.0f);
  float w = static_cast<float>(guidanceScale - 1.0) * 1000.0f;
  float rate = -(std::log(10000.0f) / static_cast<float>(half - 1));
  for (size_t i = 0; i < half; ++i) {
    // The angle reaches thousands of radians: the frequency must be the float32
    // nearest to the true one, hence the exponential in double.
    double exponent = static_cast<float>(i) * rate;
    float angle = w * static_cast<float>(std::exp(exponent));
    embedding[i] = static_cast<float>(std::sin(static_cast<double>(angle)));
    embedding[half + i] =
        static_cast<float>(std::cos(static_cast<double>(angle)));
  }
  return embedding;
}
