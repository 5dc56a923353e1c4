// ef.resize: ONNX's Resize. Interpolation is separable: one weighted sum along
// each dimension that changes, after the formulas of ONNX's operator
// specification (coordinate_transformation_mode, nearest_mode, cubic_coeff_a,
// exclude_outside, antialias).
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/IndexTables.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/StridedCopy.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace efc::ef;

LogicalResult ResizeOp::verify() {
  auto from = cast<RankedTensorType>(getInput().getType()),
       to = cast<RankedTensorType>(getType());
  int64_t rank = from.getRank();
  if (from.getElementType() != to.getElementType() || to.getRank() != rank)
    return emitOpError() << "must keep element type and rank, but takes "
                         << from << " to " << to;
  if (static_cast<int64_t>(getScales().size()) != rank)
    return emitOpError() << "needs a scale for each of the " << rank
                         << " dimensions of " << from << ", but has "
                         << getScales().size();
  for (auto [dim, scale] : llvm::enumerate(getScales())) {
    if (!(scale > 0) || !std::isfinite(scale))
      return emitOpError() << "has scale " << scale << " in dimension " << dim
                           << "; a scale must be positive";
    if (from.getDimSize(dim) == 0 && to.getDimSize(dim) != 0)
      return emitOpError() << "has no element to interpolate in dimension "
                           << dim << " of " << from;
  }
  if (getCoordinates() == ResizeCoordinates::TfCropAndResize &&
      static_cast<int64_t>(getRoi().size()) != 2 * rank)
    return emitOpError()
           << "with tf_crop_and_resize needs a region of interest of "
           << 2 * rank << " numbers, but has " << getRoi().size();
  if (getAntialias() && getMode() == ResizeMode::Nearest)
    return emitOpError() << "has no antialiasing in mode nearest";
  return success();
}

/// Where result index `index` of dimension `dim` lies in the input.
static double inputCoordinate(ResizeOp op, int64_t dim, int64_t index,
                              int64_t inExtent, int64_t outExtent) {
  double scale = op.getScales()[dim], length = scale * inExtent, x = index;
  switch (op.getCoordinates()) {
  case ResizeCoordinates::HalfPixel:
    return (x + 0.5) / scale - 0.5;
  case ResizeCoordinates::Asymmetric:
    return x / scale;
  case ResizeCoordinates::AlignCorners:
    return length == 1 ? 0 : x * (inExtent - 1) / (length - 1);
  case ResizeCoordinates::PytorchHalfPixel:
    return length == 1 ? -0.5 : (x + 0.5) / scale - 0.5;
  case ResizeCoordinates::HalfPixelSymmetric:
    return inExtent / 2.0 * (1 - outExtent / length) + (x + 0.5) / scale - 0.5;
  case ResizeCoordinates::TfCropAndResize:
    break;
  }
  double start = op.getRoi()[dim],
         end = op.getRoi()[dim + op.getScales().size()];
  double inside = length == 1
                      ? (end - start) * (inExtent - 1) / 2
                      : x * (end - start) * (inExtent - 1) / (length - 1);
  return inside + start * (inExtent - 1);
}

/// Keys' cubic convolution kernel with coefficient `a`.
static double cubicKernel(double x, double a) {
  x = std::fabs(x);
  if (x <= 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0.0;
}

static int64_t roundNearest(ResizeNearest rounding, double x) {
  switch (rounding) {
  case ResizeNearest::RoundPreferFloor:
    return std::ceil(x - 0.5);
  case ResizeNearest::RoundPreferCeil:
    return std::floor(x + 0.5);
  case ResizeNearest::Floor:
    return std::floor(x);
  case ResizeNearest::Ceil:
    return std::ceil(x);
  }
  llvm_unreachable("all roundings are handled");
}

static ResizeSample makeSample(ResizeOp op, int64_t dim, int64_t index,
                               int64_t inExtent, int64_t outExtent) {
  ResizeSample sample;
  double x = inputCoordinate(op, dim, index, inExtent, outExtent);
  if (op.getCoordinates() == ResizeCoordinates::TfCropAndResize)
    sample.extrapolated = x < 0 || x > inExtent - 1;
  if (op.getMode() == ResizeMode::Nearest) {
    sample.first = roundNearest(op.getRounding(), x);
    sample.weights = {1.0};
    return sample;
  }
  // Downsampling with antialiasing stretches the kernel over 1 / scale input
  // elements; the kernel's support is `radius` before that.
  double radius = op.getMode() == ResizeMode::Linear ? 1 : 2;
  double stretch = op.getAntialias() ? std::min(op.getScales()[dim], 1.0) : 1.0;
  // An integral coordinate belongs to the cell on its left, so that the
  // fraction is in (0, 1].
  double left = std::ceil(x) - 1, fraction = x - left;
  int64_t start = static_cast<int64_t>(std::floor(-radius / stretch)) + 1,
          count = 2 - 2 * start;
  sample.first = static_cast<int64_t>(left) + start;
  double cubicCoefficient = op.getCubicCoeffA().convertToDouble(), sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    double distance = (start + i - fraction) * stretch;
    double weight = op.getMode() == ResizeMode::Linear
                        ? std::max(1 - std::fabs(distance), 0.0)
                        : cubicKernel(distance, cubicCoefficient);
    bool outside = sample.first + i < 0 || sample.first + i >= inExtent;
    sample.weights.push_back(op.getExcludeOutside() && outside ? 0.0 : weight);
    sum += sample.weights.back();
  }
  bool normalize = (op.getExcludeOutside() || op.getAntialias()) && sum != 0;
  for (double &weight : sample.weights)
    weight = normalize ? weight / sum : weight;
  return sample;
}

std::vector<ResizeSample> efc::ef::makeResizeSamples(ResizeOp op, int64_t dim) {
  int64_t inExtent =
      cast<RankedTensorType>(op.getInput().getType()).getDimSize(dim);
  int64_t outExtent = cast<RankedTensorType>(op.getType()).getDimSize(dim);
  std::vector<ResizeSample> samples;
  for (int64_t i = 0; i < outExtent; ++i)
    samples.push_back(makeSample(op, dim, i, inExtent, outExtent));
  return samples;
}

bool efc::ef::isResizeUntouched(ResizeOp op, int64_t dim) {
  auto from = cast<RankedTensorType>(op.getInput().getType()),
       to = cast<RankedTensorType>(op.getType());
  bool crops =
      op.getCoordinates() == ResizeCoordinates::TfCropAndResize &&
      (op.getRoi()[dim] != 0 || op.getRoi()[dim + from.getRank()] != 1);
  return from.getDimSize(dim) == to.getDimSize(dim) &&
         std::fabs(op.getScales()[dim] - 1) < 1e-9 && !crops;
}

/// Copies elements, so that every type stays exact.
static HostTensor resizeNearest(ResizeOp op, const HostTensor &input) {
  HostTensor result(cast<RankedTensorType>(op.getType()));
  int64_t rank = input.getShape().size();
  SmallVector<std::vector<ResizeSample>> samples(rank);
  for (int64_t dim = 0; dim < rank; ++dim)
    if (!isResizeUntouched(op, dim))
      samples[dim] = makeResizeSamples(op, dim);
  SmallVector<int64_t> strides = getStrides(input.getShape());
  size_t elementBytes = getElementBytes(input.getElementType());
  int64_t position = 0;
  forEachIndex(result.getShape(), [&](ArrayRef<int64_t> index) {
    int64_t from = 0;
    bool extrapolated = false;
    for (int64_t dim = 0; dim < rank; ++dim) {
      int64_t source = index[dim];
      if (!samples[dim].empty()) {
        extrapolated |= samples[dim][index[dim]].extrapolated;
        source = std::clamp<int64_t>(samples[dim][index[dim]].first, 0,
                                     input.getShape()[dim] - 1);
      }
      from += source * strides[dim];
    }
    if (extrapolated)
      result.setFloat(position, op.getExtrapolationValue().convertToDouble());
    else
      std::memcpy(result.getMutableBytes().data() + position * elementBytes,
                  input.getBytes().data() + from * elementBytes, elementBytes);
    ++position;
  });
  return result;
}

/// Interpolates `values` of `shape` along `dim`; updates `shape`.
static std::vector<double> interpolate(ResizeOp op,
                                       const std::vector<double> &values,
                                       SmallVectorImpl<int64_t> &shape,
                                       int64_t dim) {
  std::vector<ResizeSample> samples = makeResizeSamples(op, dim);
  int64_t outer = 1, inner = 1, inExtent = shape[dim],
          outExtent = samples.size();
  for (int64_t extent : ArrayRef<int64_t>(shape).take_front(dim))
    outer *= extent;
  for (int64_t extent : ArrayRef<int64_t>(shape).drop_front(dim + 1))
    inner *= extent;
  std::vector<double> result(outer * outExtent * inner, 0.0);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < outExtent; ++i) {
      double *out = result.data() + (o * outExtent + i) * inner;
      if (samples[i].extrapolated) {
        std::fill_n(out, inner, op.getExtrapolationValue().convertToDouble());
        continue;
      }
      for (auto [k, weight] : llvm::enumerate(samples[i].weights)) {
        int64_t source =
            std::clamp<int64_t>(samples[i].first + k, 0, inExtent - 1);
        const double *in = values.data() + (o * inExtent + source) * inner;
        for (int64_t j = 0; j < inner; ++j)
          out[j] += weight * in[j];
      }
    }
  shape[dim] = outExtent;
  return result;
}

/// Rounds to the nearest value of an integer type, within its range.
static double saturate(IntegerType type, double value) {
  unsigned bits = type.getWidth();
  double low = type.isUnsigned() ? 0.0 : -std::ldexp(1.0, bits - 1);
  double high = type.isUnsigned() ? std::ldexp(1.0, bits) - 1
                                  : std::ldexp(1.0, bits - 1) - 1;
  return std::clamp(std::nearbyint(value), low, high);
}

LogicalResult ResizeOp::evaluate(ArrayRef<HostTensor> operands,
                                 SmallVectorImpl<HostTensor> &results) {
  const HostTensor &input = operands[0];
  if (getMode() == ResizeMode::Nearest) {
    results.push_back(resizeNearest(*this, input));
    return success();
  }
  std::vector<double> values(input.getNumElements());
  for (int64_t i = 0, e = input.getNumElements(); i < e; ++i)
    values[i] = input.getFloat(i);
  SmallVector<int64_t> shape(input.getShape());
  for (int64_t dim = 0, rank = shape.size(); dim < rank; ++dim)
    if (!isResizeUntouched(*this, dim))
      values = interpolate(*this, values, shape, dim);
  HostTensor result(cast<RankedTensorType>(getType()));
  auto integer = dyn_cast<IntegerType>(result.getElementType());
  for (int64_t i = 0, e = result.getNumElements(); i < e; ++i)
    result.setFloat(i, integer ? saturate(integer, values[i]) : values[i]);
  results.push_back(std::move(result));
  return success();
}
