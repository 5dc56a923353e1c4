// One run of the LCM pipeline, in the order of diffusers'
// LatentConsistencyModelPipeline: the generator gives the first latent, then
// one noise for each step but the last.
#include "runtime/pipeline/Pipeline.h"

#include "efrt/TorchRng.h"
#include "runtime/core/Text.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>

using namespace efrt;

Pipeline::Pipeline(PipelineConfig config, std::string name, ModelLoader loader,
                   bool lowMemory, ClipTokenizer tokenizer,
                   LcmScheduler scheduler)
    : config(std::move(config)), name(std::move(name)),
      loader(std::move(loader)), lowMemory(lowMemory),
      tokenizer(std::move(tokenizer)), scheduler(std::move(scheduler)) {}

Result<Pipeline> Pipeline::create(const PipelineConfig &config,
                                  const std::string &name, ModelLoader loader,
                                  bool lowMemory) {
  Result<LcmScheduler> scheduler = LcmScheduler::create(config.scheduler);
  if (!scheduler)
    return scheduler.status();
  Result<ClipTokenizer> tokenizer = ClipTokenizer::load(config.tokenizer);
  if (!tokenizer)
    return tokenizer.status();
  Pipeline pipeline(config, name, std::move(loader), lowMemory,
                    std::move(*tokenizer), std::move(*scheduler));
  if (lowMemory)
    return pipeline;
  for (auto need : {&Pipeline::needTextEncoder, &Pipeline::needUnet,
                    &Pipeline::needVaeDecoder})
    if (Status status = (pipeline.*need)(); !status.ok())
      return status;
  return pipeline;
}

// Loads and binds `network` unless it is there.
template <typename Network>
static Status need(std::optional<Network> &network, const std::string &path,
                   const ModelLoader &loader, const PipelineConfig &config) {
  if (network)
    return {};
  Result<std::unique_ptr<Model>> model = loader(path);
  if (!model)
    return model.status();
  Result<Network> bound = Network::bind(std::move(*model), config);
  if (!bound)
    return Status(bound.status().getCode(),
                  concat(quote(path), ": ", bound.status().message()));
  network.emplace(std::move(*bound));
  return {};
}

Status Pipeline::needTextEncoder() {
  return need(textEncoder, config.textEncoder, loader, config);
}

Status Pipeline::needUnet() {
  if (Status status = need(unet, config.unet, loader, config); !status.ok())
    return status;
  return textEncoder ? checkStates() : Status();
}

Status Pipeline::needVaeDecoder() {
  return need(vaeDecoder, config.vaeDecoder, loader, config);
}

Status Pipeline::checkStates() const {
  const TensorInfo &given = textEncoder->states(), &wanted = unet->states();
  if (given.shape == wanted.shape)
    return {};
  return Status(StatusCode::CorruptData,
                concat("the text encoder gives ", quote(given.name), " of ",
                       shapeText(given.shape), ", but the U-Net reads ",
                       quote(wanted.name), " of ", shapeText(wanted.shape)));
}

/// One call of generate(): stages, times, and the values between them.
class Pipeline::Run {
public:
  Run(Pipeline &pipeline, const GenerationParams &params,
      const ProgressCallback &progress, const std::function<bool()> &cancelled)
      : pipeline(pipeline), config(pipeline.config), params(params),
        progress(progress), cancelled(cancelled), rng(params.seed) {}

  Result<GeneratedImage> generate();

private:
  Status checkParams();
  void describe();
  Status tokenize();
  Status encodeText();
  Status drawLatents();
  Status denoise();
  Status denoiseStep(size_t step);
  Status decode();
  void fillPixels();

  /// Runs `body` as a stage that is reported and timed.
  template <typename Body> Status stage(std::string stageName, Body body);

  Pipeline &pipeline;
  const PipelineConfig &config;
  const GenerationParams &params;
  const ProgressCallback &progress;
  const std::function<bool()> &cancelled;
  TorchRng rng;
  GeneratedImage image;
  std::vector<int32_t> ids;
  std::vector<float> states, sample;
  int64_t stagesDone = 0;
};

static double secondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

template <typename Body>
Status Pipeline::Run::stage(std::string stageName, Body body) {
  if (cancelled && cancelled())
    return Status(StatusCode::Cancelled, "the generation was cancelled");
  if (progress) {
    int64_t otherStages = 3; // Tokenizer, text encoder, VAE decoder.
    progress({stageName, stagesDone, params.steps + otherStages});
  }
  auto begin = std::chrono::steady_clock::now();
  if (Status status = body(); !status.ok())
    return status;
  ++stagesDone;
  image.times.push_back({std::move(stageName), secondsSince(begin)});
  return {};
}

static Status checkNumbers(std::span<const float> values,
                           std::string_view model) {
  if (std::ranges::all_of(values, [](float x) { return std::isfinite(x); }))
    return {};
  return Status(StatusCode::CorruptData,
                concat("the ", model,
                       " returned infinity or not-a-number; its weights are "
                       "damaged or too large for its data type"));
}

Status Pipeline::Run::checkParams() {
  auto invalid = [](std::string message) {
    return Status(StatusCode::InvalidArgument, std::move(message));
  };
  if (params.steps < 1 || params.steps > TextToImage::kMaxSteps)
    return invalid(concat("the number of steps is ", params.steps,
                          ", not in [1, ", TextToImage::kMaxSteps, "]"));
  if (!std::isfinite(params.guidance))
    return invalid("the guidance scale is not a finite number");
  size_t latentSize =
      config.latentChannels * config.latentHeight * config.latentWidth;
  if (!params.initialLatents.empty() &&
      params.initialLatents.size() != latentSize)
    return invalid(
        concat("the initial latents are ", params.initialLatents.size(),
               " values, but the model's are ",
               shapeText(std::array{config.latentChannels, config.latentHeight,
                                    config.latentWidth})));
  sample.resize(latentSize);
  return {};
}

Status Pipeline::Run::tokenize() {
  Result<EncodedPrompt> prompt = pipeline.tokenizer.encode(params.prompt);
  if (!prompt)
    return Status(prompt.status().getCode(),
                  concat("the prompt: ", prompt.status().message()));
  ids = std::move(prompt->ids);
  image.numTokens = prompt->numTokens;
  image.numTokensRead = std::min(prompt->numTokens, ids.size() - 2);
  return {};
}

Status Pipeline::Run::encodeText() {
  if (Status status = pipeline.needTextEncoder(); !status.ok())
    return status;
  Result<std::span<const float>> output =
      pipeline.textEncoder->run(ids, cancelled);
  if (!output)
    return output.status();
  if (Status status = checkNumbers(*output, "text encoder"); !status.ok())
    return status;
  states.assign(output->begin(), output->end());
  return {};
}

Status Pipeline::Run::drawLatents() {
  if (params.initialLatents.empty())
    rng.randn(sample);
  else
    sample = params.initialLatents;
  return checkNumbers(sample, "caller's initial latents");
}

Status Pipeline::Run::denoiseStep(size_t step) {
  if (step == 0) {
    if (Status status = pipeline.needUnet(); !status.ok())
      return status;
    if (pipeline.lowMemory)
      pipeline.textEncoder.reset();
    std::vector<float> guidance;
    if (config.guidanceEmbeddingDim > 0)
      guidance =
          guidanceEmbedding(params.guidance, config.guidanceEmbeddingDim);
    pipeline.unet->setConditions(states, guidance);
  }
  int64_t timestep = image.timesteps[step];
  Result<std::span<const float>> prediction =
      pipeline.unet->run(sample, timestep, cancelled);
  if (!prediction)
    return prediction.status();
  if (Status status = checkNumbers(*prediction, "U-Net"); !status.ok())
    return status;
  bool last = step + 1 == image.timesteps.size();
  std::vector<float> noise(last ? 0 : sample.size());
  rng.randn(noise);
  pipeline.scheduler.step(timestep, image.timesteps[last ? step : step + 1],
                          *prediction, noise, sample, image.latents);
  return {};
}

Status Pipeline::Run::denoise() {
  Result<std::vector<int64_t>> timesteps =
      pipeline.scheduler.timesteps(params.steps);
  if (!timesteps)
    return timesteps.status();
  image.timesteps = std::move(*timesteps);
  if (Status status = drawLatents(); !status.ok())
    return status;
  image.latents.resize(sample.size());
  for (size_t step = 0; step < image.timesteps.size(); ++step)
    if (Status status = stage(concat("U-Net step ", step + 1),
                              [&] { return denoiseStep(step); });
        !status.ok())
      return status;
  return {};
}

Status Pipeline::Run::decode() {
  if (pipeline.lowMemory)
    pipeline.unet.reset();
  if (Status status = pipeline.needVaeDecoder(); !status.ok())
    return status;
  std::vector<float> scaled = image.latents;
  for (float &value : scaled)
    value /= static_cast<float>(config.scalingFactor);
  Result<std::span<const float>> output =
      pipeline.vaeDecoder->run(scaled, cancelled);
  if (!output)
    return output.status();
  if (Status status = checkNumbers(*output, "VAE decoder"); !status.ok())
    return status;
  image.values.assign(output->begin(), output->end());
  if (pipeline.lowMemory)
    pipeline.vaeDecoder.reset();
  return {};
}

// As diffusers' VaeImageProcessor: [-1, 1] to [0, 255], halves to even.
void Pipeline::Run::fillPixels() {
  size_t plane = static_cast<size_t>(image.width) * image.height;
  image.rgb.resize(3 * plane);
  for (size_t channel = 0; channel < 3; ++channel)
    for (size_t i = 0; i < plane; ++i) {
      float value = image.values[channel * plane + i] * 0.5f + 0.5f;
      image.rgb[3 * i + channel] = static_cast<uint8_t>(
          std::nearbyint(std::clamp(value, 0.0f, 1.0f) * 255.0f));
    }
}

void Pipeline::Run::describe() {
  image.width = config.imageWidth;
  image.height = config.imageHeight;
  image.latentChannels = config.latentChannels;
  image.latentHeight = config.latentHeight;
  image.latentWidth = config.latentWidth;
  auto fileName = [](const std::string &path) {
    return std::filesystem::path(path).filename().string();
  };
  image.parameters = {
      {"prompt", params.prompt},
      {"steps", std::to_string(params.steps)},
      {"seed", params.initialLatents.empty()
                   ? std::to_string(params.seed)
                   : concat(params.seed, " (initial latents given)")},
      {"scheduler", "lcm"},
      {"model", pipeline.name},
      {"text_encoder", fileName(config.textEncoder)},
      {"unet", fileName(config.unet)},
      {"vae_decoder", fileName(config.vaeDecoder)},
      {"producer", config.producer},
      {"Software", "efrt " EFRT_VERSION},
  };
  if (config.guidanceEmbeddingDim > 0)
    image.parameters.insert(image.parameters.begin() + 3,
                            {"guidance", concat(params.guidance)});
}

Result<GeneratedImage> Pipeline::Run::generate() {
  auto begin = std::chrono::steady_clock::now();
  if (Status status = checkParams(); !status.ok())
    return status;
  describe();
  if (Status status = stage("tokenize", [&] { return tokenize(); });
      !status.ok())
    return status;
  if (Status status = stage("text encoder", [&] { return encodeText(); });
      !status.ok())
    return status;
  if (Status status = denoise(); !status.ok())
    return status;
  if (Status status = stage("VAE decoder", [&] { return decode(); });
      !status.ok())
    return status;
  fillPixels();
  image.totalSeconds = secondsSince(begin);
  if (progress)
    progress({"", stagesDone, stagesDone});
  return std::move(image);
}

Result<GeneratedImage>
Pipeline::generate(const GenerationParams &params,
                   const ProgressCallback &progress,
                   const std::function<bool()> &cancelled) {
  return Run(*this, params, progress, cancelled).generate();
}
