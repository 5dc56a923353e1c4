// Reference evaluation of group norm and layer norm on an int16 input
// (docs/numerics.md): exact integer sums, factors in binary64, application in
// binary32.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"
#include "runtime/npu/Numerics.h"

#include "mlir/IR/Threading.h"

using namespace mlir;
using namespace efc::ef;
namespace numerics = efrt::numerics;

static const int16_t *getData(const HostTensor &tensor) {
  return reinterpret_cast<const int16_t *>(tensor.getBytes().data());
}

static std::vector<float> readFloats(const HostTensor &tensor) {
  std::vector<double> values = readValues<double>(tensor);
  return {values.begin(), values.end()};
}

HostTensor efc::ef::evaluateQuantized(GroupNormOp op,
                                      ArrayRef<HostTensor> operands) {
  HostTensor result(op.getType());
  ArrayRef<int64_t> shape = op.getType().getShape();
  bool channelsLast = op.getLayout() == Layout::ChannelsLast;
  AxisView view(shape, channelsLast ? shape.size() - 1 : 1);
  int64_t batch = shape[0], channels = view.extent;
  int64_t space = batch == 0 ? 0 : view.outer * view.inner / batch;
  int64_t groups = op.getGroups(), groupChannels = channels / groups;
  // Element (channel c, position p) of an image.
  int64_t channelStride = channelsLast ? 1 : space,
          positionStride = channelsLast ? channels : 1;
  std::vector<float> gamma = readFloats(operands[1]),
                     beta = readFloats(operands[2]);
  float scale = getActivationFormat(operands[0].getType())->scale;
  double epsilon = op.getEpsilon().convertToDouble();
  auto *values = reinterpret_cast<float *>(result.getMutableBytes().data());
  parallelFor(op.getContext(), 0, batch * groups, [&](size_t index) {
    int64_t base = index / groups * channels * space,
            first = index % groups * groupChannels;
    const int16_t *from = getData(operands[0]) + base;
    int64_t sum = 0, squares = 0;
    for (int64_t p = 0; p < space; ++p)
      for (int64_t c = first; c < first + groupChannels; ++c) {
        int64_t q = from[p * positionStride + c * channelStride];
        sum += q;
        squares += q * q;
      }
    numerics::NormStatistics statistics = numerics::normStatistics(
        sum, squares, space * groupChannels, scale, epsilon, /*rms=*/false);
    for (int64_t c = first; c < first + groupChannels; ++c) {
      numerics::NormFactors factors =
          numerics::groupNormFactors(statistics, gamma[c], beta[c]);
      for (int64_t p = 0; p < space; ++p) {
        int64_t at = p * positionStride + c * channelStride;
        values[base + at] = static_cast<float>(from[at]) * factors.a;
        values[base + at] += factors.b;
      }
    }
  });
  return result;
}

/// An optional scale or bias, repeated to the `shape` of a row; empty if it is
/// not there.
static std::vector<float> readRow(const HostTensor &tensor,
                                  ArrayRef<int64_t> shape) {
  std::vector<float> values = readFloats(tensor),
                     row(efc::ef::getNumElements(shape));
  ArrayRef<int64_t> own = tensor.getShape();
  Shape strides = getBroadcastStrides(
      own.take_back(std::min(own.size(), shape.size())), shape);
  for (size_t index = 0; index < row.size(); ++index) {
    int64_t rest = index, source = 0;
    for (size_t dim = shape.size(); dim-- > 0; rest /= shape[dim])
      source += rest % shape[dim] * strides[dim];
    row[index] = values[source];
  }
  return row;
}

HostTensor efc::ef::evaluateQuantized(LayerNormOp op,
                                      ArrayRef<HostTensor> operands) {
  HostTensor result(op.getType());
  ArrayRef<int64_t> row = op.getType().getShape().drop_front(op.getAxis());
  int64_t columns = efc::ef::getNumElements(row);
  int64_t rows = columns == 0 ? 0 : result.getNumElements() / columns;
  std::vector<float> gamma, beta;
  if (op.getScale())
    gamma = readRow(operands[1], row);
  if (op.getBias())
    beta = readRow(operands.back(), row);
  float scale = getActivationFormat(operands[0].getType())->scale;
  double epsilon = op.getEpsilon().convertToDouble();
  auto *values = reinterpret_cast<float *>(result.getMutableBytes().data());
  parallelFor(op.getContext(), 0, rows, [&](size_t index) {
    const int16_t *from = getData(operands[0]) + index * columns;
    int64_t sum = 0, squares = 0;
    for (int64_t i = 0; i < columns; ++i) {
      int64_t q = from[i];
      sum += q;
      squares += q * q;
    }
    numerics::NormFactors factors =
        numerics::layerNormFactors(numerics::normStatistics(
            sum, squares, columns, scale, epsilon, op.getRms()));
    for (int64_t i = 0; i < columns; ++i) {
      float y = static_cast<float>(from[i]) * factors.a;
      if (!op.getRms())
        y = y + factors.b;
      if (!gamma.empty())
        y = y * gamma[i];
      if (!beta.empty())
        y = y + beta[i];
      values[index * columns + i] = y;
    }
  });
  return result;
}
