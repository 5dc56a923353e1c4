// What a bundle's pipeline.json says: which models, tokenizer and sampler make
// up a text-to-image pipeline.
#ifndef EFRT_PIPELINE_PIPELINECONFIG_H
#define EFRT_PIPELINE_PIPELINECONFIG_H

#include "efrt/LcmScheduler.h"
#include "efrt/Status.h"
#include "efrt/Tokenizer.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace efrt {

struct PipelineConfig {
  std::string producer;
  /// Paths of the artifacts and the tokenizer's files include the bundle's.
  std::string textEncoder, unet, vaeDecoder;
  TokenizerConfig tokenizer;
  LcmConfig scheduler;
  int64_t latentChannels = 0, latentHeight = 0, latentWidth = 0;
  /// The latent is divided by it before the VAE decoder.
  double scalingFactor = 1;
  /// Width of the U-Net's timestep_cond; 0: it has none.
  size_t guidanceEmbeddingDim = 0;
  int64_t imageHeight = 0, imageWidth = 0;
};

/// Reads FOLDER/pipeline.json. NotFound where there is none; CorruptData, with
/// the field's name, for a missing, mistyped or senseless field or a path that
/// leaves the folder; Unsupported for a newer version or an unknown tokenizer,
/// scheduler or prediction type.
Result<PipelineConfig> readPipelineConfig(const std::string &folder);

/// The same from the text of the file.
Result<PipelineConfig> parsePipelineConfig(std::string_view text,
                                           const std::string &folder);

} // namespace efrt

#endif
