// pipeline.json, checked field by field.
#include "runtime/pipeline/PipelineConfig.h"

#include "runtime/core/Text.h"
#include "runtime/pipeline/TextFile.h"

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <filesystem>
#include <utility>

using namespace efrt;
using nlohmann::json;

namespace {

/// Reads fields and keeps the first failure, after which everything it returns
/// is a default.
class FieldReader {
public:
  FieldReader(const json &root, std::string folder)
      : root(root), folder(std::move(folder)) {}

  const Status &getStatus() const { return status; }

  void fail(StatusCode code, std::string message) {
    if (status.ok())
      status = Status(code, concat("the bundle ", quote(folder),
                                   ": in pipeline.json ", message));
  }

  std::string text(std::string_view path) {
    const json *field = find(path);
    if (field && !field->is_string())
      return mistyped<std::string>(path, "a string");
    return field ? field->get<std::string>() : std::string();
  }

  int64_t integer(std::string_view path, int64_t smallest, int64_t largest) {
    const json *field = find(path);
    if (!field)
      return smallest;
    if (!field->is_number_integer())
      return mistyped<int64_t>(path, "an integer");
    int64_t value = field->get<int64_t>();
    if (field->is_number_unsigned() &&
        field->get<uint64_t>() > static_cast<uint64_t>(largest))
      value = largest + 1;
    if (value < smallest || value > largest) {
      fail(StatusCode::CorruptData,
           concat(path, " is ", field->dump(), ", not in [", smallest, ", ",
                  largest, "]"));
      return smallest;
    }
    return value;
  }

  double number(std::string_view path) {
    const json *field = find(path);
    if (field && !field->is_number())
      return mistyped<double>(path, "a number");
    return field ? field->get<double>() : 0;
  }

  /// A file inside the bundle.
  std::string file(std::string_view path) {
    std::filesystem::path relative(text(path));
    if (!status.ok())
      return {};
    std::filesystem::path normal = relative.lexically_normal();
    if (relative.empty() || relative.is_absolute() || *normal.begin() == "..") {
      fail(StatusCode::CorruptData,
           concat(path, " is ", quote(relative.string()),
                  ", which is not a file inside the bundle"));
      return {};
    }
    return (std::filesystem::path(folder) / relative).string();
  }

  template <typename T, size_t N>
  T choice(std::string_view path,
           const std::array<std::pair<std::string_view, T>, N> &choices) {
    std::string value = text(path);
    std::string known;
    for (const auto &[name, result] : choices) {
      if (name == value)
        return result;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    fail(StatusCode::Unsupported,
         concat(path, " is ", quote(value), "; this runtime has ", known));
    return choices.front().second;
  }

private:
  /// `path` names nested objects, with dots.
  const json *find(std::string_view path) {
    const json *field = &root;
    for (std::string_view rest = path; !rest.empty();) {
      std::string key(rest.substr(0, rest.find('.')));
      rest.remove_prefix(std::min(key.size() + 1, rest.size()));
      auto found = field->is_object() ? field->find(key) : field->end();
      if (found == field->end()) {
        fail(StatusCode::CorruptData, concat(path, " is missing"));
        return nullptr;
      }
      field = &*found;
    }
    return field;
  }

  template <typename T> T mistyped(std::string_view path, const char *kind) {
    fail(StatusCode::CorruptData, concat(path, " is not ", kind));
    return T();
  }

  const json &root;
  std::string folder;
  Status status;
};

} // namespace

static void readTokenizer(FieldReader &reader, TokenizerConfig &tokenizer) {
  constexpr int64_t largestId = INT32_MAX, longest = 4096;
  constexpr std::array types{std::pair{std::string_view("clip-bpe"), 0}};
  (void)reader.choice("tokenizer.type", types);
  tokenizer.vocabPath = reader.file("tokenizer.vocab");
  tokenizer.mergesPath = reader.file("tokenizer.merges");
  tokenizer.maxLength = reader.integer("tokenizer.max_length", 2, longest);
  auto id = [&](std::string_view path) {
    return static_cast<int32_t>(reader.integer(path, 0, largestId));
  };
  tokenizer.bos = id("tokenizer.bos");
  tokenizer.eos = id("tokenizer.eos");
  tokenizer.pad = id("tokenizer.pad");
}

static void readScheduler(FieldReader &reader, LcmConfig &scheduler) {
  using namespace std::string_view_literals;
  constexpr int64_t mostTimesteps = 1000000;
  constexpr std::array types{std::pair{"lcm"sv, 0}};
  constexpr std::array schedules{
      std::pair{"scaled_linear"sv, BetaSchedule::ScaledLinear},
      std::pair{"linear"sv, BetaSchedule::Linear},
      std::pair{"squaredcos_cap_v2"sv, BetaSchedule::SquaredCosCapV2}};
  constexpr std::array predictions{
      std::pair{"epsilon"sv, PredictionType::Epsilon},
      std::pair{"sample"sv, PredictionType::Sample},
      std::pair{"v_prediction"sv, PredictionType::VPrediction}};
  (void)reader.choice("scheduler.type", types);
  scheduler.numTrainTimesteps =
      reader.integer("scheduler.num_train_timesteps", 1, mostTimesteps);
  scheduler.betaStart = reader.number("scheduler.beta_start");
  scheduler.betaEnd = reader.number("scheduler.beta_end");
  scheduler.betaSchedule = reader.choice("scheduler.beta_schedule", schedules);
  scheduler.originalInferenceSteps =
      reader.integer("scheduler.original_inference_steps", 1, mostTimesteps);
  scheduler.timestepScaling = reader.number("scheduler.timestep_scaling");
  scheduler.sigmaData = reader.number("scheduler.sigma_data");
  scheduler.predictionType =
      reader.choice("scheduler.prediction_type", predictions);
}

static void readSizes(FieldReader &reader, PipelineConfig &config) {
  constexpr int64_t largestSide = 1 << 16, mostChannels = 1024;
  config.latentChannels = reader.integer("latent.channels", 1, mostChannels);
  config.latentHeight = reader.integer("latent.height", 1, largestSide);
  config.latentWidth = reader.integer("latent.width", 1, largestSide);
  config.scalingFactor = reader.number("latent.scaling_factor");
  if (!std::isfinite(config.scalingFactor) || config.scalingFactor == 0)
    reader.fail(StatusCode::CorruptData,
                "latent.scaling_factor is not a number other than 0");
  config.guidanceEmbeddingDim =
      reader.integer("guidance_embedding_dim", 0, largestSide);
  if (config.guidanceEmbeddingDim > 0 && config.guidanceEmbeddingDim < 4)
    reader.fail(StatusCode::CorruptData,
                "guidance_embedding_dim is neither 0 nor at least 4");
  config.imageHeight = reader.integer("image.height", 1, largestSide);
  config.imageWidth = reader.integer("image.width", 1, largestSide);
}

Result<PipelineConfig> efrt::parsePipelineConfig(std::string_view text,
                                                 const std::string &folder) {
  json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object())
    return Status(StatusCode::CorruptData,
                  concat("the bundle ", quote(folder),
                         ": pipeline.json is not a JSON object"));
  FieldReader reader(root, folder);
  PipelineConfig config;
  if (reader.text("format") != "edgefusion-pipeline")
    reader.fail(StatusCode::CorruptData, "format is not 'edgefusion-pipeline'");
  constexpr int64_t version = 1;
  if (reader.integer("version", 1, INT32_MAX) > version)
    reader.fail(StatusCode::Unsupported,
                concat("version is newer than ", version,
                       ", the newest that this runtime reads"));
  config.producer = reader.text("producer");
  config.textEncoder = reader.file("models.text_encoder.artifact");
  config.unet = reader.file("models.unet.artifact");
  config.vaeDecoder = reader.file("models.vae_decoder.artifact");
  readTokenizer(reader, config.tokenizer);
  readScheduler(reader, config.scheduler);
  readSizes(reader, config);
  if (!reader.getStatus().ok())
    return reader.getStatus();
  return config;
}

Result<PipelineConfig> efrt::readPipelineConfig(const std::string &folder) {
  Result<std::string> text =
      readTextFile((std::filesystem::path(folder) / "pipeline.json").string());
  if (!text)
    return Status(
        text.status().getCode(),
        concat(quote(folder), " is not a bundle: ", text.status().message()));
  return parsePipelineConfig(*text, folder);
}
