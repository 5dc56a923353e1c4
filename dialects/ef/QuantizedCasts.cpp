// Reference evaluation of quant.qcast and quant.dcast (docs/numerics.md). The
// weights of a U-Net are hundreds of millions of elements and pass through here
// when its artifact is written, so these are typed loops over plain arrays.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/WeightRounding.h"
#include "runtime/npu/Numerics.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/Threading.h"

using namespace mlir;
using namespace efc::ef;
namespace numerics = efrt::numerics;

/// Elements that one task of a parallel loop converts.
static constexpr int64_t kTaskElements = 1 << 16;

/// Calls `body(first, last)` on ranges of [0, count).
static void forEachRange(MLIRContext *context, int64_t count,
                         llvm::function_ref<void(int64_t, int64_t)> body) {
  int64_t tasks = llvm::divideCeil(count, kTaskElements);
  parallelFor(context, 0, tasks, [&](size_t task) {
    int64_t first = static_cast<int64_t>(task) * kTaskElements;
    body(first, std::min(first + kTaskElements, count));
  });
}

/// Calls `convert(to, from, scale)` for every element, with the scale of its
/// index of the quantised axis.
template <typename To, typename From, typename Convert>
static void convertPerAxis(MLIRContext *context, RankedTensorType type,
                           const WeightFormat &format, const From *from, To *to,
                           Convert convert) {
  SmallVector<float> scales(format.scales.begin(), format.scales.end());
  AxisView view(type.getShape(), format.axis);
  if (view.inner == 1) {
    parallelFor(context, 0, view.outer, [&](size_t row) {
      size_t base = row * view.extent;
      for (int64_t i = 0; i < view.extent; ++i)
        convert(to[base + i], from[base + i], scales[i]);
    });
    return;
  }
  parallelFor(context, 0, view.outer * view.extent, [&](size_t row) {
    size_t base = row * view.inner;
    float scale = scales[row % view.extent];
    for (int64_t i = 0; i < view.inner; ++i)
      convert(to[base + i], from[base + i], scale);
  });
}

/// int8 weights, channel by channel. [..., n, ...]: the elements of channel n
/// in row-major order; dimensions behind the second are a convolution's taps.
static void quantizeWeights(MLIRContext *context, RankedTensorType type,
                            const WeightFormat &format, const float *from,
                            int8_t *to) {
  AxisView view(type.getShape(), format.axis);
  int64_t taps = efc::ef::getNumElements(
      type.getShape().drop_front(std::min<int64_t>(type.getRank(), 2)));
  int64_t count = view.outer * view.inner;
  // Neighbouring channels of a matrix [k, n] share cache lines.
  constexpr int64_t kChannels = 16;
  parallelFor(
      context, 0, llvm::divideCeil(view.extent, kChannels), [&](size_t task) {
        int64_t first = static_cast<int64_t>(task) * kChannels,
                channels = std::min(kChannels, view.extent - first);
        std::vector<float> weights(channels * count);
        std::vector<int8_t> rounded(channels * count);
        auto forEachElement = [&](auto &&visit) {
          for (int64_t outer = 0; outer < view.outer; ++outer)
            for (int64_t c = 0; c < channels; ++c)
              for (int64_t i = 0; i < view.inner; ++i)
                visit(c * count + outer * view.inner + i,
                      (outer * view.extent + first + c) * view.inner + i);
        };
        forEachElement(
            [&](int64_t own, int64_t at) { weights[own] = from[at]; });
        for (int64_t c = 0; c < channels; ++c)
          roundChannel(weights.data() + c * count, count, taps,
                       static_cast<float>(format.scales[first + c]),
                       rounded.data() + c * count);
        forEachElement([&](int64_t own, int64_t at) { to[at] = rounded[own]; });
      });
}

template <typename T> static const T *getData(const HostTensor &tensor) {
  return reinterpret_cast<const T *>(tensor.getBytes().data());
}

template <typename T> static T *getMutableData(HostTensor &tensor) {
  return reinterpret_cast<T *>(tensor.getMutableBytes().data());
}

/// Elements of a borrowed tensor may stand at any byte.
static HostTensor alignElements(const HostTensor &tensor) {
  if (reinterpret_cast<uintptr_t>(tensor.getBytes().data()) % alignof(float) ==
      0)
    return tensor;
  HostTensor copy(tensor.getType());
  llvm::copy(tensor.getBytes(), copy.getMutableBytes().begin());
  return copy;
}

static LogicalResult refuse(Operation *op, Type quantized) {
  return op->emitOpError()
         << "converts to and from symmetric int16 with one scale, or symmetric "
            "int8 with one scale an index of an axis, but has "
         << quantized;
}

namespace {
struct QuantizeModel
    : EvaluableOpInterface::ExternalModel<QuantizeModel,
                                          quant::QuantizeCastOp> {
  LogicalResult evaluate(Operation *op, ArrayRef<HostTensor> operands,
                         SmallVectorImpl<HostTensor> &results) const {
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    HostTensor result(type), input = alignElements(operands[0]);
    const float *from = getData<float>(input);
    if (std::optional<WeightFormat> weights = getWeightFormat(type)) {
      quantizeWeights(op->getContext(), type, *weights, from,
                      getMutableData<int8_t>(result));
    } else if (auto format = getActivationFormat(type)) {
      float inverse = numerics::invert(format->scale);
      int32_t limit = format->limit;
      auto *to = getMutableData<int16_t>(result);
      forEachRange(op->getContext(), type.getNumElements(),
                   [=](int64_t first, int64_t last) {
                     for (int64_t i = first; i < last; ++i)
                       to[i] = static_cast<int16_t>(
                           numerics::quantize(from[i], inverse, limit));
                   });
    } else {
      return refuse(op, type);
    }
    results.push_back(result);
    return success();
  }
};

struct DequantizeModel
    : EvaluableOpInterface::ExternalModel<DequantizeModel,
                                          quant::DequantizeCastOp> {
  LogicalResult evaluate(Operation *op, ArrayRef<HostTensor> operands,
                         SmallVectorImpl<HostTensor> &results) const {
    RankedTensorType type = operands[0].getType();
    HostTensor result(cast<RankedTensorType>(op->getResult(0).getType()));
    HostTensor input = alignElements(operands[0]);
    auto *to = getMutableData<float>(result);
    if (std::optional<WeightFormat> weights = getWeightFormat(type)) {
      convertPerAxis(op->getContext(), type, *weights, getData<int8_t>(input),
                     to, [](float &x, int8_t q, float scale) {
                       x = numerics::dequantize(q, scale);
                     });
    } else if (auto format = getActivationFormat(type)) {
      const auto *from = getData<int16_t>(input);
      float scale = format->scale;
      forEachRange(op->getContext(), type.getNumElements(),
                   [=](int64_t first, int64_t last) {
                     for (int64_t i = first; i < last; ++i)
                       to[i] = numerics::dequantize(from[i], scale);
                   });
    } else {
      return refuse(op, type);
    }
    results.push_back(result);
    return success();
  }
};
} // namespace

void efc::ef::attachQuantizedCastModels(MLIRContext &context) {
  quant::QuantizeCastOp::attachInterface<QuantizeModel>(context);
  quant::DequantizeCastOp::attachInterface<DequantizeModel>(context);
}
