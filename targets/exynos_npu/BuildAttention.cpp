// Layers of an attention: one if its scores stay in the scratchpad, else three.
#include "targets/exynos_npu/LayerBuilder.h"

#include "npu/Numerics.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using efrt::DType;
using efrt::npu::Opcode;
using llvm::Error;
using llvm::Expected;

static Tensor makeRows(const std::string &name, int64_t positions,
                       int64_t channels, DType dtype, float scale = 1) {
  Tensor tensor;
  tensor.name = name;
  tensor.positions = positions;
  tensor.channels = channels;
  tensor.dtype = dtype;
  tensor.scale = scale;
  return tensor;
}

static Operand rows(int tensor) {
  Operand operand;
  operand.tensor = tensor;
  return operand;
}

static Operand whole(int tensor) {
  Operand operand = rows(tensor);
  operand.use = OperandUse::Whole;
  return operand;
}

/// `prototype` has the node and the extents; gives the tensors of e and sums.
std::pair<int, int> LayerBuilder::addScores(const Layer &prototype,
                                            const AttentionTensors &tensors) {
  int64_t positions = prototype.heads * tensors.queries;
  DType dtype = tensors.isInteger ? DType::I16 : DType::F16;
  Layer scores = prototype;
  scores.kind = LayerKind::Scores;
  scores.label = "attention.scores";
  scores.inputs = {rows(tensors.query), whole(tensors.key)};
  scores.epilogue.code = {{Opcode::Constant, 1, 0, 0, prototype.scoreFactor},
                          {Opcode::Mul, 0, 0, 1, 0}};
  scores.macs = positions * prototype.keys * prototype.headChannels;
  int score = addTensor(makeRows(prototype.node + ".scores", positions,
                                 prototype.keys, dtype, prototype.scoreScale));
  scores.results = {score};
  addLayer(std::move(scores));

  Layer softmax = prototype;
  softmax.kind = LayerKind::Softmax;
  softmax.label = "attention.softmax";
  softmax.inputs = {rows(score)};
  int exponentials =
      addTensor(makeRows(prototype.node + ".e", positions, prototype.keys,
                         dtype, tensors.isInteger ? 1.0f / 32767 : 1));
  int sums = addTensor(makeRows(prototype.node + ".sums", positions, 1,
                                tensors.isInteger ? DType::I32 : DType::F32));
  softmax.results = {exponentials, sums};
  softmax.macs = 0;
  addLayer(std::move(softmax));
  return {exponentials, sums};
}

Expected<LayerBuilder::AttentionTensors>
LayerBuilder::attentionTensors(const Kernel &kernel) {
  auto attention = cast<ef::AttentionOp>(kernel.anchor);
  AttentionTensors tensors;
  Value values[] = {attention.getQuery(), attention.getKey(),
                    attention.getValue()};
  int *places[] = {&tensors.query, &tensors.key, &tensors.value};
  for (auto [value, place] : llvm::zip_equal(values, places)) {
    auto shape = cast<RankedTensorType>(value.getType()).getShape();
    if (shape[0] != 1)
      return refuse("the attention has a batch");
    Expected<int> tensor =
        tensorOf(kernel.leaf(value, false), {shape[1], shape[2]});
    if (!tensor)
      return tensor.takeError();
    *place = *tensor;
  }
  tensors.queries = graph.tensors[tensors.query].positions;
  DType dtype = graph.tensors[tensors.query].dtype;
  tensors.isInteger = dtype == DType::I16;
  for (int other : {tensors.key, tensors.value})
    if (graph.tensors[other].dtype != dtype)
      return refuse("query, key and value are of different types");
  return tensors;
}

Error LayerBuilder::addAttention(const Kernel &kernel) {
  auto attention = cast<ef::AttentionOp>(kernel.anchor);
  if (attention.getMask())
    return refuse("the attention has a mask that is not causal");
  if (attention.getHeads() != attention.getKvHeads())
    return refuse("heads share keys and values");
  if (kernel.geglu)
    return refuse("a geglu follows an attention in the same kernel");
  Expected<AttentionTensors> tensors = attentionTensors(kernel);
  if (!tensors)
    return tensors.takeError();
  const Tensor query = graph.tensors[tensors->query],
               key = graph.tensors[tensors->key],
               value = graph.tensors[tensors->value];
  double scale = attention.getScale().convertToDouble();
  Layer layer = makeLayer(LayerKind::Attention, kernel);
  layer.heads = attention.getHeads();
  layer.keys = key.positions;
  layer.headChannels = query.channels / layer.heads;
  layer.valueChannels = value.channels / layer.heads;
  layer.causal = attention.getCausal();
  layer.scoreFactor = static_cast<float>(scale);
  if (tensors->isInteger) {
    if (!attention.getScoreScale())
      return refuse("a quantised attention has no scale of the scores");
    layer.scoreFactor =
        efrt::numerics::attentionScoreFactor(query.scale, key.scale, scale);
    layer.scoreScale = attention.getScoreScale()->convertToDouble();
  }
  uint64_t pairs = layer.heads * tensors->queries * layer.keys;
  layer.macs = pairs * (layer.headChannels + layer.valueChannels);
  layer.inputs = {rows(tensors->query), whole(tensors->key),
                  whole(tensors->value)};
  Operand sums;
  if (mlt == MltMode::Off) {
    auto [exponentials, sumsTensor] = addScores(layer, *tensors);
    layer.kind = LayerKind::Context;
    layer.label = "attention.context";
    layer.macs = pairs * layer.valueChannels;
    layer.inputs = {rows(exponentials), whole(tensors->value)};
    sums.tensor = sumsTensor;
  }
  Extents extents = {tensors->queries, value.channels};
  EpilogueBuilder epilogue(*this, kernel, extents.positions, extents.channels);
  auto result = epilogue.anchor(EpilogueBuilder::Whole);
  if (tensors->isInteger)
    result = epilogue.emit(Opcode::Mul, result, epilogue.constant(value.scale));
  result = epilogue.emit(Opcode::Div, result, epilogue.load(sums));
  epilogue.define(attention.getResult(), EpilogueBuilder::Whole, result);
  return addKernelLayer(kernel, std::move(layer), epilogue, extents);
}
