// Reference evaluation of matmul and convolution on an int16 activation and
// int8 weights (docs/numerics.md): RN(RN(acc) * f[n]), acc the exact sum, f[n]
// = RN(s_x * s_w[n]). A convolution is the product of the patches of one row of
// its result with the filters.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/QuantizedProducts.h"
#include "dialects/ef/Shapes.h"

#include "mlir/IR/Threading.h"

#include <array>

using namespace mlir;
using namespace efc::ef;

template <typename T> static const T *getData(const HostTensor &tensor) {
  return reinterpret_cast<const T *>(tensor.getBytes().data());
}

/// f[n] of every output channel.
static std::vector<float> makeFactors(Type input, Type weights) {
  float inputScale = getActivationFormat(input)->scale;
  std::vector<float> factors;
  for (double scale : getWeightFormat(weights)->scales)
    factors.push_back(inputScale * static_cast<float>(scale));
  return factors;
}

/// [rows, columns] -> [columns, rows].
static std::vector<int8_t> transpose(const int8_t *from, int64_t rows,
                                     int64_t columns) {
  std::vector<int8_t> result(rows * columns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      result[j * rows + i] = from[i * columns + j];
  return result;
}

HostTensor efc::ef::evaluateQuantized(MatmulOp op,
                                      ArrayRef<HostTensor> operands) {
  std::vector<float> factors =
      makeFactors(op.getA().getType(), op.getB().getType());
  HostTensor result(op.getType());
  int64_t n = op.getType().getShape().back(), k = operands[0].getShape().back();
  int64_t rows = n == 0 ? 0 : result.getNumElements() / n;
  std::vector<int8_t> swapped;
  const int8_t *weights = getData<int8_t>(operands[1]); // [n, k]
  if (!op.getTransposeB()) {
    swapped = transpose(weights, k, n);
    weights = swapped.data();
  }
  auto *values = reinterpret_cast<float *>(result.getMutableBytes().data());
  // A few rows a task, so that a channel's weights are read once for all.
  constexpr int64_t kRows = 16;
  parallelFor(op.getContext(), 0, llvm::divideCeil(rows, kRows), [&](size_t i) {
    int64_t first = static_cast<int64_t>(i) * kRows,
            last = std::min(first + kRows, rows);
    for (int64_t channel = 0; channel < n; ++channel)
      for (int64_t row = first; row < last; ++row) {
        int64_t sum = dot(getData<int16_t>(operands[0]) + row * k,
                          weights + channel * k, k);
        values[row * n + channel] = static_cast<float>(sum) * factors[channel];
      }
  });
  return result;
}

namespace {
/// Geometry of a convolution in three spatial dimensions (missing ones stand
/// first and have extent 1); strides of input and result in elements.
struct ConvGeometry {
  std::array<int64_t, 3> input{1, 1, 1}, output{1, 1, 1}, kernel{1, 1, 1},
      stride{1, 1, 1}, pad{0, 0, 0}, dilation{1, 1, 1};
  std::array<int64_t, 3> inputStrides{0, 0, 0}, outputStrides{0, 0, 0};
  int64_t inputBatch, outputBatch, inputChannel, outputChannel;
  int64_t batch, channels, filters, groups;

  explicit ConvGeometry(ConvOp op) {
    ArrayRef<int64_t> from = op.getInput().getType().getShape(),
                      to = op.getType().getShape(),
                      filter = op.getFilter().getType().getShape();
    bool channelsLast = op.getLayout() == Layout::ChannelsLast;
    size_t spatial = from.size() - 2,
           channelDim = channelsLast ? spatial + 1 : 1;
    Shape fromStrides = getStrides(from), toStrides = getStrides(to);
    for (size_t i = 0; i < spatial; ++i) {
      size_t dim = i + (channelsLast ? 1 : 2), at = 3 - spatial + i;
      input[at] = from[dim];
      output[at] = to[dim];
      inputStrides[at] = fromStrides[dim];
      outputStrides[at] = toStrides[dim];
      kernel[at] = filter[2 + i];
      stride[at] = op.getStrides()[i];
      pad[at] = op.getPads()[i];
      dilation[at] = op.getDilations()[i];
    }
    inputBatch = fromStrides[0];
    outputBatch = toStrides[0];
    inputChannel = fromStrides[channelDim];
    outputChannel = toStrides[channelDim];
    batch = from[0];
    channels = filter[1];
    filters = filter[0];
    groups = op.getGroups();
  }

  int64_t getTaps() const { return kernel[0] * kernel[1] * kernel[2]; }

  /// The inputs [channel, tap] of one result position, zero outside.
  void readPatch(const int16_t *from, std::array<int64_t, 3> position,
                 int16_t *patch) const {
    for (int64_t tap = 0, taps = getTaps(); tap < taps; ++tap) {
      std::array<int64_t, 3> at{tap / (kernel[1] * kernel[2]),
                                tap / kernel[2] % kernel[1], tap % kernel[2]};
      int64_t offset = 0;
      bool isInside = true;
      for (int dim = 0; dim < 3; ++dim) {
        int64_t index =
            position[dim] * stride[dim] + at[dim] * dilation[dim] - pad[dim];
        isInside &= index >= 0 && index < input[dim];
        offset += index * inputStrides[dim];
      }
      for (int64_t channel = 0; channel < channels; ++channel)
        patch[channel * taps + tap] =
            isInside ? from[offset + channel * inputChannel] : 0;
    }
  }
};
} // namespace

HostTensor efc::ef::evaluateQuantized(ConvOp op,
                                      ArrayRef<HostTensor> operands) {
  std::vector<float> factors =
      makeFactors(op.getInput().getType(), op.getFilter().getType());
  HostTensor result(op.getType());
  ConvGeometry conv(op);
  auto *values = reinterpret_cast<float *>(result.getMutableBytes().data());
  const auto *filters = getData<int8_t>(operands[1]);
  int64_t depth = conv.channels * conv.getTaps(), columns = conv.output[2];
  int64_t groupFilters = conv.filters / conv.groups;
  int64_t rows = conv.batch * conv.output[0] * conv.output[1];
  parallelFor(op.getContext(), 0, rows, [&](size_t row) {
    int64_t y = static_cast<int64_t>(row) % conv.output[1],
            z = static_cast<int64_t>(row) / conv.output[1] % conv.output[0],
            n = static_cast<int64_t>(row) / (conv.output[0] * conv.output[1]);
    std::vector<int16_t> patches(columns * depth);
    float *to = values + n * conv.outputBatch + z * conv.outputStrides[0] +
                y * conv.outputStrides[1];
    for (int64_t group = 0; group < conv.groups; ++group) {
      const int16_t *from = getData<int16_t>(operands[0]) +
                            n * conv.inputBatch +
                            group * conv.channels * conv.inputChannel;
      for (int64_t x = 0; x < columns; ++x)
        conv.readPatch(from, {z, y, x}, patches.data() + x * depth);
      for (int64_t filter = group * groupFilters;
           filter < (group + 1) * groupFilters; ++filter)
        for (int64_t x = 0; x < columns; ++x) {
          int64_t sum =
              dot(patches.data() + x * depth, filters + filter * depth, depth);
          to[x * conv.outputStrides[2] + filter * conv.outputChannel] =
              static_cast<float>(sum) * factors[filter];
        }
    }
  });
  return result;
}
