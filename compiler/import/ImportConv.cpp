// Convolutions: Conv, ConvTranspose, ConvInteger, QLinearConv.
#include "compiler/import/Quantization.h"
#include "compiler/import/Windows.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;

/// The kernel's extents, checked against the attribute that may repeat them.
static FailureOr<ArrayRef<int64_t>> getKernel(NodeImporter &node,
                                              Value filter) {
  if (!filter)
    return failure();
  if (node.getRank(filter) < 3)
    return node.fail("its filter " + ef::formatShape(node.getShape(filter)) +
                     " has no spatial dimensions");
  ArrayRef<int64_t> kernel = node.getShape(filter).drop_front(2);
  std::optional<SmallVector<int64_t>> given = node.findInts("kernel_shape");
  if (given && ArrayRef<int64_t>(*given) != kernel)
    return node.fail("its kernel_shape " + ef::formatShape(*given) +
                     " is not that of its filter " +
                     ef::formatShape(node.getShape(filter)));
  return kernel;
}

/// ef.conv of two operands with the node's attributes.
static Value convolve(NodeImporter &node, Value input, Value filter) {
  FailureOr<ArrayRef<int64_t>> kernel = getKernel(node, filter);
  if (!input || failed(kernel))
    return Value();
  FailureOr<Window> window = getWindow(node, node.getShape(input), *kernel);
  if (failed(window))
    return Value();
  return firstResult(node.createInferred<ef::ConvOp>(
      {input, filter}, {node.intsAttribute("strides", window->strides),
                        node.intsAttribute("pads", window->pads),
                        node.intsAttribute("dilations", window->dilations),
                        node.intAttribute("groups", node.getInt("group", 1))}));
}

static Value addBias(NodeImporter &node, Value result, size_t index) {
  if (!result || !node.hasInput(index))
    return result;
  Value bias = node.getInput(index);
  if (node.getRank(bias) != 1 ||
      node.getShape(bias)[0] != node.getShape(result)[1])
    return node.failValue("its bias " + ef::formatShape(node.getShape(bias)) +
                          " does not have one element for each of the " +
                          llvm::Twine(node.getShape(result)[1]) + " channels");
  return node.binary(BinaryKind::Add, result,
                     node.alongAxis(bias, 1, node.getRank(result)));
}

static LogicalResult importConv(NodeImporter &node) {
  Value result = convolve(node, node.getInput(0), node.getInput(1));
  return node.setResult(addBias(node, result, 2));
}

static LogicalResult importConvInteger(NodeImporter &node) {
  return node.setResult(
      convolve(node, subtractZeroPoint(node, node.getInput(0), 2, 1),
               subtractZeroPoint(node, node.getInput(1), 3, 0)));
}

static LogicalResult importQLinearConv(NodeImporter &node) {
  // x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point,
  // B
  Value result = convolve(node, subtractZeroPoint(node, node.getInput(0), 2, 1),
                          subtractZeroPoint(node, node.getInput(3), 5, 0));
  result = addBias(node, result, 8);
  Value filterScale = node.getInput(4);
  if (!result || !filterScale)
    return failure();
  if (node.getType(filterScale).getNumElements() > 1)
    filterScale = node.alongAxis(filterScale, 1, node.getRank(result));
  Value scale = node.binary(BinaryKind::Mul, node.getInput(1), filterScale);
  return node.setResult(
      requantize(node, result, scale, node.getInput(6), node.getInput(7)));
}

/// Pads and output padding of a transposed convolution, where the model gives
/// the output's shape or SAME instead of pads.
static LogicalResult fitOutput(NodeImporter &node, ArrayRef<int64_t> inputShape,
                               Window &window, Shape &outputPadding) {
  size_t rank = window.getRank();
  std::optional<SmallVector<int64_t>> output = node.findInts("output_shape");
  bool isSame =
      window.autoPad == "SAME_UPPER" || window.autoPad == "SAME_LOWER";
  if (output && output->size() == rank + 2)
    output->erase(output->begin(), output->begin() + 2);
  if (output && output->size() != rank)
    return node.fail("its output_shape has " + llvm::Twine(output->size()) +
                     " extents for " + llvm::Twine(rank) +
                     " spatial dimensions");
  if (!output && !isSame)
    return success();
  for (size_t i = 0; i < rank; ++i) {
    int64_t extent = inputShape[2 + i];
    int64_t wanted = output ? (*output)[i] : extent * window.strides[i];
    if (wanted < 1 || wanted > (int64_t(1) << 40))
      return node.fail("its output_shape " + ef::formatShape(*output) +
                       " is not possible");
    int64_t full = ef::convTransposeOutputExtent(
        extent, window.kernel[i], window.strides[i], 0, 0, window.dilations[i],
        outputPadding[i]);
    // Elements beyond the full extent are additional output padding.
    int64_t total = full - wanted;
    outputPadding[i] += std::max<int64_t>(-total, 0);
    total = std::max<int64_t>(total, 0);
    bool upper = window.autoPad == "SAME_UPPER";
    window.pads[i] = upper ? total / 2 : total - total / 2;
    window.pads[i + rank] = total - window.pads[i];
  }
  return success();
}

static LogicalResult importConvTranspose(NodeImporter &node) {
  Value input = node.getInput(0), filter = node.getInput(1);
  FailureOr<ArrayRef<int64_t>> kernel = getKernel(node, filter);
  if (!input || failed(kernel))
    return failure();
  FailureOr<Window> window = getWindow(node, node.getShape(input), *kernel);
  if (failed(window))
    return failure();
  Shape outputPadding =
      node.findInts("output_padding").value_or(Shape(window->getRank(), 0));
  if (outputPadding.size() != window->getRank())
    return node.fail("its output_padding has " +
                     llvm::Twine(outputPadding.size()) + " values for " +
                     llvm::Twine(window->getRank()) + " spatial dimensions");
  for (int64_t padding : outputPadding)
    if (padding < 0 || padding > (1 << 18))
      return node.fail("its output_padding " + ef::formatShape(outputPadding) +
                       " has a value that is not allowed");
  if (failed(fitOutput(node, node.getShape(input), *window, outputPadding)))
    return failure();
  Value result = firstResult(node.createInferred<ef::ConvTransposeOp>(
      {input, filter}, {node.intsAttribute("strides", window->strides),
                        node.intsAttribute("pads", window->pads),
                        node.intsAttribute("dilations", window->dilations),
                        node.intsAttribute("output_padding", outputPadding),
                        node.intAttribute("groups", node.getInt("group", 1))}));
  return node.setResult(addBias(node, result, 2));
}

ArrayRef<OpEntry> importer::getConvOps() {
  static constexpr OpEntry kOps[] = {
      {"Conv", importConv},
      {"ConvTranspose", importConvTranspose},
      {"ConvInteger", importConvInteger},
      {"QLinearConv", importQLinearConv},
  };
  return kOps;
}
