// Which input and output of a pipeline's network is what, checked against what
// the pipeline will put in and take out.
#ifndef EFRT_PIPELINE_MODELBINDING_H
#define EFRT_PIPELINE_MODELBINDING_H

#include "runtime/pipeline/Model.h"
#include "runtime/pipeline/PipelineConfig.h"

#include <memory>
#include <optional>

namespace efrt {

/// Each of these owns its network and does the copying and converting around a
/// run. bind() is CorruptData, with the tensor's name, where the network does
/// not fit the pipeline.
class TextEncoder {
public:
  static Result<TextEncoder> bind(std::unique_ptr<Model> model,
                                  const PipelineConfig &config);
  /// The last hidden state for the ids, valid until the next run.
  Result<std::span<const float>> run(std::span<const int32_t> ids,
                                     const std::function<bool()> &cancelled);
  const TensorInfo &states() const { return model->outputs().front(); }

private:
  std::unique_ptr<Model> model;
};

class Unet {
public:
  static Result<Unet> bind(std::unique_ptr<Model> model,
                           const PipelineConfig &config);
  /// What the text encoder must give.
  const TensorInfo &states() const { return model->inputs()[statesIndex]; }
  /// The inputs that stay the same over all steps. `guidance` is empty for a
  /// U-Net without guidance embedding.
  void setConditions(std::span<const float> states,
                     std::span<const float> guidance);
  /// The prediction for a latent, valid until the next run.
  Result<std::span<const float>> run(std::span<const float> latent,
                                     int64_t timestep,
                                     const std::function<bool()> &cancelled);

private:
  std::unique_ptr<Model> model;
  size_t sampleIndex = 0, timestepIndex = 0, statesIndex = 0;
  std::optional<size_t> guidanceIndex;
};

class VaeDecoder {
public:
  static Result<VaeDecoder> bind(std::unique_ptr<Model> model,
                                 const PipelineConfig &config);
  /// The image, 3 x height x width, for a latent that has been divided by the
  /// scaling factor; valid until the next run.
  Result<std::span<const float>> run(std::span<const float> latent,
                                     const std::function<bool()> &cancelled);

private:
  std::unique_ptr<Model> model;
};

} // namespace efrt

#endif
