// Layers of the normalisations.
#include "targets/exynos_npu/LayerBuilder.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using efrt::DType;
using efrt::npu::Opcode;
using llvm::Error;
using llvm::Expected;

/// Statistics and factors, then q * a + b with the kernel's epilogue.
Error LayerBuilder::addGroupNorm(const Kernel &kernel) {
  auto norm = cast<ef::GroupNormOp>(kernel.anchor);
  auto type = cast<RankedTensorType>(norm.getInput().getType());
  if (type.getShape().front() != 1 ||
      norm.getLayout() != ef::Layout::ChannelsLast)
    return refuse("the group norm is not one of a channels-last tensor of "
                  "batch 1");
  int64_t channels = type.getShape().back();
  Extents extents = {type.getNumElements() / channels, channels};
  Value source = kernel.leaf(norm.getInput(), false);
  Expected<int> input = tensorOf(source, extents);
  if (!input)
    return input.takeError();
  Expected<Operand> gamma =
      vectorOf(kernel.leaf(norm.getScale(), false), channels, 1);
  if (!gamma)
    return gamma.takeError();
  Expected<Operand> beta =
      vectorOf(kernel.leaf(norm.getBias(), false), channels, 0);
  if (!beta)
    return beta.takeError();
  Layer stats = makeLayer(LayerKind::GroupStats, kernel);
  stats.label = "group_norm.stats";
  stats.inputs.emplace_back().tensor = *input;
  stats.gamma = *gamma;
  stats.beta = *beta;
  stats.groups = norm.getGroups();
  stats.epsilon = norm.getEpsilon().convertToDouble();
  Operand factors[2];
  for (int index : {0, 1}) {
    Tensor vector;
    vector.name = graph.tensors[*input].name + (index ? ".biases" : ".factors");
    vector.positions = 1;
    vector.channels = channels;
    vector.dtype = DType::F32;
    stats.results.push_back(addTensor(std::move(vector)));
    factors[index].use = OperandUse::Factors;
    factors[index].tensor = stats.results.back();
  }
  addLayer(std::move(stats));

  if (kernel.geglu)
    extents.channels /= 2;
  Layer layer = makeLayer(LayerKind::Elementwise, kernel);
  EpilogueBuilder epilogue(*this, kernel, extents.positions, extents.channels);
  Operand raw;
  raw.tensor = *input;
  raw.raw = true;
  for (EpilogueBuilder::Half half : epilogue.halves()) {
    auto scaled = epilogue.emit(Opcode::Mul, epilogue.load(raw, half),
                                epilogue.load(factors[0], half));
    epilogue.define(
        norm.getResult(), half,
        epilogue.emit(Opcode::Add, scaled, epilogue.load(factors[1], half)));
  }
  return addKernelLayer(kernel, std::move(layer), epilogue, extents);
}

Error LayerBuilder::addLayerNorm(const Kernel &kernel) {
  auto norm = cast<ef::LayerNormOp>(kernel.anchor);
  auto type = cast<RankedTensorType>(norm.getInput().getType());
  if (static_cast<int64_t>(norm.getAxis()) != type.getRank() - 1)
    return refuse("the layer norm is not over the last dimension alone");
  if (kernel.geglu)
    return refuse("a geglu follows a layer norm in the same kernel");
  int64_t channels = type.getShape().back();
  Extents extents = {type.getNumElements() / channels, channels};
  Expected<int> input = tensorOf(kernel.leaf(norm.getInput(), false), extents);
  if (!input)
    return input.takeError();
  auto vector = [&](Value value, float fill) {
    return vectorOf(value ? kernel.leaf(value, false) : Value(), channels,
                    fill);
  };
  Expected<Operand> gamma = vector(norm.getScale(), 1);
  if (!gamma)
    return gamma.takeError();
  Expected<Operand> beta = vector(norm.getBias(), 0);
  if (!beta)
    return beta.takeError();
  Layer layer = makeLayer(LayerKind::LayerNorm, kernel);
  layer.inputs.emplace_back().tensor = *input;
  layer.gamma = *gamma;
  layer.beta = *beta;
  layer.epsilon = norm.getEpsilon().convertToDouble();
  layer.rms = norm.getRms();
  EpilogueBuilder epilogue(*this, kernel, extents.positions, extents.channels);
  epilogue.define(norm.getResult(), EpilogueBuilder::Whole,
                  epilogue.anchor(EpilogueBuilder::Whole));
  return addKernelLayer(kernel, std::move(layer), epilogue, extents);
}
