// ef.pool: max and average pooling in any number of spatial dimensions.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace efc::ef;

LogicalResult PoolOp::inferReturnTypes(MLIRContext *,
                                       std::optional<Location> location,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  size_t spatial = std::max<int64_t>(input.getRank() - 2, 0);
  if (spatial == 0)
    return emitOptionalError(location,
                             "pool works on inputs of rank 3 or more (batch, "
                             "channels, spatial dimensions), but the input is ",
                             formatShape(input.getShape()));
  if (adaptor.getKernel().size() != spatial ||
      adaptor.getStrides().size() != spatial ||
      adaptor.getDilations().size() != spatial ||
      adaptor.getPads().size() != 2 * spatial ||
      adaptor.getCountedPads().size() != 2 * spatial)
    return emitOptionalError(
        location, "pool with ", spatial,
        " spatial dimensions needs as many kernel extents, strides and "
        "dilations and twice as many pads");
  auto isPositive = [](int64_t value) { return value >= 1; };
  if (!llvm::all_of(adaptor.getKernel(), isPositive) ||
      !llvm::all_of(adaptor.getStrides(), isPositive) ||
      !llvm::all_of(adaptor.getDilations(), isPositive))
    return emitOptionalError(
        location, "pool: kernel, strides and dilations must be 1 or more");
  bool isQuantizedInput = isQuantized(input);
  auto isZero = [](int64_t value) { return value == 0; };
  if (isQuantizedInput &&
      (adaptor.getKind() != PoolKind::Avg || !getActivationFormat(input) ||
       !llvm::all_of(adaptor.getPads(), isZero)))
    return emitOptionalError(location,
                             "pool of quantised values needs int16 ones with "
                             "one scale, and averages without padding");
  if (adaptor.getKind() == PoolKind::Avg && !isQuantizedInput &&
      !isa<FloatType>(input.getElementType()))
    return emitOptionalError(location,
                             "pool avg is not defined for elements of type ",
                             input.getElementType());
  size_t firstSpatial = adaptor.getLayout() == Layout::ChannelsFirst ? 2 : 1;
  Shape shape(input.getShape());
  for (size_t i = 0; i < spatial; ++i) {
    int64_t &extent = shape[firstSpatial + i];
    extent = convOutputExtent(extent, adaptor.getKernel()[i],
                              adaptor.getStrides()[i], adaptor.getPads()[i],
                              adaptor.getPads()[spatial + i],
                              adaptor.getDilations()[i]);
    if (extent <= 0)
      return emitOptionalError(location, "pool: the kernel ",
                               formatShape(adaptor.getKernel()),
                               " does not fit into the padded input ",
                               formatShape(input.getShape()));
  }
  types.push_back(RankedTensorType::get(
      shape, isQuantizedInput ? Type(Float32Type::get(input.getContext()))
                              : input.getElementType()));
  return success();
}

LogicalResult PoolOp::verify() { return success(); }

namespace {
/// Where the windows of a pooling stand, for a tensor with `channelStride` and
/// `spatialStrides` between elements.
struct PoolWindow {
  ArrayRef<int64_t> kernel, windowStrides, pads, countedPads, dilations;
  bool countsPads;
  SmallVector<int64_t> extents, strides;
  size_t spatial;

  explicit PoolWindow(PoolOp op)
      : kernel(op.getKernel()), windowStrides(op.getStrides()),
        pads(op.getPads()), countedPads(op.getCountedPads()),
        dilations(op.getDilations()), countsPads(op.getCountIncludePad()),
        spatial(kernel.size()) {
    ArrayRef<int64_t> shape = op.getInput().getType().getShape();
    Shape all = getStrides(shape);
    size_t first = op.getLayout() == Layout::ChannelsFirst ? 2 : 1;
    extents.assign(shape.begin() + first, shape.begin() + first + spatial);
    strides.assign(all.begin() + first, all.begin() + first + spatial);
  }

  /// Calls `element(offset)` for each element of the window at `position` that
  /// is inside the input. Returns how many of the window's positions an average
  /// divides by.
  template <typename Element>
  int64_t visit(ArrayRef<int64_t> position, Element &&element) const {
    int64_t taps = efc::ef::getNumElements(kernel), inside = 0, counted = 0;
    for (int64_t tap = 0; tap < taps; ++tap) {
      int64_t rest = tap, offset = 0;
      bool isInside = true, isCounted = true;
      for (size_t dim = spatial; dim-- > 0; rest /= kernel[dim]) {
        int64_t at = position[dim] * windowStrides[dim] - pads[dim] +
                     rest % kernel[dim] * dilations[dim];
        isInside &= at >= 0 && at < extents[dim];
        isCounted &= at >= -countedPads[dim] &&
                     at < extents[dim] + countedPads[spatial + dim];
        offset += at * strides[dim];
      }
      inside += isInside;
      counted += isCounted;
      if (isInside)
        element(offset);
    }
    return countsPads ? counted : inside;
  }
};
} // namespace

/// Maximum, average or (of 64-bit integers) sum of each window.
template <typename T>
static HostTensor pool(PoolOp op, const HostTensor &input, bool isSum = false) {
  PoolWindow window(op);
  std::vector<T> values = readValues<T>(input),
                 result(op.getType().getNumElements());
  ArrayRef<int64_t> shape = op.getType().getShape();
  Shape inputStrides = getStrides(input.getShape());
  bool channelsFirst = op.getLayout() == Layout::ChannelsFirst;
  size_t channelDim = channelsFirst ? 1 : shape.size() - 1;
  SmallVector<int64_t> index(shape.size());
  for (size_t flat = 0; flat < result.size(); ++flat) {
    int64_t rest = flat;
    for (size_t dim = shape.size(); dim-- > 0; rest /= shape[dim])
      index[dim] = rest % shape[dim];
    const T *base = values.data() + index[0] * inputStrides[0] +
                    index[channelDim] * inputStrides[channelDim];
    ArrayRef<int64_t> position =
        ArrayRef<int64_t>(index).slice(channelsFirst ? 2 : 1, window.spatial);
    T sum = 0, largest = std::numeric_limits<T>::has_infinity
                             ? -std::numeric_limits<T>::infinity()
                             : std::numeric_limits<T>::lowest();
    int64_t count = window.visit(position, [&](int64_t offset) {
      T value = base[offset];
      sum += value;
      // Also takes NaN, and then keeps it.
      if (!(value <= largest))
        largest = value;
    });
    if (isSum)
      result[flat] = sum;
    else
      result[flat] =
          op.getKind() == PoolKind::Max ? largest : sum / static_cast<T>(count);
  }
  RankedTensorType type = op.getType();
  if (isSum)
    type = type.clone(IntegerType::get(op.getContext(), 64));
  return makeTensor<T>(type, result);
}

/// docs/numerics.md: the exact sum, times s * (1 / count).
static HostTensor averageQuantized(PoolOp op, const HostTensor &input) {
  HostTensor sums = pool<int64_t>(op, input, /*isSum=*/true);
  float count = static_cast<float>(efc::ef::getNumElements(op.getKernel()));
  float factor = getActivationFormat(input.getType())->scale * (1.0f / count);
  HostTensor result(op.getType());
  for (int64_t i = 0, e = result.getNumElements(); i < e; ++i)
    result.setFloat(i, static_cast<float>(sums.getInt(i)) * factor);
  return result;
}

LogicalResult PoolOp::evaluate(ArrayRef<HostTensor> operands,
                               SmallVectorImpl<HostTensor> &results) {
  if (isQuantized(getInput().getType())) {
    results.push_back(averageQuantized(*this, operands[0]));
    return success();
  }
  results.push_back(
      dispatchValueType(getType().getElementType(), [&](auto zero) {
        return pool<decltype(zero)>(*this, operands[0]);
      }));
  return success();
}
