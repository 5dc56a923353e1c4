// Normalisations: ef.group_norm, ef.layer_norm, ef.softmax.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace efc::ef;

/// Both norms keep the shape; of quantised values they give f32.
static LogicalResult inferNormType(StringRef name,
                                   std::optional<Location> location, Type type,
                                   SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(type);
  if (isQuantized(input) && !getActivationFormat(input))
    return emitOptionalError(location, name,
                             " of quantised values needs int16 ones with one "
                             "scale, but has ",
                             input);
  types.push_back(isQuantized(input)
                      ? input.clone(Float32Type::get(input.getContext()))
                      : input);
  return success();
}

//===--- group_norm
//---------------------------------------------------------------------------------------------------------------------===//

static int64_t getChannelAxis(GroupNormOp op) {
  return op.getLayout() == Layout::ChannelsFirst
             ? 1
             : op.getInput().getType().getRank() - 1;
}

LogicalResult GroupNormOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  return inferNormType("group_norm", location, adaptor.getInput().getType(),
                       types);
}

LogicalResult GroupNormOp::verify() {
  RankedTensorType input = getInput().getType();
  if (input.getRank() < 2)
    return emitOpError() << "works on [batch, channels, ...], but the input is "
                         << formatShape(input.getShape());
  int64_t channels = input.getDimSize(getChannelAxis(*this)),
          groups = getGroups();
  if (groups < 1 || channels % groups != 0)
    return emitOpError() << groups << " groups do not divide the " << channels
                         << " channels of the input "
                         << formatShape(input.getShape());
  for (auto [name, type] : {std::pair("scale", getScale().getType()),
                            std::pair("bias", getBias().getType())})
    if (type.getRank() != 1 || type.getDimSize(0) != channels)
      return emitOpError() << "the " << name << " "
                           << formatShape(type.getShape())
                           << " must have one element for each of the "
                           << channels << " channels";
  return success();
}

LogicalResult GroupNormOp::evaluate(ArrayRef<HostTensor> operands,
                                    SmallVectorImpl<HostTensor> &results) {
  if (isQuantized(getInput().getType())) {
    results.push_back(evaluateQuantized(*this, operands));
    return success();
  }
  AxisView view(getType().getShape(), getChannelAxis(*this));
  // Channels first: outer = batch, inner = space. Channels last: batch and
  // space are both in outer.
  int64_t batch = getType().getDimSize(0),
          space = batch == 0 ? 0 : view.outer * view.inner / batch,
          channels = view.extent;
  int64_t groupChannels = channels / static_cast<int64_t>(getGroups());
  bool channelsLast = getLayout() == Layout::ChannelsLast;
  std::vector<double> values = readValues<double>(operands[0]);
  std::vector<double> scale = readValues<double>(operands[1]),
                      bias = readValues<double>(operands[2]);
  double epsilon = getEpsilon().convertToDouble(),
         count = static_cast<double>(groupChannels * space);
  auto at = [&](int64_t n, int64_t c, int64_t s) -> double & {
    return values[n * channels * space +
                  (channelsLast ? s * channels + c : c * space + s)];
  };
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t first = 0; first < channels; first += groupChannels) {
      double mean = 0, variance = 0;
      for (int64_t c = first; c < first + groupChannels; ++c)
        for (int64_t s = 0; s < space; ++s)
          mean += at(n, c, s) / count;
      for (int64_t c = first; c < first + groupChannels; ++c)
        for (int64_t s = 0; s < space; ++s)
          variance += (at(n, c, s) - mean) * (at(n, c, s) - mean) / count;
      double factor = 1 / std::sqrt(variance + epsilon);
      for (int64_t c = first; c < first + groupChannels; ++c)
        for (int64_t s = 0; s < space; ++s)
          at(n, c, s) = (at(n, c, s) - mean) * factor * scale[c] + bias[c];
    }
  results.push_back(makeTensor<double>(getType(), values));
  return success();
}

//===--- layer_norm
//---------------------------------------------------------------------------------------------------------------------===//

LogicalResult LayerNormOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  return inferNormType("layer_norm", location, adaptor.getInput().getType(),
                       types);
}

LogicalResult LayerNormOp::verify() {
  RankedTensorType input = getInput().getType();
  int64_t axis = getAxis();
  if (axis < 0 || axis >= input.getRank())
    return emitOpError() << "axis " << axis << " does not exist in the input "
                         << formatShape(input.getShape());
  for (auto [name, value] :
       {std::pair("scale", getScale()), std::pair("bias", getBias())})
    if (value && !broadcastsTo(value.getType().getShape(), input.getShape()))
      return emitOpError() << "the " << name << " "
                           << formatShape(value.getType().getShape())
                           << " does not broadcast to the input "
                           << formatShape(input.getShape());
  return success();
}

/// An optional operand of a layer norm, broadcast to the input.
static std::vector<double> readBroadcast(const HostTensor &tensor,
                                         ArrayRef<int64_t> shape) {
  std::vector<double> values = readValues<double>(tensor),
                      result(efc::ef::getNumElements(shape));
  Shape strides = getBroadcastStrides(tensor.getShape(), shape);
  for (size_t index = 0; index < result.size(); ++index) {
    int64_t rest = index, source = 0;
    for (size_t dim = shape.size(); dim-- > 0; rest /= shape[dim])
      source += rest % shape[dim] * strides[dim];
    result[index] = values[source];
  }
  return result;
}

LogicalResult LayerNormOp::evaluate(ArrayRef<HostTensor> operands,
                                    SmallVectorImpl<HostTensor> &results) {
  if (isQuantized(getInput().getType())) {
    results.push_back(evaluateQuantized(*this, operands));
    return success();
  }
  ArrayRef<int64_t> shape = getType().getShape();
  int64_t inner = efc::ef::getNumElements(shape.drop_front(getAxis()));
  std::vector<double> values = readValues<double>(operands[0]), scale, bias;
  if (getScale())
    scale = readBroadcast(operands[1], shape);
  if (getBias())
    bias = readBroadcast(operands.back(), shape);
  for (int64_t row = 0, e = values.size(); row < e; row += inner) {
    double mean = 0, variance = 0;
    for (int64_t i = row; i < row + inner && !getRms(); ++i)
      mean += values[i] / static_cast<double>(inner);
    for (int64_t i = row; i < row + inner; ++i)
      variance +=
          (values[i] - mean) * (values[i] - mean) / static_cast<double>(inner);
    double factor = 1 / std::sqrt(variance + getEpsilon().convertToDouble());
    for (int64_t i = row; i < row + inner; ++i)
      values[i] = (values[i] - mean) * factor * (scale.empty() ? 1 : scale[i]) +
                  (bias.empty() ? 0 : bias[i]);
  }
  results.push_back(makeTensor<double>(getType(), values));
  return success();
}

//===--- softmax
//------------------------------------------------------------------------------------------------------------------------===//

LogicalResult SoftmaxOp::verify() {
  int64_t axis = getAxis();
  if (axis < 0 || axis >= getType().getRank())
    return emitOpError() << "axis " << axis << " does not exist in the input "
                         << formatShape(getType().getShape());
  return success();
}

LogicalResult SoftmaxOp::evaluate(ArrayRef<HostTensor> operands,
                                  SmallVectorImpl<HostTensor> &results) {
  AxisView view(getType().getShape(), getAxis());
  std::vector<double> values = readValues<double>(operands[0]);
  for (int64_t outer = 0; outer < view.outer; ++outer)
    for (int64_t inner = 0; inner < view.inner; ++inner) {
      double *row = values.data() + outer * view.extent * view.inner + inner;
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t i = 0; i < view.extent; ++i)
        largest = std::max(largest, row[i * view.inner]);
      for (int64_t i = 0; i < view.extent; ++i)
        sum += std::exp(row[i * view.inner] - largest);
      for (int64_t i = 0; i < view.extent; ++i) {
        double shifted = row[i * view.inner] - largest;
        row[i * view.inner] =
            getLog() ? shifted - std::log(sum) : std::exp(shifted) / sum;
      }
    }
  results.push_back(makeTensor<double>(getType(), values));
  return success();
}
