// The text-to-image pipeline over any kind of models: TextToImage is this over
// Sessions.
#ifndef EFRT_PIPELINE_PIPELINE_H
#define EFRT_PIPELINE_PIPELINE_H

#include "efrt/TextToImage.h"
#include "runtime/pipeline/ModelBinding.h"
#include "runtime/pipeline/PipelineConfig.h"

#include <optional>

namespace efrt {

class Pipeline {
public:
  /// `name` is what the pictures will say they come from.
  static Result<Pipeline> create(const PipelineConfig &config,
                                 const std::string &name, ModelLoader loader,
                                 bool lowMemory);

  /// TextToImage::generate.
  Result<GeneratedImage> generate(const GenerationParams &params,
                                  const ProgressCallback &progress,
                                  const std::function<bool()> &cancelled);

  const PipelineConfig &getConfig() const { return config; }

private:
  class Run;

  Pipeline(PipelineConfig config, std::string name, ModelLoader loader,
           bool lowMemory, ClipTokenizer tokenizer, LcmScheduler scheduler);

  /// Load what is not loaded; the text encoder and the U-Net must agree on the
  /// hidden states.
  Status needTextEncoder();
  Status needUnet();
  Status needVaeDecoder();
  Status checkStates() const;

  PipelineConfig config;
  std::string name;
  ModelLoader loader;
  bool lowMemory;
  ClipTokenizer tokenizer;
  LcmScheduler scheduler;
  std::optional<TextEncoder> textEncoder;
  std::optional<Unet> unet;
  std::optional<VaeDecoder> vaeDecoder;
};

} // namespace efrt

#endif
