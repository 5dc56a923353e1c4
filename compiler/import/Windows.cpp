// Windows of convolutions and poolings; see Windows.h.
#include "compiler/import/Windows.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;

/// Larger extents, strides and pads are mistakes, and would overflow.
static constexpr int64_t kMaxParameter = int64_t(1) << 18;

/// An attribute with one value in [`low`, kMaxParameter] per entry.
static LogicalResult readParameter(NodeImporter &node, StringRef name,
                                   size_t count, int64_t low, int64_t fallback,
                                   Shape &values) {
  std::optional<SmallVector<int64_t>> given = node.findInts(name);
  values = given ? *given : Shape(count, fallback);
  if (values.size() != count)
    return node.fail("its attribute " + name + " has " +
                     llvm::Twine(values.size()) + " values, but needs " +
                     llvm::Twine(count));
  for (int64_t value : values)
    if (value < low || value > kMaxParameter)
      return node.fail("its attribute " + name + " " + ef::formatShape(values) +
                       " has a value that is not allowed");
  return success();
}

FailureOr<Window> importer::getWindow(NodeImporter &node,
                                      ArrayRef<int64_t> inputShape,
                                      ArrayRef<int64_t> kernel) {
  Window window;
  if (inputShape.size() < 3 || inputShape.size() != kernel.size() + 2)
    return node.fail("its input " + ef::formatShape(inputShape) +
                     " is not [batch, channels, " + llvm::Twine(kernel.size()) +
                     " spatial dimensions]");
  window.kernel.assign(kernel.begin(), kernel.end());
  for (int64_t extent : kernel)
    if (extent < 1 || extent > kMaxParameter)
      return node.fail("its kernel " + ef::formatShape(kernel) +
                       " is not valid");
  size_t rank = kernel.size();
  if (failed(readParameter(node, "strides", rank, 1, 1, window.strides)) ||
      failed(readParameter(node, "dilations", rank, 1, 1, window.dilations)) ||
      failed(readParameter(node, "pads", 2 * rank, 0, 0, window.pads)))
    return failure();
  window.autoPad = node.getString("auto_pad", "NOTSET");
  if (window.autoPad == "NOTSET" || window.autoPad.empty())
    return window;
  window.pads.assign(2 * rank, 0);
  if (window.autoPad == "VALID")
    return window;
  if (window.autoPad != "SAME_UPPER" && window.autoPad != "SAME_LOWER")
    return node.fail("its auto_pad '" + window.autoPad + "' is unknown");
  for (size_t i = 0; i < rank; ++i) {
    // As many windows as the stride divides the input into, rounded up.
    int64_t extent = inputShape[2 + i], stride = window.strides[i];
    int64_t windows = llvm::divideCeil(extent, stride);
    int64_t covered = (windows - 1) * stride +
                      (window.kernel[i] - 1) * window.dilations[i] + 1;
    int64_t total = std::max<int64_t>(covered - extent, 0);
    int64_t small = total / 2, large = total - small;
    bool upper = window.autoPad == "SAME_UPPER";
    window.pads[i] = upper ? small : large;
    window.pads[i + rank] = upper ? large : small;
  }
  return window;
}
