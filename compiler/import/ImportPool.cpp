// Poolings: MaxPool, AveragePool, LpPool and the global ones.
#include "compiler/import/Windows.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;

namespace {
/// A window with what ceil_mode adds at its end.
struct PoolWindow : Window {
  Shape countedPads; ///< The model's own pads.
};
} // namespace

/// With ceil_mode a last, partial window counts if it starts inside the input
/// or its begin pads; the end pads grow so that rounding down finds it.
static void applyCeilMode(PoolWindow &window, ArrayRef<int64_t> inputShape) {
  size_t rank = window.getRank();
  for (size_t i = 0; i < rank; ++i) {
    int64_t extent = inputShape[2 + i], stride = window.strides[i],
            begin = window.pads[i], &end = window.pads[i + rank];
    int64_t covered = (window.kernel[i] - 1) * window.dilations[i] + 1;
    int64_t room = extent + begin + end - covered;
    if (room < 0)
      continue;
    int64_t windows = llvm::divideCeil(room, stride) + 1;
    if ((windows - 1) * stride >= extent + begin)
      --windows;
    end = std::max(end, (windows - 1) * stride + covered - extent - begin);
  }
}

static FailureOr<PoolWindow> getPoolWindow(NodeImporter &node, Value input) {
  std::optional<SmallVector<int64_t>> kernel = node.findInts("kernel_shape");
  if (!input)
    return failure();
  if (!kernel)
    return node.fail("it has no kernel_shape");
  FailureOr<Window> plain = getWindow(node, node.getShape(input), *kernel);
  if (failed(plain))
    return failure();
  PoolWindow window{*plain, plain->pads};
  if (node.getInt("ceil_mode", 0) != 0)
    applyCeilMode(window, node.getShape(input));
  return window;
}

static Value pool(NodeImporter &node, ef::PoolKind kind, Value input,
                  const PoolWindow &window, bool countIncludePad) {
  SmallVector<NamedAttribute> attributes{
      node.attribute(
          "kind", ef::PoolKindAttr::get(node.getBuilder().getContext(), kind)),
      node.intsAttribute("kernel", window.kernel),
      node.intsAttribute("strides", window.strides),
      node.intsAttribute("pads", window.pads),
      node.intsAttribute("counted_pads", window.countedPads),
      node.intsAttribute("dilations", window.dilations)};
  if (countIncludePad)
    attributes.push_back(node.unitAttribute("count_include_pad"));
  return firstResult(node.createInferred<ef::PoolOp>(input, attributes));
}

static LogicalResult importMaxPool(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<PoolWindow> window = getPoolWindow(node, input);
  if (failed(window))
    return failure();
  if (node.wantsOutput(1))
    return node.fail("its second output, the indices of the maxima, is not "
                     "supported");
  return node.setResult(pool(node, ef::PoolKind::Max, input, *window, false));
}

static LogicalResult importAveragePool(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<PoolWindow> window = getPoolWindow(node, input);
  if (failed(window))
    return failure();
  return node.setResult(pool(node, ef::PoolKind::Avg, input, *window,
                             node.getInt("count_include_pad", 0) != 0));
}

/// x to an integer power p >= 1 of its absolute value.
static Value absolutePower(NodeImporter &node, Value input, int64_t p) {
  Value absolute = node.unary(UnaryKind::Abs, input);
  if (p == 1)
    return absolute;
  return p == 2 ? node.binary(BinaryKind::Mul, input, input)
                : node.binary(BinaryKind::Pow, absolute, p);
}

static Value root(NodeImporter &node, Value input, int64_t p) {
  if (p == 1)
    return input;
  return p == 2 ? node.unary(UnaryKind::Sqrt, input)
                : node.binary(BinaryKind::Pow, input, 1.0 / p);
}

/// (sum |x|^p)^(1/p): an average times the number of elements. Outside elements
/// are zeros, so that all windows count as full ones.
static LogicalResult importLpPool(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<PoolWindow> window = getPoolWindow(node, input);
  if (failed(window))
    return failure();
  int64_t p = node.getInt("p", 2);
  if (p < 1)
    return node.fail("its p must be 1 or more");
  // Padding counts in every window, ceil_mode's included.
  window->countedPads = window->pads;
  Value mean = pool(node, ef::PoolKind::Avg, absolutePower(node, input, p),
                    *window, /*countIncludePad=*/true);
  Value sum =
      node.binary(BinaryKind::Mul, mean, ef::getNumElements(window->kernel));
  return node.setResult(root(node, sum, p));
}

/// All spatial dimensions, or nothing if there is none.
static std::optional<SmallVector<int64_t>> getSpatialAxes(NodeImporter &node,
                                                          Value input) {
  if (!input)
    return std::nullopt;
  if (node.getRank(input) < 3)
    return (void)node.fail("its input has no spatial dimensions"), std::nullopt;
  return llvm::to_vector(llvm::seq<int64_t>(2, node.getRank(input)));
}

template <ef::ReduceKind kind>
static LogicalResult importGlobalPool(NodeImporter &node) {
  Value input = node.getInput(0);
  std::optional<SmallVector<int64_t>> axes = getSpatialAxes(node, input);
  return axes ? node.setResult(node.reduce(kind, input, *axes, true))
              : failure();
}

static LogicalResult importGlobalLpPool(NodeImporter &node) {
  Value input = node.getInput(0);
  std::optional<SmallVector<int64_t>> axes = getSpatialAxes(node, input);
  int64_t p = node.getInt("p", 2);
  if (!axes)
    return failure();
  if (p < 1)
    return node.fail("its p must be 1 or more");
  Value sum = node.reduce(ef::ReduceKind::Sum, absolutePower(node, input, p),
                          *axes, true);
  return node.setResult(root(node, sum, p));
}

ArrayRef<OpEntry> importer::getPoolOps() {
  static constexpr OpEntry kOps[] = {
      {"MaxPool", importMaxPool},
      {"AveragePool", importAveragePool},
      {"LpPool", importLpPool},
      {"GlobalAveragePool", importGlobalPool<ef::ReduceKind::Mean>},
      {"GlobalMaxPool", importGlobalPool<ef::ReduceKind::Max>},
      {"GlobalLpPool", importGlobalLpPool},
  };
  return kOps;
}
