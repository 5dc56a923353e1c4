// From a prompt to a picture: tokenizer, text encoder, LCM loop over the U-Net,
// VAE decoder, driven from one bundle of artifacts.
#ifndef EFRT_TEXTTOIMAGE_H
#define EFRT_TEXTTOIMAGE_H

#include "efrt/Export.h"
#include "efrt/Status.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace efrt {

struct TextToImageOptions {
  /// As in SessionOptions, for each of the three models.
  unsigned threads = 0;
  std::string variant;
  std::string device;
  /// Load each model when it is needed and drop it after its last use, so that
  /// never more than one is in memory.
  bool lowMemory = false;
};

struct GenerationParams {
  std::string prompt; ///< UTF-8.
  int64_t steps = 2;  ///< 1 to TextToImage::kMaxSteps.
  uint64_t seed = 0;
  /// The guidance scale as diffusers counts it (its embedding is of scale - 1).
  /// Without effect on a U-Net that has no guidance embedding.
  double guidance = 8.0;
  /// The first latent, N(0, 1), latentChannels x latentHeight x latentWidth;
  /// empty: drawn from the seed, as torch.randn would.
  std::vector<float> initialLatents;
};

struct StageTime {
  std::string stage; ///< "tokenize", "text encoder", "U-Net step 1", ...
  double seconds = 0;
};

struct GeneratedImage {
  int64_t width = 0, height = 0;
  /// Rows from top to bottom, 3 bytes a pixel.
  std::vector<uint8_t> rgb;
  /// The VAE decoder's output, 3 x height x width, nominally in [-1, 1].
  std::vector<float> values;
  /// What the VAE decoder was given, before the division by the scaling factor.
  std::vector<float> latents;
  int64_t latentChannels = 0, latentHeight = 0, latentWidth = 0;
  std::vector<int64_t> timesteps;
  /// Tokens of the prompt, and how many of them the text encoder could read.
  size_t numTokens = 0, numTokensRead = 0;
  /// In order. Loading a model, with lowMemory, is part of its first stage.
  std::vector<StageTime> times;
  double totalSeconds = 0;
  /// What writePng() stores: prompt, seed, steps, guidance, models, producer.
  std::vector<std::pair<std::string, std::string>> parameters;
};

/// Before each stage: its name, how many are done, and how many there are.
struct Progress {
  std::string_view stage; ///< Empty at the end.
  int64_t done = 0, total = 0;
};
using ProgressCallback = std::function<void(const Progress &)>;

/// Used by one thread at a time.
class EFRT_API TextToImage {
public:
  static constexpr int64_t kMaxSteps = 8;

  /// Reads FOLDER/pipeline.json, the tokenizer and, unless lowMemory, the three
  /// artifacts. A model whose inputs or outputs do not fit the pipeline is an
  /// error that names both.
  static Result<std::unique_ptr<TextToImage>>
  load(const std::string &folder, const TextToImageOptions &options = {});
  ~TextToImage();
  TextToImage(const TextToImage &) = delete;
  TextToImage &operator=(const TextToImage &) = delete;

  /// The same params give the same picture. `cancelled` is asked between
  /// stages and between the launches of a model; true ends with Cancelled.
  /// CorruptData where a model's output is not a number.
  Result<GeneratedImage> generate(const GenerationParams &params,
                                  const ProgressCallback &progress = {},
                                  const std::function<bool()> &cancelled = {});

  /// False: `guidance` has no effect.
  bool hasGuidance() const;

private:
  struct Impl;
  explicit TextToImage(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// The image as a PNG file with its parameters inside.
EFRT_API Status writePng(const std::string &path, const GeneratedImage &image);

} // namespace efrt

#endif
