// Quantisation: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, and
// the helpers of the quantised products and convolutions.
#include "compiler/import/Quantization.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;

Value importer::subtractZeroPoint(NodeImporter &node, Value value, size_t index,
                                  int64_t axis) {
  Type i32 = node.getBuilder().getI32Type();
  Value wide = node.cast(value, i32);
  if (!wide || !node.hasInput(index))
    return wide;
  Value zeroPoint = node.cast(node.getInput(index), i32);
  if (zeroPoint && node.getRank(zeroPoint) == 1 &&
      node.getType(zeroPoint).getNumElements() > 1)
    zeroPoint = node.alongAxis(zeroPoint, axis, node.getRank(wide));
  return node.binary(BinaryKind::Sub, wide, zeroPoint);
}

Value importer::quantize(NodeImporter &node, Value input, Value scale,
                         Value zeroPoint, Type elementType, int64_t axis,
                         int64_t blockSize) {
  if (!input || !scale)
    return Value();
  SmallVector<Value> operands{input, scale};
  if (zeroPoint)
    operands.push_back(zeroPoint);
  return firstResult(node.create<ef::QuantizeOp>(
      node.getType(input).clone(elementType), operands,
      {node.intAttribute("axis", axis),
       node.intAttribute("block_size", blockSize)}));
}

Value importer::requantize(NodeImporter &node, Value accumulator, Value scale,
                           Value outputScale, Value outputZeroPoint) {
  if (!outputZeroPoint || !scale)
    return Value();
  Value real =
      node.binary(BinaryKind::Mul, node.cast(accumulator, node.getF32()),
                  node.cast(scale, node.getF32()));
  return quantize(node, real, node.cast(outputScale, node.getF32()),
                  outputZeroPoint, node.getElementType(outputZeroPoint), 0, 0);
}

/// The axis of a scale: its default does not exist in tensors of low rank,
/// where it does not matter.
static FailureOr<int64_t> getScaleAxis(NodeImporter &node, Value input,
                                       Value scale) {
  if (node.getType(scale).getNumElements() == 1 && node.getRank(scale) <= 1)
    return 0;
  return node.getAxis("axis", 1, node.getRank(input));
}

static LogicalResult importQuantizeLinear(NodeImporter &node) {
  Value input = node.getInput(0), scale = node.getInput(1);
  if (!input || !scale)
    return failure();
  Value zeroPoint = node.hasInput(2) ? node.getInput(2) : Value();
  Type element = zeroPoint ? node.getElementType(zeroPoint)
                           : node.getBuilder().getIntegerType(8, false);
  int64_t outputType = node.getInt("output_dtype", 0);
  if (!zeroPoint && outputType != 0) {
    Expected<Type> given = node.getImporter().getElementType(outputType);
    if (!given)
      return node.fail(llvm::toString(given.takeError()));
    element = *given;
  }
  FailureOr<int64_t> axis = getScaleAxis(node, input, scale);
  if (failed(axis))
    return failure();
  // Integers are quantised as the reals that they are.
  if (!node.isFloat(input))
    input = node.cast(input, node.getF32());
  return node.setResult(quantize(node, input, scale, zeroPoint, element, *axis,
                                 node.getInt("block_size", 0)));
}

static LogicalResult importDequantizeLinear(NodeImporter &node) {
  Value input = node.getInput(0), scale = node.getInput(1);
  if (!input || !scale)
    return failure();
  FailureOr<int64_t> axis = getScaleAxis(node, input, scale);
  if (failed(axis))
    return failure();
  SmallVector<Value> operands{input, scale};
  if (node.hasInput(2))
    operands.push_back(node.getInput(2));
  Type element = node.getElementType(scale);
  if (int64_t outputType = node.getInt("output_dtype", 0)) {
    Expected<Type> given = node.getImporter().getElementType(outputType);
    if (!given)
      return node.fail(llvm::toString(given.takeError()));
    element = *given;
  }
  return node.setResult(firstResult(node.create<ef::DequantizeOp>(
      node.getType(input).clone(element), operands,
      {node.intAttribute("axis", *axis),
       node.intAttribute("block_size", node.getInt("block_size", 0))})));
}

/// y_scale = (max(0, max x) - min(0, min x)) / 255,
/// y_zero_point = saturate(round(-min / y_scale)), y = quantised x, as uint8.
static LogicalResult importDynamicQuantizeLinear(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  SmallVector<int64_t> all =
      llvm::to_vector(llvm::seq<int64_t>(0, node.getRank(input)));
  Value high =
      node.binary(BinaryKind::Max,
                  node.reduce(ef::ReduceKind::Max, input, all, false), 0.0);
  Value low =
      node.binary(BinaryKind::Min,
                  node.reduce(ef::ReduceKind::Min, input, all, false), 0.0);
  Value scale = node.binary(BinaryKind::Div,
                            node.binary(BinaryKind::Sub, high, low), 255.0);
  Value zero =
      node.binary(BinaryKind::Div, node.unary(UnaryKind::Neg, low), scale);
  Type u8 = node.getBuilder().getIntegerType(8, false);
  Value zeroPoint =
      node.cast(node.clamp(node.unary(UnaryKind::Round, zero), 0, 255), u8);
  if (failed(node.setResult(
          0, quantize(node, input, scale, zeroPoint, u8, 0, 0))) ||
      failed(node.setResult(1, scale)))
    return failure();
  return node.setResult(2, zeroPoint);
}

ArrayRef<OpEntry> importer::getQuantOps() {
  static constexpr OpEntry kOps[] = {
      {"QuantizeLinear", importQuantizeLinear},
      {"DequantizeLinear", importDequantizeLinear},
      {"DynamicQuantizeLinear", importDynamicQuantizeLinear},
  };
  return kOps;
}
