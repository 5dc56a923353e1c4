// Resize and its predecessor Upsample.
#include "compiler/import/NodeImporter.h"

#include <cmath>

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using ef::HostTensor;

namespace {
/// What a resize does to each dimension.
struct Scaling {
  Shape sizes;
  SmallVector<double> scales, roi;
};
} // namespace

static FailureOr<SmallVector<double>> getFloats(NodeImporter &node,
                                                size_t index, StringRef what) {
  FailureOr<HostTensor> tensor = node.getConstant(index, what);
  if (failed(tensor))
    return failure();
  SmallVector<double> values;
  for (int64_t i = 0, e = tensor->getNumElements(); i < e; ++i)
    values.push_back(tensor->getFloat(i));
  return values;
}

/// The dimensions that scales, sizes and roi speak of.
static FailureOr<Shape> getAxes(NodeImporter &node, int64_t rank) {
  std::optional<SmallVector<int64_t>> given = node.findInts("axes");
  if (!given)
    return Shape(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  Shape axes;
  for (int64_t axis : *given) {
    FailureOr<int64_t> dim = node.normalizeAxis(axis, rank);
    if (failed(dim))
      return failure();
    axes.push_back(*dim);
  }
  return axes;
}

/// Output extents floor(extent * scale), with the model's own factors.
static LogicalResult setScales(NodeImporter &node, ArrayRef<double> factors,
                               ArrayRef<int64_t> axes, ArrayRef<int64_t> from,
                               Scaling &scaling) {
  if (factors.size() != axes.size())
    return node.fail("it has " + llvm::Twine(factors.size()) + " scales for " +
                     llvm::Twine(axes.size()) + " dimensions");
  for (auto [dim, factor] : llvm::zip_equal(axes, factors)) {
    if (!(factor > 0) || factor > 1e6 || from[dim] * factor > 1e12)
      return node.fail("its scales must be positive");
    scaling.scales[dim] = factor;
    scaling.sizes[dim] = static_cast<int64_t>(std::floor(from[dim] * factor));
  }
  return success();
}

/// Output extents as given, or the largest or smallest that keep the aspect.
static LogicalResult setSizes(NodeImporter &node, ArrayRef<int64_t> sizes,
                              ArrayRef<int64_t> axes, ArrayRef<int64_t> from,
                              Scaling &scaling) {
  if (sizes.size() != axes.size())
    return node.fail("it has " + llvm::Twine(sizes.size()) + " sizes for " +
                     llvm::Twine(axes.size()) + " dimensions");
  std::string policy = node.getString("keep_aspect_ratio_policy", "stretch");
  std::optional<double> common;
  for (auto [dim, size] : llvm::zip_equal(axes, sizes)) {
    if (size < 1 || from[dim] < 1)
      return node.fail("its sizes " + ef::formatShape(sizes) +
                       " are not possible");
    double factor = static_cast<double>(size) / from[dim];
    scaling.sizes[dim] = size;
    scaling.scales[dim] = factor;
    common = !common                  ? factor
             : policy == "not_larger" ? std::min(*common, factor)
                                      : std::max(*common, factor);
  }
  if (policy == "stretch")
    return success();
  if (policy != "not_larger" && policy != "not_smaller")
    return node.fail("its keep_aspect_ratio_policy '" + policy +
                     "' is unknown");
  for (int64_t dim : axes) {
    scaling.scales[dim] = common.value_or(1);
    scaling.sizes[dim] =
        static_cast<int64_t>(std::floor(from[dim] * scaling.scales[dim] + 0.5));
  }
  return success();
}

/// Inputs of Resize since opset 11: X, roi, scales, sizes; of Resize-10 and
/// Upsample-9: X, scales. Upsample-7 has scales as an attribute.
static FailureOr<Scaling> getScaling(NodeImporter &node, Value input) {
  ArrayRef<int64_t> from = node.getShape(input);
  Scaling scaling{Shape(from), SmallVector<double>(from.size(), 1.0), {}};
  FailureOr<Shape> axes = getAxes(node, from.size());
  if (failed(axes))
    return failure();
  bool isOld = node.getOpset() < 11 || node.getOpType() == "Upsample";
  size_t scalesIndex = isOld ? 1 : 2;
  if (!isOld && node.hasInput(3)) {
    FailureOr<SmallVector<int64_t>> sizes = node.getConstantInts(3, "sizes");
    if (failed(sizes) || failed(setSizes(node, *sizes, *axes, from, scaling)))
      return failure();
  } else {
    FailureOr<SmallVector<double>> factors =
        node.hasAttribute("scales") ? node.getFloats("scales")
                                    : getFloats(node, scalesIndex, "scales");
    if (failed(factors) ||
        failed(setScales(node, *factors, *axes, from, scaling)))
      return failure();
  }
  if (node.getString("coordinate_transformation_mode", "half_pixel") !=
      "tf_crop_and_resize")
    return scaling;
  FailureOr<SmallVector<double>> roi = getFloats(node, 1, "roi");
  if (failed(roi))
    return failure();
  if (roi->size() != 2 * axes->size())
    return node.fail("its roi must have two numbers for each dimension");
  scaling.roi.assign(from.size(), 0.0);
  scaling.roi.append(from.size(), 1.0);
  for (auto [index, dim] : llvm::enumerate(*axes)) {
    scaling.roi[dim] = (*roi)[index];
    scaling.roi[dim + from.size()] = (*roi)[index + axes->size()];
  }
  return scaling;
}

static LogicalResult importResize(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  FailureOr<Scaling> scaling = getScaling(node, input);
  if (failed(scaling))
    return failure();
  bool isOld = node.getOpset() < 11 || node.getOpType() == "Upsample";
  std::string mode = node.getString("mode", "nearest");
  std::string coordinates = node.getString("coordinate_transformation_mode",
                                           isOld ? "asymmetric" : "half_pixel");
  std::string rounding =
      node.getString("nearest_mode", isOld ? "floor" : "round_prefer_floor");
  // Opset 11's name for half-pixel coordinates of nearest neighbours.
  if (coordinates == "tf_half_pixel_for_nn")
    coordinates = "half_pixel";
  auto modeKind = ef::symbolizeResizeMode(mode);
  auto coordinatesKind = ef::symbolizeResizeCoordinates(coordinates);
  auto roundingKind = ef::symbolizeResizeNearest(rounding);
  if (!modeKind || !coordinatesKind || !roundingKind)
    return node.fail("its mode '" + mode + "', coordinates '" + coordinates +
                     "' or rounding '" + rounding + "' are unknown");
  MLIRContext *context = node.getBuilder().getContext();
  mlir::OpBuilder &builder = node.getBuilder();
  SmallVector<NamedAttribute> attributes{
      node.attribute("mode", ef::ResizeModeAttr::get(context, *modeKind)),
      node.attribute("coordinates",
                     ef::ResizeCoordinatesAttr::get(context, *coordinatesKind)),
      node.attribute("rounding",
                     ef::ResizeNearestAttr::get(context, *roundingKind)),
      node.attribute("scales", builder.getDenseF64ArrayAttr(scaling->scales)),
      node.attribute("roi", builder.getDenseF64ArrayAttr(scaling->roi)),
      node.floatAttribute("cubic_coeff_a",
                          node.getFloat("cubic_coeff_a", -0.75)),
      node.floatAttribute("extrapolation_value",
                          node.getFloat("extrapolation_value", 0))};
  if (node.getInt("exclude_outside", 0) != 0)
    attributes.push_back(node.unitAttribute("exclude_outside"));
  if (node.getInt("antialias", 0) != 0 && *modeKind != ef::ResizeMode::Nearest)
    attributes.push_back(node.unitAttribute("antialias"));
  return node.setResult(firstResult(node.create<ef::ResizeOp>(
      node.getType(input).clone(scaling->sizes), input, attributes)));
}

ArrayRef<OpEntry> importer::getResizeOps() {
  static constexpr OpEntry kOps[] = {
      {"Resize", importResize},
      {"Upsample", importResize},
  };
  return kOps;
}
