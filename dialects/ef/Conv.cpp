// ef.conv and ef.conv_transpose: shape inference and reference evaluation.
// Evaluation works on three spatial dimensions, channels first.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"

#include "mlir/IR/Threading.h"

#include <array>

using namespace mlir;
using namespace efc::ef;

//===--- Shapes
//-------------------------------------------------------------------------------------------------------------------------===//

/// The input's shape as [N, C, spatial...], whatever its layout.
static Shape toChannelsFirst(ArrayRef<int64_t> shape, Layout layout) {
  Shape result(shape);
  if (layout == Layout::ChannelsLast)
    std::rotate(result.begin() + 1, result.end() - 1, result.end());
  return result;
}

static Shape fromChannelsFirst(ArrayRef<int64_t> shape, Layout layout) {
  Shape result(shape);
  if (layout == Layout::ChannelsLast)
    std::rotate(result.begin() + 1, result.begin() + 2, result.end());
  return result;
}

/// What both convolutions demand of ranks and window attributes.
template <typename AdaptorT>
static LogicalResult checkWindow(std::optional<Location> location,
                                 StringRef name, AdaptorT adaptor) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType()),
       filter = cast<RankedTensorType>(adaptor.getFilter().getType());
  int64_t spatial = input.getRank() - 2;
  if (spatial < 1 || spatial > 3)
    return emitOptionalError(
        location, name,
        " works on inputs of rank 3, 4 or 5 (batch, channels, one to three "
        "spatial dimensions), but the input is ",
        formatShape(input.getShape()));
  if (filter.getRank() != input.getRank())
    return emitOptionalError(
        location, name, ": the filter ", formatShape(filter.getShape()),
        " must have the rank of the input ", formatShape(input.getShape()));
  auto hasSize = [](ArrayRef<int64_t> values, int64_t size) {
    return static_cast<int64_t>(values.size()) == size;
  };
  if (!hasSize(adaptor.getStrides(), spatial) ||
      !hasSize(adaptor.getDilations(), spatial) ||
      !hasSize(adaptor.getPads(), 2 * spatial))
    return emitOptionalError(location, name, " with ", spatial,
                             " spatial dimensions needs as many strides and "
                             "dilations and twice as many pads, but has ",
                             adaptor.getStrides().size(), ", ",
                             adaptor.getDilations().size(), " and ",
                             adaptor.getPads().size());
  auto isPositive = [](int64_t value) { return value >= 1; };
  if (!llvm::all_of(adaptor.getStrides(), isPositive) ||
      !llvm::all_of(adaptor.getDilations(), isPositive))
    return emitOptionalError(
        location, name, ": strides ", formatShape(adaptor.getStrides()),
        " and dilations ", formatShape(adaptor.getDilations()),
        " must be 1 or more");
  if (llvm::any_of(filter.getShape(),
                   [](int64_t extent) { return extent == 0; }))
    return emitOptionalError(location, name, ": the filter ",
                             formatShape(filter.getShape()), " is empty");
  if (static_cast<int64_t>(adaptor.getGroups()) < 1)
    return emitOptionalError(location, name,
                             ": groups must be 1 or more, but is ",
                             static_cast<int64_t>(adaptor.getGroups()));
  return success();
}

LogicalResult ConvOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> location,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  if (failed(checkWindow(location, "conv", adaptor)))
    return failure();
  auto inputType = cast<RankedTensorType>(adaptor.getInput().getType()),
       filterType = cast<RankedTensorType>(adaptor.getFilter().getType());
  Shape input = toChannelsFirst(inputType.getShape(), adaptor.getLayout());
  ArrayRef<int64_t> filter = filterType.getShape();
  int64_t groups = adaptor.getGroups();
  if (input[1] != filter[1] * groups || filter[0] % groups != 0)
    return emitOptionalError(
        location, "conv: the filter ", formatShape(filter), " in ", groups,
        " groups needs ", filter[1] * groups,
        " input channels and a multiple of ", groups,
        " filters, but the input ", formatShape(inputType.getShape()), " (",
        stringifyLayout(adaptor.getLayout()), ") has ", input[1], " channels");
  Type a = inputType.getElementType(), b = filterType.getElementType();
  bool areIntegers = isa<IntegerType>(a) && isa<IntegerType>(b);
  bool areQuantized = isQuantized(a) || isQuantized(b);
  std::optional<WeightFormat> weights = getWeightFormat(b);
  if (areQuantized &&
      (!getActivationFormat(a) || !weights || weights->axis != 0))
    return emitOptionalError(
        location,
        "conv of quantised operands needs an int16 input with one scale and "
        "an int8 filter with one scale an output channel (dimension 0), but "
        "they have elements of type ",
        a, " and ", b);
  if (a != b && !areIntegers && !areQuantized)
    return emitOptionalError(
        location,
        "conv: input and filter must have one element type, but have ", a,
        " and ", b);
  Shape result = {input[0], filter[0]};
  for (size_t i = 0, spatial = input.size() - 2; i < spatial; ++i) {
    result.push_back(
        convOutputExtent(input[2 + i], filter[2 + i], adaptor.getStrides()[i],
                         adaptor.getPads()[i], adaptor.getPads()[spatial + i],
                         adaptor.getDilations()[i]));
    if (result.back() <= 0)
      return emitOptionalError(location, "conv: the kernel ",
                               formatShape(filter.drop_front(2)),
                               " does not fit into the padded input ",
                               formatShape(inputType.getShape()));
  }
  Type element = areQuantized  ? Type(Float32Type::get(context))
                 : areIntegers ? Type(IntegerType::get(context, 32))
                               : a;
  types.push_back(RankedTensorType::get(
      fromChannelsFirst(result, adaptor.getLayout()), element));
  return success();
}

LogicalResult ConvOp::verify() { return success(); }

LogicalResult ConvTransposeOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> location, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  if (failed(checkWindow(location, "conv_transpose", adaptor)))
    return failure();
  auto inputType = cast<RankedTensorType>(adaptor.getInput().getType()),
       filterType = cast<RankedTensorType>(adaptor.getFilter().getType());
  Shape input = toChannelsFirst(inputType.getShape(), adaptor.getLayout());
  ArrayRef<int64_t> filter = filterType.getShape();
  int64_t groups = adaptor.getGroups();
  size_t spatial = input.size() - 2;
  if (input[1] != filter[0] || filter[0] % groups != 0)
    return emitOptionalError(
        location, "conv_transpose: the filter ", formatShape(filter), " needs ",
        filter[0], " input channels, a multiple of ", groups,
        " groups, but the input ", formatShape(inputType.getShape()), " has ",
        input[1]);
  if (inputType.getElementType() != filterType.getElementType())
    return emitOptionalError(location,
                             "conv_transpose: input and filter must have one "
                             "element type, but have ",
                             inputType.getElementType(), " and ",
                             filterType.getElementType());
  if (adaptor.getOutputPadding().size() != spatial)
    return emitOptionalError(location, "conv_transpose: output_padding needs ",
                             spatial, " values, but has ",
                             adaptor.getOutputPadding().size());
  Shape result = {input[0], filter[1] * groups};
  for (size_t i = 0; i < spatial; ++i) {
    result.push_back(convTransposeOutputExtent(
        input[2 + i], filter[2 + i], adaptor.getStrides()[i],
        adaptor.getPads()[i], adaptor.getPads()[spatial + i],
        adaptor.getDilations()[i], adaptor.getOutputPadding()[i]));
    if (result.back() <= 0)
      return emitOptionalError(location, "conv_transpose: the pads ",
                               formatShape(adaptor.getPads()),
                               " leave nothing of the result");
  }
  types.push_back(
      RankedTensorType::get(fromChannelsFirst(result, adaptor.getLayout()),
                            inputType.getElementType()));
  return success();
}

LogicalResult ConvTransposeOp::verify() { return success(); }

//===--- Evaluation
//---------------------------------------------------------------------------------------------------------------------===//

namespace {
/// One convolution with exactly three spatial dimensions (missing ones have
/// extent 1 and stand first), channels first. A transposed convolution is the
/// same relation between positions with the roles of the large and the small
/// tensor exchanged.
struct Window {
  std::array<int64_t, 3> kernel{1, 1, 1}, stride{1, 1, 1}, pad{0, 0, 0},
      dilation{1, 1, 1};
  std::array<int64_t, 3> input{1, 1, 1}, output{1, 1, 1};

  template <typename OpT>
  explicit Window(OpT op, ArrayRef<int64_t> inputShape,
                  ArrayRef<int64_t> outputShape) {
    size_t spatial = inputShape.size() - 2, first = 3 - spatial;
    for (size_t i = 0; i < spatial; ++i) {
      kernel[first + i] = op.getFilter().getType().getDimSize(2 + i);
      stride[first + i] = op.getStrides()[i];
      pad[first + i] = op.getPads()[i];
      dilation[first + i] = op.getDilations()[i];
      input[first + i] = inputShape[2 + i];
      output[first + i] = outputShape[2 + i];
    }
  }

  int64_t getTaps() const { return kernel[0] * kernel[1] * kernel[2]; }
  static int64_t getPlane(const std::array<int64_t, 3> &extent) {
    return extent[0] * extent[1] * extent[2];
  }

  /// Calls `row(large offset, small offset, count)` for every row of tap `tap`:
  /// small[s + i] meets large[l + i * stride[2]].
  template <typename Row>
  void forEachRow(int64_t tap, const std::array<int64_t, 3> &large,
                  const std::array<int64_t, 3> &small, Row &&row) const {
    std::array<int64_t, 3> at{tap / (kernel[1] * kernel[2]),
                              tap / kernel[2] % kernel[1], tap % kernel[2]},
        shift;
    for (int dim = 0; dim < 3; ++dim)
      shift[dim] = at[dim] * dilation[dim] - pad[dim];
    // The columns x of the small tensor for which 0 <= x * stride + shift <
    // large.
    int64_t begin = shift[2] < 0 ? (-shift[2] + stride[2] - 1) / stride[2] : 0;
    int64_t end =
        large[2] - shift[2] <= 0
            ? 0
            : std::min(small[2], (large[2] - shift[2] - 1) / stride[2] + 1);
    if (begin >= end)
      return;
    for (int64_t z = 0; z < small[0]; ++z) {
      int64_t largeZ = z * stride[0] + shift[0];
      if (largeZ < 0 || largeZ >= large[0])
        continue;
      for (int64_t y = 0; y < small[1]; ++y) {
        int64_t largeY = y * stride[1] + shift[1];
        if (largeY >= 0 && largeY < large[1])
          row((largeZ * large[1] + largeY) * large[2] + begin * stride[2] +
                  shift[2],
              (z * small[1] + y) * small[2] + begin, end - begin);
      }
    }
  }
};
} // namespace

/// [N, rows, columns] -> [N, columns, rows]: between the two layouts.
template <typename T>
static std::vector<T> swapLayout(const std::vector<T> &values, int64_t batch,
                                 int64_t rows, int64_t columns) {
  std::vector<T> result(values.size());
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        result[(n * columns + j) * rows + i] =
            values[(n * rows + i) * columns + j];
  return result;
}

/// Reads the input channels first, lets `compute(input, filter, result)` fill
/// the zeroed result, and stores it in the op's layout.
template <typename T, typename OpT, typename Compute>
static HostTensor
evaluateChannelsFirst(OpT op, ArrayRef<HostTensor> operands,
                      const Window &window, int64_t inputChannels,
                      int64_t outputChannels, Compute &&compute) {
  int64_t batch = op.getInput().getType().getDimSize(0);
  int64_t inputPlane = Window::getPlane(window.input),
          outputPlane = Window::getPlane(window.output);
  std::vector<T> input = readValues<T>(operands[0]),
                 filter = readValues<T>(operands[1]);
  std::vector<T> result(batch * outputChannels * outputPlane);
  bool channelsLast = op.getLayout() == Layout::ChannelsLast;
  if (channelsLast)
    input = swapLayout(input, batch, inputPlane, inputChannels);
  parallelFor(op.getContext(), 0, batch * outputChannels, [&](size_t index) {
    compute(input.data() + index / outputChannels * inputChannels * inputPlane,
            filter.data(), index % outputChannels,
            result.data() + index * outputPlane);
  });
  if (channelsLast)
    result = swapLayout(result, batch, outputChannels, outputPlane);
  return makeTensor<T>(op.getType(), result);
}

template <typename T>
static HostTensor convolve(ConvOp op, ArrayRef<HostTensor> operands) {
  Shape inputShape =
      toChannelsFirst(op.getInput().getType().getShape(), op.getLayout());
  Shape outputShape = toChannelsFirst(op.getType().getShape(), op.getLayout());
  Window window(op, inputShape, outputShape);
  int64_t groupChannels = op.getFilter().getType().getDimSize(1),
          groupFilters = outputShape[1] / static_cast<int64_t>(op.getGroups());
  int64_t taps = window.getTaps(), inputPlane = Window::getPlane(window.input);
  return evaluateChannelsFirst<T>(
      op, operands, window, inputShape[1], outputShape[1],
      [&](const T *input, const T *filter, int64_t channel, T *result) {
        for (int64_t c = 0; c < groupChannels; ++c) {
          const T *plane =
              input + (channel / groupFilters * groupChannels + c) * inputPlane;
          for (int64_t tap = 0; tap < taps; ++tap) {
            T weight = filter[(channel * groupChannels + c) * taps + tap];
            window.forEachRow(
                tap, window.input, window.output,
                [&](int64_t large, int64_t small, int64_t count) {
                  for (int64_t i = 0, stride = window.stride[2]; i < count; ++i)
                    result[small + i] += weight * plane[large + i * stride];
                });
          }
        }
      });
}

LogicalResult ConvOp::evaluate(ArrayRef<HostTensor> operands,
                               SmallVectorImpl<HostTensor> &results) {
  if (isQuantized(getInput().getType())) {
    results.push_back(evaluateQuantized(*this, operands));
    return success();
  }
  // Integers wrap around, so the unsigned type serves both signs.
  bool isFloat = isa<FloatType>(getType().getElementType());
  results.push_back(isFloat ? convolve<double>(*this, operands)
                            : convolve<uint64_t>(*this, operands));
  return success();
}

LogicalResult ConvTransposeOp::evaluate(ArrayRef<HostTensor> operands,
                                        SmallVectorImpl<HostTensor> &results) {
  Shape inputShape =
      toChannelsFirst(getInput().getType().getShape(), getLayout());
  Shape outputShape = toChannelsFirst(getType().getShape(), getLayout());
  Window window(*this, inputShape, outputShape);
  int64_t groupFilters = getFilter().getType().getDimSize(1),
          groupChannels = inputShape[1] / static_cast<int64_t>(getGroups());
  int64_t taps = window.getTaps(), inputPlane = Window::getPlane(window.input);
  results.push_back(evaluateChannelsFirst<double>(
      *this, operands, window, inputShape[1], outputShape[1],
      [&](const double *input, const double *filter, int64_t channel,
          double *result) {
        int64_t group = channel / groupFilters;
        for (int64_t c = group * groupChannels; c < (group + 1) * groupChannels;
             ++c) {
          const double *plane = input + c * inputPlane;
          for (int64_t tap = 0; tap < taps; ++tap) {
            double weight =
                filter[(c * groupFilters + channel % groupFilters) * taps +
                       tap];
            window.forEachRow(
                tap, window.output, window.input,
                [&](int64_t large, int64_t small, int64_t count) {
                  for (int64_t i = 0, stride = window.stride[2]; i < count; ++i)
                    result[large + i * stride] += weight * plane[small + i];
                });
          }
        }
      }));
  return success();
}
