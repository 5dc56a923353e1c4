// Tensors, views and copies. See LayerBuilder.h.
#include "targets/exynos_npu/LayerBuilder.h"

#include "dialects/ef/Locations.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/WeightStore.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using efrt::DType;
using llvm::Error;
using llvm::Expected;

Error efc::npu::refuse(const Twine &why) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), why);
}

Extents efc::npu::extentsOf(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t elements = type.getNumElements();
  auto isWide = [](int64_t extent) { return extent != 1; };
  if (llvm::count_if(type.getShape(), isWide) < 2)
    return {1, elements};
  int64_t channels = type.getShape().back();
  return {channels ? elements / channels : 0, channels};
}

/// Number format of `value`'s elements.
static Error setFormat(Tensor &tensor, Value value) {
  Type element = getElementTypeOrSelf(value);
  if (auto format = ef::getActivationFormat(element)) {
    tensor.dtype = DType::I16;
    tensor.scale = format->scale;
    tensor.limit = format->limit;
    return Error::success();
  }
  if (element.isF16())
    tensor.dtype = DType::F16;
  else if (element.isF32())
    tensor.dtype = DType::F32;
  else
    return refuse("its elements are neither int16 with a scale, nor float16, "
                  "nor float32");
  return Error::success();
}

int LayerBuilder::addTensor(Tensor tensor) {
  if (tensor.name.empty())
    tensor.name = "tensor" + std::to_string(graph.tensors.size());
  graph.tensors.push_back(std::move(tensor));
  return graph.tensors.size() - 1;
}

void LayerBuilder::addInput(Value value) {
  Tensor tensor;
  tensor.name = ef::getTensorName(value.getLoc()).str();
  Extents extents = extentsOf(value);
  tensor.positions = extents.positions;
  tensor.channels = extents.channels;
  tensor.input = graph.numInputs++;
  tensor.value = value;
  // An input in another format fails where it is read.
  llvm::consumeError(setFormat(tensor, value));
  views[value] = {addTensor(std::move(tensor)), 0, extents};
}

LayerBuilder::View LayerBuilder::viewOf(Value value) {
  if (!views.contains(value))
    addInput(value);
  return views.lookup(value);
}

Expected<Tensor> LayerBuilder::makeResult(const Kernel &kernel,
                                          Extents extents) {
  Value value = kernel.root->getResult(0);
  Tensor tensor;
  tensor.name = ef::getTensorName(kernel.root->getLoc()).str();
  tensor.positions = extents.positions;
  tensor.channels = extents.channels;
  tensor.value = value;
  auto shape = cast<RankedTensorType>(value.getType()).getShape();
  if (shape.size() == 4 && shape[1] * shape[2] == extents.positions &&
      shape[3] == extents.channels) {
    tensor.height = shape[1];
    tensor.width = shape[2];
  }
  if (Error error = setFormat(tensor, value))
    return error;
  return tensor;
}

Layer LayerBuilder::makeLayer(LayerKind kind, const Kernel &kernel) const {
  Layer layer;
  layer.kind = kind;
  layer.op = kernel.root;
  layer.node = ef::getNodeName(kernel.root->getLoc()).str();
  layer.label = kernel.label();
  return layer;
}

void LayerBuilder::addLayer(Layer layer) {
  int index = graph.layers.size();
  auto consume = [&](const Operand &operand) {
    if (operand.tensor < 0)
      return;
    std::vector<int> &consumers = graph.tensors[operand.tensor].consumers;
    if (consumers.empty() || consumers.back() != index)
      consumers.push_back(index);
  };
  llvm::for_each(layer.inputs, consume);
  llvm::for_each(layer.epilogue.operands, consume);
  consume(layer.gamma);
  consume(layer.beta);
  for (int result : layer.results)
    graph.tensors[result].producer = index;
  graph.layers.push_back(std::move(layer));
}

Error LayerBuilder::addResultLayer(const Kernel &kernel, Layer layer,
                                   Extents extents) {
  Expected<Tensor> result = makeResult(kernel, extents);
  if (!result)
    return result.takeError();
  int tensor = addTensor(std::move(*result));
  layer.results = {tensor};
  addLayer(std::move(layer));
  views[kernel.root->getResult(0)] = {tensor, 0, extents};
  return Error::success();
}

Error LayerBuilder::addKernelLayer(const Kernel &kernel, Layer layer,
                                   EpilogueBuilder &epilogue, Extents extents) {
  bool hasAnchor = layer.kind != LayerKind::Elementwise;
  Expected<Epilogue> code = epilogue.finish(hasAnchor);
  if (!code)
    return code.takeError();
  layer.epilogue = std::move(*code);
  return addResultLayer(kernel, std::move(layer), extents);
}

/// A copy of some channels as a tensor of their own.
int LayerBuilder::copySlice(const View &view, Operation *op) {
  Tensor copy = graph.tensors[view.tensor];
  copy.name += ".slice";
  copy.channels = view.extents.channels;
  copy.positions = view.extents.positions;
  copy.input = copy.output = copy.producer = -1;
  copy.consumers.clear();
  copy.value = {};
  Layer layer;
  layer.kind = LayerKind::Elementwise;
  layer.op = op;
  if (op)
    layer.node = ef::getNodeName(op->getLoc()).str();
  layer.label = "slice";
  Operand operand;
  operand.tensor = view.tensor;
  operand.firstChannel = view.firstChannel;
  layer.epilogue.operands = {operand};
  layer.epilogue.code = {{efrt::npu::Opcode::Load, 0, 0, 0, 0}};
  layer.results = {addTensor(std::move(copy))};
  int result = layer.results.front();
  addLayer(std::move(layer));
  return result;
}

/// The same bytes as other positions x channels: of an input another name, of
/// anything else a copy.
int LayerBuilder::copyReshaped(int source, Extents extents) {
  auto key = std::make_tuple(source, extents.positions, extents.channels);
  if (auto known = reshaped.find(key); known != reshaped.end())
    return known->second;
  Tensor copy = graph.tensors[source];
  copy.positions = extents.positions;
  copy.channels = extents.channels;
  copy.height = copy.width = 0;
  copy.consumers.clear();
  copy.output = -1;
  bool isInput = copy.producer < 0;
  if (!isInput) {
    copy.name += ".reshaped";
    copy.value = {};
  }
  int result = addTensor(std::move(copy));
  if (!isInput) {
    const Layer &producer = graph.layers[graph.tensors[source].producer];
    Layer layer;
    layer.kind = LayerKind::Transpose;
    layer.op = producer.op;
    layer.node = producer.node;
    layer.label = "reshape";
    layer.extents = {extents.positions * extents.channels};
    layer.permutation = {0};
    Operand operand;
    operand.tensor = source;
    layer.inputs = {operand};
    layer.results = {result};
    addLayer(std::move(layer));
  }
  reshaped[key] = result;
  return result;
}

Expected<int> LayerBuilder::tensorOf(Value value, Extents extents) {
  if (!value)
    return refuse(
        "an operand is computed inside the kernel, before its anchor");
  if (ef::isConstantExpression(value))
    return refuse("an operand that should be an activation is constant");
  View view = viewOf(value);
  if (view.extents.positions * view.extents.channels !=
      extents.positions * extents.channels)
    return refuse("an operand does not have the elements that its shape says");
  Tensor format;
  if (Error error = setFormat(format, value))
    return error;
  const Tensor &tensor = graph.tensors[view.tensor];
  if (view.extents.channels != tensor.channels) {
    view = {copySlice(view, value.getDefiningOp()), 0, view.extents};
    views[value] = view;
  }
  if (view.extents.channels == extents.channels)
    return view.tensor;
  return copyReshaped(view.tensor, extents);
}

Expected<Operand> LayerBuilder::rowsOf(Value value, Extents extents) {
  if (ef::isConstantExpression(value))
    return refuse("a constant operand of the epilogue has more than one value "
                  "a channel");
  View view = viewOf(value);
  Operand operand;
  if (view.extents.positions == extents.positions &&
      view.extents.channels == extents.channels) {
    Tensor format;
    if (Error error = setFormat(format, value))
      return error;
    operand.tensor = view.tensor;
    operand.firstChannel = view.firstChannel;
    return operand;
  }
  Expected<int> tensor = tensorOf(value, extents);
  if (!tensor)
    return tensor.takeError();
  operand.tensor = *tensor;
  return operand;
}

Expected<Operand> LayerBuilder::channelsOf(Value value) {
  int64_t elements = cast<RankedTensorType>(value.getType()).getNumElements();
  if (ef::isConstantExpression(value))
    return vectorOf(value, elements, 0);
  Expected<Operand> operand = rowsOf(value, {1, elements});
  if (operand)
    operand->use = OperandUse::Channel;
  return operand;
}

int LayerBuilder::constantOf(Constant constant) {
  auto same = [&](const Constant &other) {
    return other.value == constant.value && other.layout == constant.layout &&
           other.dtype == constant.dtype && other.n == constant.n &&
           other.taps == constant.taps && other.k == constant.k &&
           other.values == constant.values;
  };
  auto known = llvm::find_if(graph.constants, same);
  if (known == graph.constants.end()) {
    graph.constants.push_back(std::move(constant));
    return graph.constants.size() - 1;
  }
  return known - graph.constants.begin();
}

Operand LayerBuilder::vectorOf(std::vector<float> values) {
  Constant constant;
  constant.layout = Constant::Layout::Vector;
  constant.dtype = DType::F32;
  constant.n = values.size();
  constant.k = 1;
  constant.values = std::move(values);
  Operand operand;
  operand.use = OperandUse::Channel;
  operand.constant = constantOf(std::move(constant));
  return operand;
}

Expected<Operand> LayerBuilder::vectorOf(Value value, int64_t channels,
                                         float fill) {
  if (!value)
    return vectorOf(std::vector<float>(channels, fill));
  auto type = cast<RankedTensorType>(value.getType());
  if (!ef::isConstantExpression(value) || type.getNumElements() != channels ||
      !isa<FloatType>(type.getElementType()))
    return refuse("a vector of one value a channel is not constant");
  Constant constant;
  constant.layout = Constant::Layout::Vector;
  constant.dtype = DType::F32;
  constant.value = value;
  constant.n = channels;
  constant.k = 1;
  Operand operand;
  operand.use = OperandUse::Channel;
  operand.constant = constantOf(std::move(constant));
  return operand;
}
