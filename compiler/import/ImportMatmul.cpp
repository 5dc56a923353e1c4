// Matrix products: MatMul, Gemm, MatMulInteger, QLinearMatMul. Einsum has a
// file of its own.
#include "compiler/import/Quantization.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;

/// numpy's matmul: a vector is a row on the left, a column on the right, and
/// its dimension does not appear in the result.
static Value multiply(NodeImporter &node, Value a, Value b) {
  if (!a || !b)
    return Value();
  if (node.getRank(a) == 0 || node.getRank(b) == 0)
    return node.failValue("scalars cannot be multiplied as matrices");
  bool isRow = node.getRank(a) == 1, isColumn = node.getRank(b) == 1;
  if (isRow)
    a = node.reshape(a, {1, node.getShape(a)[0]});
  if (isColumn)
    b = node.reshape(b, {node.getShape(b)[0], 1});
  Value product = node.matmul(a, b);
  if (!product || (!isRow && !isColumn))
    return product;
  Shape shape(node.getShape(product));
  if (isColumn)
    shape.pop_back();
  if (isRow)
    shape.erase(shape.end() - (isColumn ? 1 : 2));
  return node.reshape(product, shape);
}

static LogicalResult importMatMul(NodeImporter &node) {
  return node.setResult(multiply(node, node.getInput(0), node.getInput(1)));
}

/// alpha * A' * B' + beta * C.
static LogicalResult importGemm(NodeImporter &node) {
  Value a = node.getInput(0), b = node.getInput(1);
  if (!a || !b)
    return failure();
  if (node.getRank(a) != 2 || node.getRank(b) != 2)
    return node.fail("its operands A and B must be matrices");
  Value result = node.matmul(a, b, node.getInt("transA", 0) != 0,
                             node.getInt("transB", 0) != 0);
  if (double alpha = node.getFloat("alpha", 1); alpha != 1)
    result = node.binary(BinaryKind::Mul, result, alpha);
  double beta = node.getFloat("beta", 1);
  if (!node.hasInput(2) || beta == 0)
    return node.setResult(result);
  Value c = node.getInput(2);
  if (beta != 1)
    c = node.binary(BinaryKind::Mul, c, beta);
  if (result && c && !ef::broadcastsTo(node.getShape(c), node.getShape(result)))
    return node.fail("its operand C " + ef::formatShape(node.getShape(c)) +
                     " does not broadcast to the product's shape " +
                     ef::formatShape(node.getShape(result)));
  return node.setResult(node.binary(BinaryKind::Add, result, c));
}

/// Zero points of rows of A and of columns of B.
static Value multiplyIntegers(NodeImporter &node, size_t a, size_t aZero,
                              size_t b, size_t bZero) {
  Value left = node.getInput(a), right = node.getInput(b);
  if (!left || !right)
    return Value();
  return multiply(
      node,
      subtractZeroPoint(node, left, aZero,
                        std::max<int64_t>(node.getRank(left) - 2, 0)),
      subtractZeroPoint(node, right, bZero,
                        std::max<int64_t>(node.getRank(right) - 1, 0)));
}

static LogicalResult importMatMulInteger(NodeImporter &node) {
  return node.setResult(multiplyIntegers(node, 0, 2, 1, 3));
}

static LogicalResult importQLinearMatMul(NodeImporter &node) {
  // a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point
  Value product = multiplyIntegers(node, 0, 2, 3, 5);
  Value scaleA = node.getInput(1), scaleB = node.getInput(4);
  if (!product || !scaleA || !scaleB)
    return failure();
  int64_t rank = node.getRank(product);
  if (node.getType(scaleA).getNumElements() > 1 && rank >= 2)
    scaleA = node.alongAxis(scaleA, rank - 2, rank);
  if (node.getType(scaleB).getNumElements() > 1 && rank >= 1)
    scaleB = node.alongAxis(scaleB, rank - 1, rank);
  Value scale = node.binary(BinaryKind::Mul, node.cast(scaleA, node.getF32()),
                            node.cast(scaleB, node.getF32()));
  return node.setResult(
      requantize(node, product, scale, node.getInput(6), node.getInput(7)));
}

ArrayRef<OpEntry> importer::getMatmulOps() {
  static constexpr OpEntry kOps[] = {
      {"MatMul", importMatMul},
      {"Gemm", importGemm},
      {"MatMulInteger", importMatMulInteger},
      {"QLinearMatMul", importQLinearMatMul},
  };
  return kOps;
}
