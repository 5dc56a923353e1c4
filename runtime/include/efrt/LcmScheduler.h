// The sampler of latent consistency models: from predicted noise to the next
// latent, in one to a few steps.
#ifndef EFRT_LCMSCHEDULER_H
#define EFRT_LCMSCHEDULER_H

#include "efrt/Export.h"
#include "efrt/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace efrt {

enum class PredictionType { Epsilon, Sample, VPrediction };
enum class BetaSchedule { Linear, ScaledLinear, SquaredCosCapV2 };

/// The fields of diffusers' LCMScheduler that a pipeline sets, and their
/// defaults there. (set_alpha_to_one has no effect on a schedule of timesteps
/// that are all >= 0, which is every schedule this class makes.)
struct LcmConfig {
  int64_t numTrainTimesteps = 1000;
  double betaStart = 0.00085;
  double betaEnd = 0.012;
  BetaSchedule betaSchedule = BetaSchedule::ScaledLinear;
  int64_t originalInferenceSteps = 50;
  double timestepScaling = 10.0;
  double sigmaData = 0.5;
  PredictionType predictionType = PredictionType::Epsilon;
};

/// Luo et al., "Latent Consistency Models" (arXiv 2310.04378), multistep
/// sampling, computed in float32 with the operations and the order of
/// diffusers' LCMScheduler. One difference remains: a square root is correctly
/// rounded here, while torch's vector library may be one unit in the last place
/// off.
class EFRT_API LcmScheduler {
public:
  /// Fails on a configuration that has no meaning (original_inference_steps of
  /// 0, betas outside [0, 1), ...).
  static Result<LcmScheduler> create(const LcmConfig &config);

  /// The timesteps of an `numSteps`-step run, descending; InvalidArgument
  /// unless 1 <= numSteps <= original_inference_steps.
  Result<std::vector<int64_t>> timesteps(int64_t numSteps) const;

  /// One step. `timestep` and `nextTimestep` are neighbours of a schedule;
  /// `prediction` is the model's output for `sample`. `denoised` receives the
  /// estimate of the clean latent, c_out x0 + c_skip sample. Unless this is the
  /// last step (`noise` empty), `sample` is overwritten with the next, noisier
  /// latent sqrt(a) denoised + sqrt(1 - a) noise, where a = alphaBar of
  /// `nextTimestep`; at the last step it becomes `denoised`. All spans have the
  /// same size.
  void step(int64_t timestep, int64_t nextTimestep,
            std::span<const float> prediction, std::span<const float> noise,
            std::span<float> sample, std::span<float> denoised) const;

  /// The cumulative product of 1 - beta, one value a training timestep.
  std::span<const float> alphaBars() const { return alphasCumprod; }

  const LcmConfig &getConfig() const { return config; }

private:
  explicit LcmScheduler(const LcmConfig &config);

  LcmConfig config;
  std::vector<float> alphasCumprod;
};

/// The sinusoidal embedding of w = guidanceScale - 1 that a guidance-distilled
/// U-Net takes as `timestep_cond`: [sin(1000 w f_i), cos(1000 w f_i)] with f_i
/// = 10000^(-i / (half - 1)); an odd `dimension` ends with a zero. `dimension`
/// is at least 4. float32, as in diffusers' get_guidance_scale_embedding.
EFRT_API std::vector<float> guidanceEmbedding(double guidanceScale,
                                              size_t dimension);

} // namespace efrt

#endif
