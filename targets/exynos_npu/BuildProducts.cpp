// Layers of the tensor engines: convolution, matrix product, average pooling.
#include "targets/exynos_npu/LayerBuilder.h"

#include "dialects/ef/Quantized.h"
#include "dialects/ef/WeightStore.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using efrt::DType;
using efrt::npu::Opcode;
using llvm::Error;
using llvm::Expected;

Expected<int> LayerBuilder::weightsOf(Value value, Constant::Layout layout,
                                      DType activations) {
  if (!value || !ef::isConstantExpression(value))
    return refuse("the weights are not constant");
  auto type = cast<RankedTensorType>(value.getType());
  ArrayRef<int64_t> shape = type.getShape();
  Constant constant;
  constant.layout = layout;
  constant.value = value;
  bool isQuantized = ef::getWeightFormat(type).has_value();
  if (isQuantized != (activations == DType::I16))
    return refuse("int16 activations need int8 weights with one scale an "
                  "output channel, and float activations float weights");
  constant.dtype = isQuantized ? DType::I8 : DType::F16;
  if (layout == Constant::Layout::FilterNKC) {
    constant.n = shape[0];
    constant.k = shape[1];
    for (int64_t extent : shape.drop_front(2))
      constant.taps *= extent;
  } else {
    bool isKN = layout == Constant::Layout::MatrixKN;
    constant.n = isKN ? shape.back() : shape[shape.size() - 2];
    constant.k = isKN ? shape[shape.size() - 2] : shape.back();
  }
  return constantOf(std::move(constant));
}

/// f[n]: what the integer accumulator of each output channel is worth.
static std::vector<float> accumulatorScales(float activationScale,
                                            const ef::WeightFormat &weights) {
  std::vector<float> factors;
  for (double scale : weights.scales)
    factors.push_back(activationScale * static_cast<float>(scale));
  return factors;
}

/// `layer` has its input and geometry; `extents` are of the accumulators.
Error LayerBuilder::addProduct(const Kernel &kernel, Layer layer,
                               Extents extents, Value weights,
                               Constant::Layout layout) {
  const Tensor &input = graph.tensors[layer.inputs.front().tensor];
  DType dtype = input.dtype;
  float scale = input.scale;
  Expected<int> constant = weightsOf(weights, layout, dtype);
  if (!constant)
    return constant.takeError();
  layer.weights = *constant;
  const Constant &matrix = graph.constants[*constant];
  layer.macs = extents.positions * matrix.n * matrix.taps * matrix.k;
  if (kernel.geglu)
    extents.channels /= 2;
  EpilogueBuilder epilogue(*this, kernel, extents.positions, extents.channels);
  Operand factors;
  if (dtype == DType::I16)
    factors = vectorOf(
        accumulatorScales(scale, *ef::getWeightFormat(weights.getType())));
  for (EpilogueBuilder::Half half : epilogue.halves()) {
    EpilogueBuilder::Register value = epilogue.anchor(half);
    if (dtype == DType::I16)
      value = epilogue.emit(Opcode::Mul, value, epilogue.load(factors, half));
    epilogue.define(kernel.anchor->getResult(0), half, value);
  }
  return addKernelLayer(kernel, std::move(layer), epilogue, extents);
}

Error LayerBuilder::addMatmul(const Kernel &kernel) {
  auto matmul = cast<ef::MatmulOp>(kernel.anchor);
  auto type = cast<RankedTensorType>(matmul.getA().getType());
  auto result = cast<RankedTensorType>(matmul.getResult().getType());
  auto weights = cast<RankedTensorType>(matmul.getB().getType());
  if (matmul.getTransposeA())
    return refuse("the activations are transposed");
  int64_t k = type.getShape().back(), n = result.getShape().back();
  if (weights.getNumElements() != k * n)
    return refuse("the weights have a batch");
  Extents rows = {type.getNumElements() / k, k};
  Expected<int> input = tensorOf(kernel.leaf(matmul.getA(), false), rows);
  if (!input)
    return input.takeError();
  Layer layer = makeLayer(LayerKind::Matmul, kernel);
  layer.inputs.emplace_back().tensor = *input;
  return addProduct(kernel, std::move(layer), {rows.positions, n},
                    kernel.leaf(matmul.getB(), false),
                    matmul.getTransposeB() ? Constant::Layout::MatrixNK
                                           : Constant::Layout::MatrixKN);
}

/// `value` as an image of the extents that `use` of it has: [1, H, W, C].
Expected<int> LayerBuilder::imageOf(Value value, Value use) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(use.getType()).getShape();
  Expected<int> tensor = tensorOf(value, {shape[1] * shape[2], shape[3]});
  if (!tensor)
    return tensor;
  auto differs = [&](const Tensor &image) {
    return image.height &&
           (image.height != shape[1] || image.width != shape[2]);
  };
  if (differs(graph.tensors[*tensor]))
    tensor = copyReshaped(*tensor, {shape[1] * shape[2], shape[3]});
  Tensor &image = graph.tensors[*tensor];
  if (differs(image))
    return refuse("three operations see the same tensor as images of different "
                  "heights");
  image.height = shape[1];
  image.width = shape[2];
  return tensor;
}

Error LayerBuilder::addConv(const Kernel &kernel) {
  auto conv = cast<ef::ConvOp>(kernel.anchor);
  auto filter = cast<RankedTensorType>(conv.getFilter().getType());
  ArrayRef<int64_t> taps = filter.getShape().drop_front(2);
  auto shape = cast<RankedTensorType>(conv.getResult().getType()).getShape();
  if (taps.size() != 2 || shape[0] != 1 ||
      conv.getLayout() != ef::Layout::ChannelsLast)
    return refuse("the convolution is not one of a channels-last image of "
                  "batch 1");
  Expected<int> input =
      imageOf(kernel.leaf(conv.getInput(), false), conv.getInput());
  if (!input)
    return input.takeError();
  auto isOne = [](int64_t value) { return value == 1; };
  auto isZero = [](int64_t value) { return value == 0; };
  bool isDepthwise = conv.getGroups() > 1;
  bool isMatmul = !isDepthwise && llvm::all_of(taps, isOne) &&
                  llvm::all_of(conv.getStrides(), isOne) &&
                  llvm::all_of(conv.getPads(), isZero);
  Layer layer =
      makeLayer(isMatmul ? LayerKind::Matmul : LayerKind::Conv, kernel);
  layer.inputs.emplace_back().tensor = *input;
  layer.kernelY = taps[0];
  layer.kernelX = taps[1];
  layer.strideY = conv.getStrides()[0];
  layer.strideX = conv.getStrides()[1];
  layer.dilationY = conv.getDilations()[0];
  layer.dilationX = conv.getDilations()[1];
  layer.padTop = conv.getPads()[0];
  layer.padLeft = conv.getPads()[1];
  layer.depthwise = isDepthwise;
  return addProduct(kernel, std::move(layer), {shape[1] * shape[2], shape[3]},
                    kernel.leaf(conv.getFilter(), false),
                    Constant::Layout::FilterNKC);
}

/// A depthwise convolution with weights of one, times 1 / (elements of the
/// window).
Error LayerBuilder::addPool(const Kernel &kernel) {
  auto pool = cast<ef::PoolOp>(kernel.anchor);
  auto shape = cast<RankedTensorType>(pool.getResult().getType()).getShape();
  if (pool.getKind() != ef::PoolKind::Avg || pool.getKernel().size() != 2 ||
      shape[0] != 1 || pool.getLayout() != ef::Layout::ChannelsLast)
    return refuse("only averages of a channels-last image of batch 1 are "
                  "pooled");
  Expected<int> input =
      imageOf(kernel.leaf(pool.getInput(), false), pool.getInput());
  if (!input)
    return input.takeError();
  DType dtype = graph.tensors[*input].dtype;
  float scale = graph.tensors[*input].scale;
  Extents extents = {shape[1] * shape[2], shape[3]};
  Layer layer = makeLayer(LayerKind::Conv, kernel);
  layer.inputs.emplace_back().tensor = *input;
  layer.kernelY = pool.getKernel()[0];
  layer.kernelX = pool.getKernel()[1];
  layer.strideY = pool.getStrides()[0];
  layer.strideX = pool.getStrides()[1];
  layer.depthwise = true;
  Constant ones;
  ones.layout = Constant::Layout::FilterNKC;
  ones.dtype = dtype == DType::I16 ? DType::I8 : DType::F16;
  ones.n = extents.channels;
  ones.taps = layer.kernelY * layer.kernelX;
  ones.k = 1;
  ones.values.assign(ones.n * ones.taps, 1);
  layer.macs = extents.positions * ones.n * ones.taps;
  float average = 1.0f / static_cast<float>(ones.taps);
  layer.weights = constantOf(std::move(ones));
  EpilogueBuilder epilogue(*this, kernel, extents.positions, extents.channels);
  epilogue.define(
      kernel.anchor->getResult(0), EpilogueBuilder::Whole,
      epilogue.emit(
          Opcode::Mul, epilogue.anchor(EpilogueBuilder::Whole),
          epilogue.constant(dtype == DType::I16 ? scale * average : average)));
  return addKernelLayer(kernel, std::move(layer), epilogue, extents);
}
