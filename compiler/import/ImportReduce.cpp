// Reductions: Reduce*, ArgMax, ArgMin, CumSum, TopK.
#include "compiler/import/NodeImporter.h"

#include <limits>

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using ef::ReduceKind;

namespace {
/// Over what a Reduce* node reduces.
struct Reduction {
  Value input;
  Shape axes;
  bool keepDims = true, isIdentity = false;
};
} // namespace

static FailureOr<Reduction> getReduction(NodeImporter &node) {
  Reduction reduction;
  reduction.input = node.getInput(0);
  reduction.keepDims = node.getInt("keepdims", 1) != 0;
  auto given = node.getIntsFromInputOrAttribute(1, "axes");
  if (!reduction.input || failed(given))
    return failure();
  int64_t rank = node.getRank(reduction.input);
  if (!*given || (*given)->empty()) {
    reduction.isIdentity = node.getInt("noop_with_empty_axes", 0) != 0;
    if (!reduction.isIdentity)
      reduction.axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    return reduction;
  }
  for (int64_t axis : **given) {
    FailureOr<int64_t> dim = node.normalizeAxis(axis, rank);
    if (failed(dim))
      return failure();
    if (llvm::is_contained(reduction.axes, *dim))
      return node.fail("its axis " + llvm::Twine(axis) + " appears twice");
    reduction.axes.push_back(*dim);
  }
  llvm::sort(reduction.axes);
  return reduction;
}

static Value reduce(NodeImporter &node, ReduceKind kind, Value input,
                    const Reduction &reduction) {
  return reduction.isIdentity
             ? input
             : node.reduce(kind, input, reduction.axes, reduction.keepDims);
}

template <ReduceKind kind>
static LogicalResult importReduce(NodeImporter &node) {
  FailureOr<Reduction> reduction = getReduction(node);
  if (failed(reduction))
    return failure();
  Value input = reduction->input;
  // Largest and smallest of booleans are those of the numbers 0 and 1.
  bool isBool = node.getElementType(input).isInteger(1);
  if (isBool)
    input = node.cast(input, node.getBuilder().getIntegerType(8, false));
  Value result = reduce(node, kind, input, *reduction);
  return node.setResult(isBool ? node.cast(result, node.getBool()) : result);
}

static LogicalResult importReduceL1(NodeImporter &node) {
  FailureOr<Reduction> reduction = getReduction(node);
  if (failed(reduction))
    return failure();
  return node.setResult(reduce(node, ReduceKind::Sum,
                               node.unary(UnaryKind::Abs, reduction->input),
                               *reduction));
}

static Value sumOfSquares(NodeImporter &node, const Reduction &reduction) {
  return reduce(node, ReduceKind::Sum,
                node.binary(BinaryKind::Mul, reduction.input, reduction.input),
                reduction);
}

static LogicalResult importReduceSumSquare(NodeImporter &node) {
  FailureOr<Reduction> reduction = getReduction(node);
  return failed(reduction) ? failure()
                           : node.setResult(sumOfSquares(node, *reduction));
}

/// A function of a sum that integers have no equivalent of.
static Value unaryInFloat(NodeImporter &node, UnaryKind kind, Value input) {
  if (!input || node.isFloat(input))
    return node.unary(kind, input);
  Type element = node.getElementType(input);
  return node.cast(node.unary(kind, node.cast(input, node.getF32())), element);
}

static LogicalResult importReduceL2(NodeImporter &node) {
  FailureOr<Reduction> reduction = getReduction(node);
  if (failed(reduction))
    return failure();
  return node.setResult(
      unaryInFloat(node, UnaryKind::Sqrt, sumOfSquares(node, *reduction)));
}

static LogicalResult importReduceLogSum(NodeImporter &node) {
  FailureOr<Reduction> reduction = getReduction(node);
  if (failed(reduction))
    return failure();
  return node.setResult(unaryInFloat(
      node, UnaryKind::Log,
      reduce(node, ReduceKind::Sum, reduction->input, *reduction)));
}

/// log(sum(exp(x - m))) + m with the maximum m, so that exp does not overflow.
static LogicalResult importReduceLogSumExp(NodeImporter &node) {
  FailureOr<Reduction> reduction = getReduction(node);
  if (failed(reduction))
    return failure();
  Value input = reduction->input;
  if (reduction->isIdentity)
    return node.setResult(input);
  if (node.getType(input).getNumElements() == 0) {
    Value sum = reduce(node, ReduceKind::Sum, input, *reduction);
    return node.setResult(node.unary(UnaryKind::Log, sum));
  }
  Value highest =
      node.reduce(ReduceKind::Max, input, reduction->axes, /*keepDims=*/true);
  // Of -inf only, where the difference would be NaN.
  double largest = std::numeric_limits<float>::max();
  Value finite = node.binary(BinaryKind::Max, highest, -largest);
  Value sum = node.reduce(
      ReduceKind::Sum,
      node.unary(UnaryKind::Exp, node.binary(BinaryKind::Sub, input, finite)),
      reduction->axes, /*keepDims=*/true);
  Value result =
      node.binary(BinaryKind::Add, node.unary(UnaryKind::Log, sum), finite);
  if (reduction->keepDims || !result)
    return node.setResult(result);
  Shape shape;
  for (auto [dim, extent] : llvm::enumerate(node.getShape(input)))
    if (!llvm::is_contained(reduction->axes, static_cast<int64_t>(dim)))
      shape.push_back(extent);
  return node.setResult(node.reshape(result, shape));
}

static LogicalResult importArgReduce(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  FailureOr<int64_t> axis = node.getAxis("axis", 0, node.getRank(input));
  if (failed(axis))
    return failure();
  return node.setResult(node.argReduce(
      input, *axis, node.getInt("keepdims", 1) != 0,
      node.getOpType() == "ArgMin", node.getInt("select_last_index", 0) != 0));
}

static LogicalResult importCumSum(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<SmallVector<int64_t>> axes = node.getConstantInts(1, "axis");
  if (!input || failed(axes))
    return failure();
  if (axes->size() != 1)
    return node.fail("its axis must be a scalar");
  FailureOr<int64_t> axis =
      node.normalizeAxis(axes->front(), node.getRank(input));
  if (failed(axis))
    return failure();
  SmallVector<NamedAttribute> attributes{node.intAttribute("axis", *axis)};
  for (StringRef flag : {"exclusive", "reverse"})
    if (node.getInt(flag, 0) != 0)
      attributes.push_back(node.unitAttribute(flag));
  return node.setResult(firstResult(
      node.create<ef::CumSumOp>(node.getType(input), input, attributes)));
}

static LogicalResult importTopK(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  FailureOr<SmallVector<int64_t>> k = node.getConstantInts(1, "K");
  FailureOr<int64_t> axis = node.getAxis("axis", -1, node.getRank(input));
  if (failed(k) || failed(axis))
    return failure();
  if (k->size() != 1)
    return node.fail("its K must be a scalar");
  SmallVector<NamedAttribute> attributes{node.intAttribute("k", k->front()),
                                         node.intAttribute("axis", *axis)};
  if (node.getInt("largest", 1) == 0)
    attributes.push_back(node.unitAttribute("smallest"));
  Operation *op = node.createInferred<ef::TopKOp>(input, attributes);
  if (!op || failed(node.setResult(0, op->getResult(0))))
    return failure();
  return node.setResult(1, op->getResult(1));
}

ArrayRef<OpEntry> importer::getReduceOps() {
  static constexpr OpEntry kOps[] = {
      {"ReduceSum", importReduce<ReduceKind::Sum>},
      {"ReduceMean", importReduce<ReduceKind::Mean>},
      {"ReduceMax", importReduce<ReduceKind::Max>},
      {"ReduceMin", importReduce<ReduceKind::Min>},
      {"ReduceProd", importReduce<ReduceKind::Prod>},
      {"ReduceL1", importReduceL1},
      {"ReduceL2", importReduceL2},
      {"ReduceSumSquare", importReduceSumSquare},
      {"ReduceLogSum", importReduceLogSum},
      {"ReduceLogSumExp", importReduceLogSumExp},
      {"ArgMax", importArgReduce},
      {"ArgMin", importArgReduce},
      {"CumSum", importCumSum},
      {"TopK", importTopK},
  };
  return kOps;
}
