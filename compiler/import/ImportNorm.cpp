// Normalisations and softmax.
#include "compiler/import/NodeImporter.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;

/// The default of all normalisations with an epsilon.
static constexpr double kDefaultEpsilon = 1e-5f;

//===--- Softmax ---===//

/// Before opset 13 the operand is a matrix: dimensions from `axis` on are one.
static LogicalResult importSoftmax(NodeImporter &node, bool log) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  bool flattens = node.getOpset() < 13;
  FailureOr<int64_t> axis =
      node.getAxis("axis", flattens ? 1 : -1, node.getRank(input));
  if (failed(axis))
    return failure();
  ArrayRef<int64_t> shape = node.getShape(input);
  if (!flattens || *axis == node.getRank(input) - 1)
    return node.setResult(node.softmax(input, *axis, log));
  Value matrix =
      node.reshape(input, {ef::getNumElements(shape.take_front(*axis)),
                           ef::getNumElements(shape.drop_front(*axis))});
  return node.setResult(node.reshape(node.softmax(matrix, 1, log), shape));
}

static LogicalResult importSoftmaxOp(NodeImporter &node) {
  return importSoftmax(node, /*log=*/false);
}

static LogicalResult importLogSoftmax(NodeImporter &node) {
  return importSoftmax(node, /*log=*/true);
}

/// One at the first maximum of an axis, zero elsewhere.
static LogicalResult importHardmax(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  bool flattens = node.getOpset() < 13;
  FailureOr<int64_t> axis =
      node.getAxis("axis", flattens ? 1 : -1, node.getRank(input));
  if (failed(axis))
    return failure();
  Shape original(node.getShape(input));
  if (flattens) {
    input = node.reshape(
        input,
        {ef::getNumElements(ArrayRef<int64_t>(original).take_front(*axis)),
         ef::getNumElements(ArrayRef<int64_t>(original).drop_front(*axis))});
    *axis = 1;
  }
  Value index = node.argReduce(input, *axis, /*keepDims=*/true,
                               /*minimum=*/false, /*selectLast=*/false);
  SmallVector<int64_t> counts =
      llvm::to_vector(llvm::seq<int64_t>(0, node.getShape(input)[*axis]));
  Value positions =
      node.alongAxis(node.constantInts(counts), *axis, node.getRank(input));
  Value hits = node.binary(BinaryKind::Eq, positions, index);
  return node.setResult(
      node.reshape(node.cast(hits, node.getElementType(input)), original));
}

//===--- Statistics over batches, groups, layers ---===//

/// Inference form: a scale and a shift for each channel, which a preceding
/// convolution can take in.
static LogicalResult importBatchNorm(NodeImporter &node) {
  Value x = node.getInput(0), scale = node.getInput(1), bias = node.getInput(2),
        mean = node.getInput(3), variance = node.getInput(4);
  if (!x || !scale || !bias || !mean || !variance)
    return failure();
  if (node.getInt("training_mode", 0) != 0 ||
      (node.getOpset() < 14 && node.wantsOutput(1)))
    return node.fail("it is in training mode; export the model for inference");
  if (node.getRank(x) < 2)
    return node.fail("its input has no channels");
  int64_t channels = node.getShape(x)[1];
  for (Value parameter : {scale, bias, mean, variance})
    if (node.getRank(parameter) != 1 || node.getShape(parameter)[0] != channels)
      return node.fail("scale, bias, mean and variance must have one element "
                       "for each of the " +
                       llvm::Twine(channels) + " channels");
  Type element = node.getElementType(x);
  auto convert = [&](Value value) { return node.cast(value, element); };
  Value deviation = node.unary(
      UnaryKind::Sqrt, node.binary(BinaryKind::Add, convert(variance),
                                   node.getFloat("epsilon", kDefaultEpsilon)));
  Value factor = node.binary(BinaryKind::Div, convert(scale), deviation);
  Value shift =
      node.binary(BinaryKind::Sub, convert(bias),
                  node.binary(BinaryKind::Mul, convert(mean), factor));
  int64_t rank = node.getRank(x);
  Value scaled =
      node.binary(BinaryKind::Mul, x, node.alongAxis(factor, 1, rank));
  return node.setResult(
      node.binary(BinaryKind::Add, scaled, node.alongAxis(shift, 1, rank)));
}

static Value groupNorm(NodeImporter &node, Value x, Value scale, Value bias,
                       int64_t groups) {
  if (!x || !scale || !bias)
    return Value();
  return firstResult(node.create<ef::GroupNormOp>(
      node.getType(x), {x, scale, bias},
      {node.intAttribute("groups", groups),
       node.floatAttribute("epsilon",
                           node.getFloat("epsilon", kDefaultEpsilon))}));
}

static LogicalResult importInstanceNorm(NodeImporter &node) {
  Value x = node.getInput(0);
  if (!x)
    return failure();
  if (node.getRank(x) < 3)
    return node.fail("its input has no spatial dimensions");
  return node.setResult(groupNorm(node, x, node.getInput(1), node.getInput(2),
                                  node.getShape(x)[1]));
}

/// Opset 18 scales groups, newer ones channels.
static LogicalResult importGroupNorm(NodeImporter &node) {
  Value x = node.getInput(0);
  int64_t groups = node.getInt("num_groups", 0);
  if (!x)
    return failure();
  if (node.getRank(x) < 2 || groups < 1 || node.getShape(x)[1] % groups != 0)
    return node.fail("its num_groups " + llvm::Twine(groups) +
                     " does not divide the channels");
  int64_t perGroup = node.getShape(x)[1] / groups;
  auto perChannel = [&](Value parameter) -> Value {
    if (!parameter || node.getOpset() >= 21)
      return parameter;
    if (node.getType(parameter).getNumElements() != groups)
      return node.failValue("scale and bias must have one element a group");
    Value column = node.reshape(parameter, {groups, 1});
    return node.reshape(node.broadcast(column, {groups, perGroup}),
                        {groups * perGroup});
  };
  return node.setResult(groupNorm(node, x, perChannel(node.getInput(1)),
                                  perChannel(node.getInput(2)), groups));
}

static Value layerNorm(NodeImporter &node, Value x, Value scale, Value bias,
                       int64_t axis, double epsilon, bool rms) {
  SmallVector<Value> operands{x};
  for (Value parameter : {scale, bias})
    if (parameter)
      operands.push_back(parameter);
  SmallVector<NamedAttribute> attributes{
      node.intAttribute("axis", axis), node.floatAttribute("epsilon", epsilon),
      node.attribute("operandSegmentSizes",
                     node.getBuilder().getDenseI32ArrayAttr(
                         {1, scale ? 1 : 0, bias ? 1 : 0}))};
  if (rms)
    attributes.push_back(node.unitAttribute("rms"));
  return firstResult(
      node.create<ef::LayerNormOp>(node.getType(x), operands, attributes));
}

/// Mean and 1 / standard deviation: outputs of LayerNormalization that only
/// training uses.
static LogicalResult addLayerStatistics(NodeImporter &node, Value x,
                                        int64_t axis, double epsilon) {
  if (!node.wantsOutput(1) && !node.wantsOutput(2))
    return success();
  SmallVector<int64_t> axes =
      llvm::to_vector(llvm::seq<int64_t>(axis, node.getRank(x)));
  x = node.cast(x, node.getF32());
  Value mean = node.reduce(ef::ReduceKind::Mean, x, axes, true);
  Value centred = node.binary(BinaryKind::Sub, x, mean);
  Value variance =
      node.reduce(ef::ReduceKind::Mean,
                  node.binary(BinaryKind::Mul, centred, centred), axes, true);
  Value inverse = node.unary(UnaryKind::Rsqrt,
                             node.binary(BinaryKind::Add, variance, epsilon));
  if (failed(node.setResult(1, mean)))
    return failure();
  return node.setResult(2, inverse);
}

static LogicalResult importLayerNorm(NodeImporter &node) {
  Value x = node.getInput(0), scale = node.getInput(1);
  if (!x || !scale)
    return failure();
  FailureOr<int64_t> axis = node.getAxis("axis", -1, node.getRank(x));
  if (failed(axis))
    return failure();
  double epsilon = node.getFloat("epsilon", kDefaultEpsilon);
  Value bias = node.hasInput(2) ? node.getInput(2) : Value();
  if (failed(addLayerStatistics(node, x, *axis, epsilon)))
    return failure();
  return node.setResult(
      layerNorm(node, x, scale, bias, *axis, epsilon, /*rms=*/false));
}

static LogicalResult importRmsNorm(NodeImporter &node) {
  Value x = node.getInput(0), scale = node.getInput(1);
  if (!x || !scale)
    return failure();
  FailureOr<int64_t> axis = node.getAxis("axis", -1, node.getRank(x));
  if (failed(axis))
    return failure();
  Type element = node.getElementType(scale);
  return node.setResult(node.cast(
      layerNorm(node, x, node.cast(scale, node.getElementType(x)), Value(),
                *axis, node.getFloat("epsilon", kDefaultEpsilon), /*rms=*/true),
      element));
}

/// (x - mean) / (sqrt(mean of squares - mean^2) + 1e-9) over `axes`.
static LogicalResult importMeanVarianceNorm(NodeImporter &node) {
  constexpr double kEpsilon = 1e-9;
  Value x = node.getInput(0);
  if (!x)
    return failure();
  Shape axes;
  for (int64_t axis :
       node.findInts("axes").value_or(SmallVector<int64_t>{0, 2, 3})) {
    FailureOr<int64_t> dim = node.normalizeAxis(axis, node.getRank(x));
    if (failed(dim))
      return failure();
    axes.push_back(*dim);
  }
  Value mean = node.reduce(ef::ReduceKind::Mean, x, axes, true);
  Value centred = node.binary(BinaryKind::Sub, x, mean);
  Value variance =
      node.reduce(ef::ReduceKind::Mean,
                  node.binary(BinaryKind::Mul, centred, centred), axes, true);
  Value deviation = node.binary(
      BinaryKind::Add, node.unary(UnaryKind::Sqrt, variance), kEpsilon);
  return node.setResult(node.binary(BinaryKind::Div, centred, deviation));
}

/// x / max(norm, tiny) over one axis; where the norm is zero so is x.
static LogicalResult importLpNorm(NodeImporter &node) {
  Value x = node.getInput(0);
  if (!x)
    return failure();
  FailureOr<int64_t> axis = node.getAxis("axis", -1, node.getRank(x));
  int64_t p = node.getInt("p", 2);
  if (failed(axis))
    return failure();
  if (p != 1 && p != 2)
    return node.fail("its p must be 1 or 2");
  Value power = p == 1 ? node.unary(UnaryKind::Abs, x)
                       : node.binary(BinaryKind::Mul, x, x);
  Value norm = node.reduce(ef::ReduceKind::Sum, power, *axis, true);
  if (p == 2)
    norm = node.unary(UnaryKind::Sqrt, norm);
  Value isZero = node.binary(BinaryKind::Eq, norm, 0.0);
  if (!isZero)
    return failure();
  Value safe =
      node.select(isZero, node.constant(node.getElementType(x), 1), norm);
  return node.setResult(node.binary(BinaryKind::Div, x, safe));
}

/// x / (bias + alpha / size * sum of squares of `size` neighbouring channels)
/// ^ beta: the sum is an average pooling over the channels.
static LogicalResult importLrn(NodeImporter &node) {
  Value x = node.getInput(0);
  int64_t size = node.getInt("size", 0);
  if (!x)
    return failure();
  if (node.getRank(x) < 3 || size < 1 || size > (1 << 20))
    return node.fail("it needs spatial dimensions and a positive size");
  ArrayRef<int64_t> shape = node.getShape(x);
  int64_t before = (size - 1) / 2, after = size - 1 - before;
  Shape folded{shape[0], 1, shape[1], ef::getNumElements(shape.drop_front(2))};
  Value squares = node.reshape(node.binary(BinaryKind::Mul, x, x), folded);
  Shape pads{before, 0, after, 0};
  Value mean = firstResult(node.createInferred<ef::PoolOp>(
      squares,
      {node.attribute("kind",
                      ef::PoolKindAttr::get(node.getBuilder().getContext(),
                                            ef::PoolKind::Avg)),
       node.intsAttribute("kernel", {size, 1}),
       node.intsAttribute("strides", {1, 1}), node.intsAttribute("pads", pads),
       node.intsAttribute("counted_pads", pads),
       node.intsAttribute("dilations", {1, 1}),
       node.unitAttribute("count_include_pad")}));
  Value base =
      node.binary(BinaryKind::Add,
                  node.binary(BinaryKind::Mul, node.reshape(mean, shape),
                              node.getFloat("alpha", 0.0001f)),
                  node.getFloat("bias", 1));
  return node.setResult(node.binary(
      BinaryKind::Div, x,
      node.binary(BinaryKind::Pow, base, node.getFloat("beta", 0.75))));
}

ArrayRef<OpEntry> importer::getNormOps() {
  static constexpr OpEntry kOps[] = {
      {"Softmax", importSoftmaxOp},
      {"LogSoftmax", importLogSoftmax},
      {"Hardmax", importHardmax},
      {"BatchNormalization", importBatchNorm},
      {"InstanceNormalization", importInstanceNorm},
      {"GroupNormalization", importGroupNorm},
      {"LayerNormalization", importLayerNorm},
      {"RMSNormalization", importRmsNorm},
      {"MeanVarianceNormalization", importMeanVarianceNorm},
      {"LpNormalization", importLpNorm},
      {"LRN", importLrn},
  };
  return kOps;
}
