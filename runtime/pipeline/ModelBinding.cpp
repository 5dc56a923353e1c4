// Binds a pipeline's networks by the names that the exporter gives their
// inputs.
#include "runtime/pipeline/ModelBinding.h"

#include "runtime/core/Text.h"

#include <algorithm>
#include <cassert>
#include <cstring>

using namespace efrt;

using Shape = std::vector<int64_t>;

static Status mismatch(std::string_view model, const std::string &what) {
  return Status(StatusCode::CorruptData,
                concat("the ", model, " does not fit the pipeline: ", what));
}

static std::string namesOf(std::span<const TensorInfo> tensors) {
  std::string names;
  for (const TensorInfo &tensor : tensors)
    names += (names.empty() ? "" : ", ") + quote(tensor.name);
  return names.empty() ? "none" : names;
}

static std::optional<size_t> findInput(const Model &model,
                                       std::string_view name) {
  std::span<const TensorInfo> inputs = model.inputs();
  auto found = std::ranges::find(inputs, name, &TensorInfo::name);
  if (found == inputs.end())
    return std::nullopt;
  return found - inputs.begin();
}

// The network has exactly the inputs `names` and at least one output.
static Status checkNames(const Model &model, std::string_view modelName,
                         std::initializer_list<std::string_view> names) {
  for (std::string_view name : names)
    if (!findInput(model, name))
      return mismatch(modelName,
                      concat("it has no input ", quote(name),
                             "; its inputs are ", namesOf(model.inputs())));
  for (const TensorInfo &input : model.inputs())
    if (std::ranges::find(names, input.name) == names.end())
      return mismatch(modelName,
                      concat("nothing provides its input ", quote(input.name)));
  if (model.outputs().empty())
    return mismatch(modelName, "it has no output");
  return {};
}

// A dimension of -1 in `shape` may have any size.
static Status checkTensor(const TensorInfo &tensor, std::string_view modelName,
                          std::initializer_list<DType> dtypes,
                          const Shape &shape) {
  auto matches = [](int64_t actual, int64_t wanted) {
    return wanted == -1 || actual == wanted;
  };
  if (std::ranges::find(dtypes, tensor.dtype) != dtypes.end() &&
      std::ranges::equal(tensor.shape, shape, matches))
    return {};
  std::string wanted = shapeText(shape);
  for (size_t at; (at = wanted.find("-1")) != std::string::npos;)
    wanted.replace(at, 2, "?");
  std::string types;
  for (DType dtype : dtypes)
    types += (types.empty() ? "" : " or ") + std::string(nameOf(dtype));
  return mismatch(modelName,
                  concat(quote(tensor.name), " is ",
                         typeText(tensor.dtype, tensor.shape),
                         ", but the pipeline needs ", wanted, " ", types));
}

static Shape latentShape(const PipelineConfig &config) {
  return {1, config.latentChannels, config.latentHeight, config.latentWidth};
}

static Status firstFailure(std::initializer_list<Status> statuses) {
  for (const Status &status : statuses)
    if (!status.ok())
      return status;
  return {};
}

static void writeFloats(Model &model, size_t input,
                        std::span<const float> values) {
  std::span<std::byte> buffer = model.inputBuffer(input);
  assert(buffer.size() == values.size_bytes());
  std::memcpy(buffer.data(), values.data(), values.size_bytes());
}

static std::span<const float> firstOutput(const Model &model) {
  std::span<const std::byte> buffer = model.outputBuffer(0);
  return {reinterpret_cast<const float *>(buffer.data()),
          buffer.size() / sizeof(float)};
}

template <typename T>
static void writeAs(std::span<std::byte> buffer, size_t index, int64_t value) {
  T converted = static_cast<T>(value);
  std::memcpy(buffer.data() + index * sizeof(T), &converted, sizeof(T));
}

static void writeInteger(std::span<std::byte> buffer, DType dtype, size_t index,
                         int64_t value) {
  if (dtype == DType::I64)
    writeAs<int64_t>(buffer, index, value);
  else if (dtype == DType::I32)
    writeAs<int32_t>(buffer, index, value);
  else
    writeAs<float>(buffer, index, value);
}

static constexpr std::string_view kTextEncoder = "text encoder",
                                  kUnet = "U-Net", kVaeDecoder = "VAE decoder";

Result<TextEncoder> TextEncoder::bind(std::unique_ptr<Model> model,
                                      const PipelineConfig &config) {
  if (Status status = checkNames(*model, kTextEncoder, {"input_ids"});
      !status.ok())
    return status;
  auto length = static_cast<int64_t>(config.tokenizer.maxLength);
  Status status =
      firstFailure({checkTensor(model->inputs()[0], kTextEncoder,
                                {DType::I64, DType::I32}, {1, length}),
                    checkTensor(model->outputs()[0], kTextEncoder, {DType::F32},
                                {1, length, -1})});
  if (!status.ok())
    return status;
  TextEncoder encoder;
  encoder.model = std::move(model);
  return encoder;
}

Result<std::span<const float>>
TextEncoder::run(std::span<const int32_t> ids,
                 const std::function<bool()> &cancelled) {
  for (size_t i = 0; i < ids.size(); ++i)
    writeInteger(model->inputBuffer(0), model->inputs()[0].dtype, i, ids[i]);
  if (Status status = model->run(cancelled); !status.ok())
    return status;
  return firstOutput(*model);
}

Result<Unet> Unet::bind(std::unique_ptr<Model> model,
                        const PipelineConfig &config) {
  bool hasGuidance = config.guidanceEmbeddingDim > 0;
  Status status =
      hasGuidance ? checkNames(*model, kUnet,
                               {"sample", "timestep", "encoder_hidden_states",
                                "timestep_cond"})
                  : checkNames(*model, kUnet,
                               {"sample", "timestep", "encoder_hidden_states"});
  if (!status.ok())
    return status;
  Unet unet;
  unet.sampleIndex = *findInput(*model, "sample");
  unet.timestepIndex = *findInput(*model, "timestep");
  unet.statesIndex = *findInput(*model, "encoder_hidden_states");
  unet.guidanceIndex = findInput(*model, "timestep_cond");

  std::span<const TensorInfo> inputs = model->inputs();
  const TensorInfo &timestep = inputs[unet.timestepIndex];
  auto length = static_cast<int64_t>(config.tokenizer.maxLength);
  status = firstFailure(
      {checkTensor(inputs[unet.sampleIndex], kUnet, {DType::F32},
                   latentShape(config)),
       checkTensor(timestep, kUnet, {DType::I64, DType::I32, DType::F32},
                   timestep.shape.empty() ? Shape() : Shape{1}),
       checkTensor(inputs[unet.statesIndex], kUnet, {DType::F32},
                   {1, length, -1}),
       checkTensor(model->outputs()[0], kUnet, {DType::F32},
                   latentShape(config))});
  if (status.ok() && hasGuidance)
    status =
        checkTensor(inputs[*unet.guidanceIndex], kUnet, {DType::F32},
                    {1, static_cast<int64_t>(config.guidanceEmbeddingDim)});
  if (!status.ok())
    return status;
  unet.model = std::move(model);
  return unet;
}

void Unet::setConditions(std::span<const float> states,
                         std::span<const float> guidance) {
  writeFloats(*model, statesIndex, states);
  if (guidanceIndex)
    writeFloats(*model, *guidanceIndex, guidance);
}

Result<std::span<const float>>
Unet::run(std::span<const float> latent, int64_t timestep,
          const std::function<bool()> &cancelled) {
  writeFloats(*model, sampleIndex, latent);
  writeInteger(model->inputBuffer(timestepIndex),
               model->inputs()[timestepIndex].dtype, 0, timestep);
  if (Status status = model->run(cancelled); !status.ok())
    return status;
  return firstOutput(*model);
}

Result<VaeDecoder> VaeDecoder::bind(std::unique_ptr<Model> model,
                                    const PipelineConfig &config) {
  if (Status status = checkNames(*model, kVaeDecoder, {"latent"}); !status.ok())
    return status;
  Status status = firstFailure(
      {checkTensor(model->inputs()[0], kVaeDecoder, {DType::F32},
                   latentShape(config)),
       checkTensor(model->outputs()[0], kVaeDecoder, {DType::F32},
                   {1, 3, config.imageHeight, config.imageWidth})});
  if (!status.ok())
    return status;
  VaeDecoder decoder;
  decoder.model = std::move(model);
  return decoder;
}

Result<std::span<const float>>
VaeDecoder::run(std::span<const float> latent,
                const std::function<bool()> &cancelled) {
  writeFloats(*model, 0, latent);
  if (Status status = model->run(cancelled); !status.ok())
    return status;
  return firstOutput(*model);
}
