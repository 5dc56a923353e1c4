// ef.quantize and ef.dequantize: ONNX's linear quantisation per tensor, per
// channel, and blocked.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"

#include <cmath>

using namespace mlir;
using namespace efc::ef;

/// Checks scale and zero point against the tensor that they describe;
/// `quantized` is the integer side's element type.
template <typename OpT>
static LogicalResult verifyQuantization(OpT op, Type quantized) {
  RankedTensorType input = op.getInput().getType(),
                   scale = op.getScale().getType();
  auto integer = dyn_cast<IntegerType>(quantized);
  if (!integer || integer.getWidth() < 8 || integer.getWidth() > 32)
    return op.emitOpError()
           << "quantises to and from integers of 8, 16 or 32 bits, not "
           << quantized;
  if (op.getType().getShape() != input.getShape())
    return op.emitOpError()
           << "keeps the shape, but goes from " << formatShape(input.getShape())
           << " to " << formatShape(op.getType().getShape());
  if (op.getZeroPoint()) {
    auto zeroPoint = cast<RankedTensorType>(op.getZeroPoint().getType());
    if (zeroPoint.getElementType() != quantized ||
        zeroPoint.getShape() != scale.getShape())
      return op.emitOpError()
             << "the zero point must have the scale's shape "
             << formatShape(scale.getShape()) << " and the type " << quantized
             << ", but is " << zeroPoint;
  }
  if (scale.getNumElements() == 1 && scale.getRank() <= 1)
    return success();
  int64_t axis = op.getAxis(), block = op.getBlockSize();
  if (axis < 0 || axis >= input.getRank())
    return op.emitOpError()
           << "axis " << axis << " does not exist in a tensor of rank "
           << input.getRank();
  if (block == 0) {
    if (scale.getRank() == 1 && scale.getDimSize(0) == input.getDimSize(axis))
      return success();
    return op.emitOpError()
           << "the scale has shape " << formatShape(scale.getShape())
           << ", but axis " << axis << " of the input "
           << formatShape(input.getShape()) << " has extent "
           << input.getDimSize(axis);
  }
  Shape expected(input.getShape());
  if (block > 0)
    expected[axis] = llvm::divideCeil(expected[axis], block);
  if (block < 0 || scale.getShape() != ArrayRef<int64_t>(expected))
    return op.emitOpError()
           << "blocks of " << block << " along axis " << axis
           << " need a scale of shape " << formatShape(expected)
           << ", but it has " << formatShape(scale.getShape());
  return success();
}

namespace {
/// Which element of the scale belongs to element `index` of the tensor.
class ScaleIndex {
public:
  template <typename OpT>
  explicit ScaleIndex(OpT op)
      : perTensor(op.getScale().getType().getNumElements() == 1),
        view(perTensor ? ArrayRef<int64_t>({1})
                       : op.getInput().getType().getShape(),
             perTensor ? 0 : op.getAxis()),
        block(op.getBlockSize()) {}

  int64_t operator()(int64_t index) const {
    if (perTensor)
      return 0;
    int64_t position = index / view.inner % view.extent;
    if (block == 0)
      return position;
    int64_t outer = index / view.inner / view.extent;
    return (outer * static_cast<int64_t>(llvm::divideCeil(view.extent, block)) +
            position / block) *
               view.inner +
           index % view.inner;
  }

private:
  bool perTensor;
  AxisView view;
  int64_t block;
};
} // namespace

LogicalResult QuantizeOp::verify() {
  return verifyQuantization(*this, getType().getElementType());
}

LogicalResult QuantizeOp::evaluate(ArrayRef<HostTensor> operands,
                                   SmallVectorImpl<HostTensor> &results) {
  HostTensor result(getType());
  auto target = cast<IntegerType>(getType().getElementType());
  unsigned width = target.getWidth();
  double low = target.isUnsigned() ? 0 : -std::ldexp(1, width - 1),
         high = std::ldexp(1, target.isUnsigned() ? width : width - 1) - 1;
  bool inDouble = getInput().getType().getElementType().isF64();
  ScaleIndex scaleIndex(*this);
  for (int64_t i = 0, e = operands[0].getNumElements(); i < e; ++i) {
    int64_t s = scaleIndex(i);
    double x = operands[0].getFloat(i), scale = operands[1].getFloat(s);
    // The quotient is rounded to float32 first: ties depend on it, and this is
    // what ONNX's own reference does.
    double quotient = inDouble ? x / scale
                               : static_cast<double>(static_cast<float>(x) /
                                                     static_cast<float>(scale));
    double zeroPoint =
        operands.size() > 2 ? static_cast<double>(operands[2].getInt(s)) : 0;
    double value = std::nearbyint(quotient) + zeroPoint;
    result.setInt(i, std::isnan(value) ? 0
                                       : static_cast<int64_t>(std::min(
                                             std::max(value, low), high)));
  }
  results.push_back(result);
  return success();
}

LogicalResult DequantizeOp::verify() {
  return verifyQuantization(*this, getInput().getType().getElementType());
}

LogicalResult DequantizeOp::evaluate(ArrayRef<HostTensor> operands,
                                     SmallVectorImpl<HostTensor> &results) {
  HostTensor result(getType());
  ScaleIndex scaleIndex(*this);
  for (int64_t i = 0, e = operands[0].getNumElements(); i < e; ++i) {
    int64_t s = scaleIndex(i),
            zeroPoint = operands.size() > 2 ? operands[2].getInt(s) : 0;
    result.setFloat(i, static_cast<double>(operands[0].getInt(i) - zeroPoint) *
                           operands[1].getFloat(s));
  }
  results.push_back(result);
  return success();
}
