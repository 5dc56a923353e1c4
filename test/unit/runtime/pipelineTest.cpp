// The whole pipeline over formulas in place of networks, against diffusers' own
// pipeline over the same formulas (data/generate-pipeline-data.py).
#include "pipelineBundle.h"
#include "pipelineData.h"

#include "runtime/pipeline/Pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

using namespace efrt;
using namespace efrt::test;
using testing::HasSubstr;

namespace {

/// A network whose outputs a function computes from its inputs.
class FormulaModel : public Model {
public:
  using Buffers = std::vector<std::vector<std::byte>>;
  using Formula = std::function<void(const Buffers &, std::span<float>)>;

  FormulaModel(std::vector<TensorInfo> inputInfos, TensorInfo output,
               Formula formula)
      : inputInfos(std::move(inputInfos)), outputInfos{std::move(output)},
        formula(std::move(formula)) {
    for (const TensorInfo &info : this->inputInfos)
      buffers.emplace_back(info.numBytes());
    result.resize(outputInfos[0].numElements());
  }

  std::span<const TensorInfo> inputs() const override { return inputInfos; }
  std::span<const TensorInfo> outputs() const override { return outputInfos; }
  std::span<std::byte> inputBuffer(size_t i) override { return buffers[i]; }
  std::span<const std::byte> outputBuffer(size_t) const override {
    return std::as_bytes(std::span(result));
  }
  Status run(const std::function<bool()> &cancelled) override {
    if (cancelled && cancelled())
      return Status(StatusCode::Cancelled, "the run was cancelled");
    formula(buffers, result);
    return {};
  }

private:
  std::vector<TensorInfo> inputInfos, outputInfos;
  Formula formula;
  Buffers buffers;
  std::vector<float> result;
};

/// The three networks; a test changes one before it loads.
struct Networks {
  std::vector<TensorInfo> textInputs = {{"input_ids", DType::I64, {1, 5}}};
  TensorInfo textOutput = {"last_hidden_state", DType::F32, {1, 5, 3}};
  std::vector<TensorInfo> unetInputs = {
      {"timestep", DType::I64, {}},
      {"sample", DType::F32, {1, 4, 4, 4}},
      {"timestep_cond", DType::F32, {1, 8}},
      {"encoder_hidden_states", DType::F32, {1, 5, 3}}};
  TensorInfo unetOutput = {"noise_pred", DType::F32, {1, 4, 4, 4}};
  std::vector<TensorInfo> vaeInputs = {{"latent", DType::F32, {1, 4, 4, 4}}};
  TensorInfo vaeOutput = {"image", DType::F32, {1, 3, 8, 8}};
  FormulaModel::Formula text, unet, vae;
  std::vector<std::string> loads; ///< What was loaded, in order.

  Networks();
  ModelLoader loader();
};

} // namespace

template <typename T> static std::vector<T> as(std::span<const std::byte> b) {
  std::vector<T> values(b.size() / sizeof(T));
  std::memcpy(values.data(), b.data(), b.size());
  return values;
}

static void textFormula(const FormulaModel::Buffers &,
                        std::span<float> states) {
  for (size_t i = 0; i < states.size(); ++i)
    states[i] = static_cast<float>(std::sin(static_cast<double>(i)));
}

static void unetFormula(const FormulaModel::Buffers &inputs,
                        std::span<float> output) {
  double timestep = static_cast<double>(as<int64_t>(inputs[0])[0]);
  std::vector<float> sample = as<float>(inputs[1]),
                     guidance = as<float>(inputs[2]),
                     states = as<float>(inputs[3]);
  double bias = 0.1 * std::sin(timestep / 100);
  for (size_t i = 0; i < states.size(); ++i)
    bias += states[i] * std::cos(static_cast<double>(i)) /
            static_cast<double>(states.size());
  for (float value : guidance)
    bias += 0.2 * value / static_cast<double>(guidance.size());
  for (size_t i = 0; i < output.size(); ++i)
    output[i] = static_cast<float>(
        std::tanh(static_cast<double>(sample[i])) * 0.7 + bias);
}

static void vaeFormula(const FormulaModel::Buffers &inputs,
                       std::span<float> image) {
  std::vector<float> latent = as<float>(inputs[0]);
  for (size_t i = 0; i < image.size(); ++i) {
    size_t channel = i / 64, y = i / 8 % 8, x = i % 8;
    double value = latent[channel * 16 + y / 2 * 4 + x / 2];
    image[i] = static_cast<float>(std::tanh(value * 0.1) * 1.2);
  }
}

Networks::Networks() : text(textFormula), unet(unetFormula), vae(vaeFormula) {}

ModelLoader Networks::loader() {
  return [this](const std::string &path) -> Result<std::unique_ptr<Model>> {
    std::string name = std::filesystem::path(path).stem().string();
    loads.push_back(name);
    if (name == "text_encoder")
      return std::unique_ptr<Model>(
          std::make_unique<FormulaModel>(textInputs, textOutput, text));
    if (name == "unet")
      return std::unique_ptr<Model>(
          std::make_unique<FormulaModel>(unetInputs, unetOutput, unet));
    return std::unique_ptr<Model>(
        std::make_unique<FormulaModel>(vaeInputs, vaeOutput, vae));
  };
}

static Result<Pipeline> makePipeline(Networks &networks,
                                     bool lowMemory = false) {
  TestBundle bundle;
  Result<PipelineConfig> config = readPipelineConfig(bundle.path());
  if (!config)
    return config.status();
  return Pipeline::create(*config, "tiny", networks.loader(), lowMemory);
}

TEST(Pipeline, AgreesWithDiffusers) {
  for (bool lowMemory : {false, true}) {
    Networks networks;
    auto pipeline = makePipeline(networks, lowMemory);
    ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
    for (const auto &run : pipelineData()["pipeline"]) {
      GenerationParams params;
      params.prompt = "a cat";
      params.steps = run["steps"];
      params.seed = run["seed"];
      params.guidance = run["guidance"];
      params.initialLatents = floats(run["initial_latents"]);
      auto image = pipeline->generate(params, {}, {});
      ASSERT_TRUE(image.ok()) << image.status().message();
      std::vector<float> latents = floats(run["latents"]);
      ASSERT_EQ(latents.size(), image->latents.size());
      for (size_t i = 0; i < latents.size(); ++i)
        EXPECT_NEAR(latents[i], image->latents[i],
                    2e-5 * (1 + std::abs(latents[i])));
      std::vector<int> pixels = run["pixels"];
      ASSERT_EQ(pixels.size(), image->rgb.size());
      for (size_t i = 0; i < pixels.size(); ++i)
        EXPECT_NEAR(pixels[i], image->rgb[i], 1) << "pixel value " << i;
    }
  }
}

TEST(Pipeline, SameParamsSameBits) {
  Networks networks;
  auto pipeline = makePipeline(networks);
  ASSERT_TRUE(pipeline.ok());
  GenerationParams params;
  params.steps = 3;
  auto first = pipeline->generate(params, {}, {});
  params.seed = 1;
  auto other = pipeline->generate(params, {}, {});
  params.seed = 0;
  auto second = pipeline->generate(params, {}, {});
  ASSERT_TRUE(first.ok() && other.ok() && second.ok());
  EXPECT_EQ(first->values, second->values);
  EXPECT_NE(first->latents, other->latents);
}

TEST(Pipeline, GivesTheEncoderThePaddedIds) {
  Networks networks;
  networks.textInputs[0].dtype = DType::I32;
  std::vector<int32_t> seen;
  networks.text = [&](const FormulaModel::Buffers &inputs,
                      std::span<float> output) {
    seen = as<int32_t>(inputs[0]);
    textFormula(inputs, output);
  };
  auto pipeline = makePipeline(networks);
  ASSERT_TRUE(pipeline.ok());
  GenerationParams params;
  params.prompt = "cat";
  auto image = pipeline->generate(params, {}, {});
  ASSERT_TRUE(image.ok());
  const auto &ids = TestBundle::vocabulary();
  int32_t end = ids.at("<|endoftext|>");
  EXPECT_EQ((std::vector<int32_t>{ids.at("<|startoftext|>"), ids.at("cat</w>"),
                                  end, end, end}),
            seen);
  EXPECT_EQ(1u, image->numTokens);
  params.prompt = "1 2 3 4 5";
  image = pipeline->generate(params, {}, {});
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(5u, image->numTokens);
  EXPECT_EQ(3u, image->numTokensRead);
}

TEST(Pipeline, LowMemoryHoldsOneModelAtATime) {
  Networks networks;
  auto pipeline = makePipeline(networks, /*lowMemory=*/true);
  ASSERT_TRUE(pipeline.ok());
  EXPECT_TRUE(networks.loads.empty());
  for (int run = 0; run < 2; ++run) {
    networks.loads.clear();
    ASSERT_TRUE(pipeline->generate({}, {}, {}).ok());
    EXPECT_EQ((std::vector<std::string>{"text_encoder", "unet", "vae_decoder"}),
              networks.loads);
  }
}

TEST(Pipeline, ReportsStagesInOrder) {
  Networks networks;
  auto pipeline = makePipeline(networks);
  ASSERT_TRUE(pipeline.ok());
  std::vector<std::string> stages;
  int64_t expectedDone = 0;
  GenerationParams params;
  params.steps = 2;
  auto image = pipeline->generate(params,
                                  [&](const Progress &progress) {
                                    stages.emplace_back(progress.stage);
                                    EXPECT_EQ(expectedDone++, progress.done);
                                    EXPECT_EQ(5, progress.total);
                                  },
                                  {});
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(
      (std::vector<std::string>{"tokenize", "text encoder", "U-Net step 1",
                                "U-Net step 2", "VAE decoder", ""}),
      stages);
  ASSERT_EQ(5u, image->times.size());
  double sum = 0;
  for (const StageTime &time : image->times)
    sum += time.seconds;
  EXPECT_LE(sum, image->totalSeconds);
  EXPECT_EQ((std::vector<int64_t>{999, 499}), image->timesteps);
}

TEST(Pipeline, StopsWhereverItIsCancelled) {
  Networks networks;
  auto pipeline = makePipeline(networks);
  ASSERT_TRUE(pipeline.ok());
  GenerationParams params;
  params.steps = 2;
  int asked = 0;
  ASSERT_TRUE(pipeline->generate(params, {}, [&] { return ++asked < 0; }).ok());
  ASSERT_GE(asked, 5);
  for (int last = 1; last <= asked; ++last) {
    int count = 0;
    auto image =
        pipeline->generate(params, {}, [&] { return ++count == last; });
    ASSERT_FALSE(image.ok());
    EXPECT_EQ(StatusCode::Cancelled, image.status().getCode());
    EXPECT_EQ(last, count);
  }
  EXPECT_TRUE(pipeline->generate(params, {}, {}).ok());
}

static std::string failureOf(GenerationParams params) {
  Networks networks;
  auto pipeline = makePipeline(networks);
  EXPECT_TRUE(pipeline.ok());
  auto image = pipeline->generate(params, {}, {});
  EXPECT_FALSE(image.ok());
  return image.ok() ? "" : image.status().message();
}

TEST(Pipeline, RefusesBadParams) {
  GenerationParams params;
  params.steps = 0;
  EXPECT_THAT(failureOf(params), HasSubstr("steps is 0, not in [1, 8]"));
  params.steps = 9;
  EXPECT_THAT(failureOf(params), HasSubstr("steps is 9, not in [1, 8]"));
  params = {};
  params.guidance = NAN;
  EXPECT_THAT(failureOf(params), HasSubstr("guidance scale"));
  params = {};
  params.prompt = "\xff";
  EXPECT_THAT(failureOf(params), HasSubstr("prompt: the text is not valid"));
  params = {};
  params.initialLatents.resize(63);
  EXPECT_THAT(failureOf(params), HasSubstr("63 values, but the model's are"));
  params.initialLatents.resize(64);
  params.initialLatents[5] = INFINITY;
  EXPECT_THAT(failureOf(params), HasSubstr("initial latents"));
}

TEST(Pipeline, RefusesOutputsThatAreNoNumbers) {
  auto nan = [](const FormulaModel::Buffers &, std::span<float> output) {
    std::ranges::fill(output, NAN);
  };
  for (auto [formula, name] : {std::pair{&Networks::text, "text encoder"},
                               {&Networks::unet, "U-Net"},
                               {&Networks::vae, "VAE decoder"}}) {
    Networks networks;
    networks.*formula = nan;
    auto pipeline = makePipeline(networks);
    ASSERT_TRUE(pipeline.ok());
    auto image = pipeline->generate({}, {}, {});
    ASSERT_FALSE(image.ok());
    EXPECT_THAT(image.status().message(),
                HasSubstr(std::string(name) + " returned infinity or not-a-"));
  }
}

template <typename Change> static std::string bindFailure(Change change) {
  Networks networks;
  change(networks);
  auto pipeline = makePipeline(networks);
  EXPECT_FALSE(pipeline.ok());
  return pipeline.ok() ? "" : pipeline.status().message();
}

TEST(Pipeline, RefusesModelsThatDoNotFit) {
  EXPECT_THAT(bindFailure([](Networks &n) { n.textInputs[0].name = "ids"; }),
              HasSubstr("no input 'input_ids'; its inputs are 'ids'"));
  EXPECT_THAT(
      bindFailure([](Networks &n) { n.textInputs[0].shape = {1, 77}; }),
      HasSubstr("'input_ids' is 1x77 i64, but the pipeline needs 1x5 i64 or "
                "i32"));
  EXPECT_THAT(bindFailure([](Networks &n) { n.textOutput.dtype = DType::F16; }),
              HasSubstr("'last_hidden_state' is 1x5x3 f16"));
  EXPECT_THAT(bindFailure([](Networks &n) { n.textOutput.shape = {1, 5, 7}; }),
              HasSubstr("gives 'last_hidden_state' of 1x5x7, but the U-Net "
                        "reads 'encoder_hidden_states' of 1x5x3"));
  EXPECT_THAT(bindFailure([](Networks &n) { n.unetInputs.pop_back(); }),
              HasSubstr("no input 'encoder_hidden_states'"));
  EXPECT_THAT(bindFailure([](Networks &n) {
                n.unetInputs.push_back({"mask", DType::F32, {1}});
              }),
              HasSubstr("nothing provides its input 'mask'"));
  EXPECT_THAT(
      bindFailure([](Networks &n) { n.unetInputs[0].shape = {2}; }),
      HasSubstr("'timestep' is 2 i64, but the pipeline needs 1 i64 or i32 or"));
  EXPECT_THAT(
      bindFailure([](Networks &n) { n.unetInputs[2].shape = {1, 256}; }),
      HasSubstr("'timestep_cond' is 1x256 f32, but the pipeline needs 1x8"));
  EXPECT_THAT(
      bindFailure([](Networks &n) { n.unetOutput.shape = {1, 4, 8, 8}; }),
      HasSubstr("the U-Net does not fit the pipeline: 'noise_pred'"));
  EXPECT_THAT(
      bindFailure([](Networks &n) { n.vaeOutput.shape = {1, 3, 16, 16}; }),
      HasSubstr("'image' is 1x3x16x16 f32, but the pipeline needs 1x3x8x8"));
}

template <typename Change> static Status configFailure(Change change) {
  nlohmann::json json = TestBundle::pipeline();
  change(json);
  auto config = parsePipelineConfig(json.dump(), "b");
  EXPECT_FALSE(config.ok()) << json;
  return config.ok() ? Status() : config.status();
}

TEST(PipelineConfig, NamesTheFieldThatIsWrong) {
  using Json = nlohmann::json;
  auto message = [](auto change) { return configFailure(change).message(); };
  EXPECT_THAT(message([](Json &j) { j["latent"].erase("height"); }),
              HasSubstr("latent.height is missing"));
  EXPECT_THAT(message([](Json &j) { j["latent"] = 3; }),
              HasSubstr("latent.channels is missing"));
  EXPECT_THAT(message([](Json &j) { j["image"]["width"] = "512"; }),
              HasSubstr("image.width is not an integer"));
  EXPECT_THAT(message([](Json &j) { j["image"]["width"] = -8; }),
              HasSubstr("image.width is -8, not in [1, 65536]"));
  EXPECT_THAT(message([](Json &j) { j["image"]["width"] = UINT64_MAX; }),
              HasSubstr("image.width is 18446744073709551615"));
  EXPECT_THAT(message([](Json &j) { j["latent"]["scaling_factor"] = 0; }),
              HasSubstr("scaling_factor is not a number other than 0"));
  EXPECT_THAT(message([](Json &j) { j["guidance_embedding_dim"] = 2; }),
              HasSubstr("guidance_embedding_dim"));
  EXPECT_THAT(message([](Json &j) { j["format"] = "zip"; }),
              HasSubstr("format is not 'edgefusion-pipeline'"));
  for (const char *path : {"../unet.efa", "/etc/passwd", "a/../../b", ""})
    EXPECT_THAT(
        message([=](Json &j) { j["models"]["unet"]["artifact"] = path; }),
        HasSubstr("not a file inside the bundle"));
  EXPECT_EQ(StatusCode::Unsupported,
            configFailure([](Json &j) { j["version"] = 2; }).getCode());
  EXPECT_THAT(message([](Json &j) { j["scheduler"]["type"] = "ddim"; }),
              HasSubstr("scheduler.type is 'ddim'; this runtime has lcm"));
  EXPECT_THAT(parsePipelineConfig("[1]", "b").status().message(),
              HasSubstr("not a JSON object"));
  EXPECT_THAT(parsePipelineConfig("", "b").status().message(),
              HasSubstr("not a JSON object"));
}

// Every way to cut the text short is an error, not a crash.
TEST(PipelineConfig, RefusesEveryPrefix) {
  std::string text = TestBundle::pipeline().dump();
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(parsePipelineConfig(text.substr(0, length), "b").ok());
  EXPECT_TRUE(parsePipelineConfig(text, "b").ok());
}
