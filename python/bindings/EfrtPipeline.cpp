// edgefusion._efrt: the parts of the pipeline that stand between the models,
// for code that drives the models itself (edgefusion/calibrate.py).
#include "python/bindings/Efrt.h"

#include "efrt/LcmScheduler.h"
#include "efrt/Tokenizer.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

namespace py = pybind11;
using namespace edgefusion;
using efrt::ClipTokenizer;
using efrt::LcmConfig;
using efrt::LcmScheduler;

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

static std::span<const float> toSpan(const Floats &array) {
  return {array.data(), static_cast<size_t>(array.size())};
}

static Floats copyOf(const Floats &array) {
  Floats result(
      std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()));
  std::copy_n(array.data(), array.size(), result.mutable_data());
  return result;
}

/// The next sample and the estimate of the clean latent; `noise` is empty at
/// the last step.
static py::tuple step(const LcmScheduler &scheduler, int64_t timestep,
                      int64_t nextTimestep, const Floats &prediction,
                      const Floats &noise, const Floats &sample) {
  if (prediction.size() != sample.size() ||
      (noise.size() != 0 && noise.size() != sample.size()))
    throw RuntimeFailure("prediction, noise and sample differ in size");
  Floats next = copyOf(sample), denoised = copyOf(sample);
  auto size = static_cast<size_t>(sample.size());
  scheduler.step(timestep, nextTimestep, toSpan(prediction), toSpan(noise),
                 {next.mutable_data(), size}, {denoised.mutable_data(), size});
  return py::make_tuple(next, denoised);
}

static LcmScheduler makeScheduler(int64_t numTrainTimesteps, double betaStart,
                                  double betaEnd, const std::string &schedule,
                                  int64_t originalInferenceSteps,
                                  double timestepScaling, double sigmaData,
                                  const std::string &prediction) {
  LcmConfig config;
  config.numTrainTimesteps = numTrainTimesteps;
  config.betaStart = betaStart;
  config.betaEnd = betaEnd;
  config.betaSchedule = schedule == "linear" ? efrt::BetaSchedule::Linear
                        : schedule == "squaredcos_cap_v2"
                            ? efrt::BetaSchedule::SquaredCosCapV2
                            : efrt::BetaSchedule::ScaledLinear;
  config.originalInferenceSteps = originalInferenceSteps;
  config.timestepScaling = timestepScaling;
  config.sigmaData = sigmaData;
  config.predictionType = prediction == "sample" ? efrt::PredictionType::Sample
                          : prediction == "v_prediction"
                              ? efrt::PredictionType::VPrediction
                              : efrt::PredictionType::Epsilon;
  return take(LcmScheduler::create(config));
}

void edgefusion::bindPipelineParts(py::module_ &module) {
  py::class_<ClipTokenizer>(module, "ClipTokenizer")
      .def(
          py::init([](const std::string &vocab, const std::string &merges,
                      size_t maxLength, int32_t bos, int32_t eos, int32_t pad) {
            return take(
                ClipTokenizer::load({vocab, merges, maxLength, bos, eos, pad}));
          }),
          py::arg("vocab"), py::arg("merges"), py::arg("max_length"),
          py::arg("bos"), py::arg("eos"), py::arg("pad"))
      .def("encode",
           [](const ClipTokenizer &tokenizer, const std::string &text) {
             return take(tokenizer.encode(text)).ids;
           });
  py::class_<LcmScheduler>(module, "LcmScheduler")
      .def(py::init(&makeScheduler), py::arg("num_train_timesteps"),
           py::arg("beta_start"), py::arg("beta_end"), py::arg("beta_schedule"),
           py::arg("original_inference_steps"), py::arg("timestep_scaling"),
           py::arg("sigma_data"), py::arg("prediction_type"))
      .def("timesteps",
           [](const LcmScheduler &scheduler, int64_t steps) {
             return take(scheduler.timesteps(steps));
           })
      .def("step", &step);
  module.def("guidance_embedding", [](double scale, size_t dimension) {
    return efrt::guidanceEmbedding(scale, dimension);
  });
}
