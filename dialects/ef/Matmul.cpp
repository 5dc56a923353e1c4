// ef.matmul: shape inference and reference evaluation.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"

#include "mlir/IR/Threading.h"

using namespace mlir;
using namespace efc::ef;

/// The element type of a product of sums: the operands', or i32 for narrow
/// integers, which may then differ in sign. Null if there is none.
static Type getProductType(Type a, Type b) {
  auto isNarrow = [](Type type) {
    auto integer = dyn_cast<IntegerType>(type);
    return integer && (integer.getWidth() == 8 || integer.getWidth() == 16);
  };
  if (isNarrow(a) && isNarrow(b))
    return IntegerType::get(a.getContext(), 32);
  return a == b && !a.isInteger(1) ? a : Type();
}

/// What keeps quantised operands from being multiplied, or "".
static std::string checkQuantizedOperands(RankedTensorType a,
                                          RankedTensorType b, bool transposeA,
                                          bool transposeB) {
  if (!getActivationFormat(a) || transposeA)
    return "the first must be an int16 activation with one scale, not "
           "transposed";
  std::optional<WeightFormat> weights = getWeightFormat(b);
  if (!weights || b.getRank() != 2)
    return "the second must be an int8 matrix of weights with one scale an "
           "output channel";
  int64_t axis = transposeB ? 0 : 1;
  if (weights->axis != axis)
    return "the scales of the weights lie along dimension " +
           std::to_string(weights->axis) + ", but output channels along " +
           std::to_string(axis);
  return "";
}

LogicalResult MatmulOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto a = cast<RankedTensorType>(adaptor.getA().getType()),
       b = cast<RankedTensorType>(adaptor.getB().getType());
  if (a.getRank() < 2 || b.getRank() < 2)
    return emitOptionalError(
        location,
        "matmul needs operands of rank 2 or more, but they have shapes ",
        formatShape(a.getShape()), " and ", formatShape(b.getShape()));
  Type element = getProductType(a.getElementType(), b.getElementType());
  if (isQuantized(a) || isQuantized(b)) {
    std::string problem = checkQuantizedOperands(a, b, adaptor.getTransposeA(),
                                                 adaptor.getTransposeB());
    if (!problem.empty())
      return emitOptionalError(location,
                               "matmul of quantised operands: ", problem,
                               "; they are ", a, " and ", b);
    element = Float32Type::get(context);
  }
  if (!element)
    return emitOptionalError(location, "matmul: operands of type ",
                             a.getElementType(), " and ", b.getElementType(),
                             " cannot be multiplied; cast one of them");
  Shape shapeA(a.getShape()), shapeB(b.getShape());
  if (adaptor.getTransposeA())
    std::swap(shapeA[shapeA.size() - 1], shapeA[shapeA.size() - 2]);
  if (adaptor.getTransposeB())
    std::swap(shapeB[shapeB.size() - 1], shapeB[shapeB.size() - 2]);
  if (shapeA.back() != shapeB[shapeB.size() - 2])
    return emitOptionalError(location, "matmul: the operands' shapes ",
                             formatShape(a.getShape()),
                             adaptor.getTransposeA() ? " (transposed)" : "",
                             " and ", formatShape(b.getShape()),
                             adaptor.getTransposeB() ? " (transposed)" : "",
                             " do not fit: ", shapeA.back(), " columns meet ",
                             shapeB[shapeB.size() - 2], " rows");
  std::optional<Shape> shape =
      broadcastShapes(ArrayRef<int64_t>(shapeA).drop_back(2),
                      ArrayRef<int64_t>(shapeB).drop_back(2));
  if (!shape)
    return emitOptionalError(location,
                             "matmul: the batch dimensions of shapes ",
                             formatShape(a.getShape()), " and ",
                             formatShape(b.getShape()), " do not broadcast");
  shape->push_back(shapeA[shapeA.size() - 2]);
  shape->push_back(shapeB.back());
  types.push_back(RankedTensorType::get(*shape, element));
  return success();
}

LogicalResult MatmulOp::verify() { return success(); }

/// All matrices of `tensor`, the last two dimensions swapped if `transpose`.
template <typename T>
static std::vector<T> readMatrices(const HostTensor &tensor, bool transpose) {
  std::vector<T> values = readValues<T>(tensor);
  if (!transpose)
    return values;
  int64_t rows = tensor.getShape().end()[-2],
          columns = tensor.getShape().end()[-1];
  std::vector<T> swapped(values.size());
  for (int64_t base = 0, e = values.size(); base < e; base += rows * columns)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        swapped[base + j * rows + i] = values[base + i * columns + j];
  return swapped;
}

/// Index of the matrix that batch `batch` of a result with batch dimensions
/// `target` takes from a tensor of shape `shape`.
static int64_t getMatrixIndex(int64_t batch, ArrayRef<int64_t> target,
                              ArrayRef<int64_t> shape) {
  Shape strides = getBroadcastStrides(shape.drop_back(2), target);
  int64_t index = 0;
  for (size_t dim = target.size(); dim-- > 0; batch /= target[dim])
    index += batch % target[dim] * strides[dim];
  return index;
}

template <typename T>
static HostTensor multiply(MatmulOp op, const HostTensor &a,
                           const HostTensor &b) {
  std::vector<T> left = readMatrices<T>(a, op.getTransposeA()),
                 right = readMatrices<T>(b, op.getTransposeB());
  ArrayRef<int64_t> shape = op.getType().getShape();
  int64_t m = shape.end()[-2], n = shape.end()[-1];
  int64_t k =
      op.getTransposeA() ? a.getShape().end()[-2] : a.getShape().end()[-1];
  ArrayRef<int64_t> batches = shape.drop_back(2);
  std::vector<T> sums(efc::ef::getNumElements(shape));
  parallelFor(
      op.getContext(), 0, efc::ef::getNumElements(batches) * m,
      [&](size_t row) {
        int64_t batch = row / m;
        const T *leftRow =
            left.data() +
            (getMatrixIndex(batch, batches, a.getShape()) * m + row % m) * k;
        const T *rightMatrix =
            right.data() + getMatrixIndex(batch, batches, b.getShape()) * k * n;
        T *sum = sums.data() + row * n;
        for (int64_t inner = 0; inner < k; ++inner)
          for (int64_t column = 0; column < n; ++column)
            sum[column] += leftRow[inner] * rightMatrix[inner * n + column];
      });
  return makeTensor<T>(op.getType(), sums);
}

LogicalResult MatmulOp::evaluate(ArrayRef<HostTensor> operands,
                                 SmallVectorImpl<HostTensor> &results) {
  if (isQuantized(getA().getType())) {
    results.push_back(evaluateQuantized(*this, operands));
    return success();
  }
  // Integers wrap around, so the unsigned type serves both signs.
  bool isFloat = isa<FloatType>(getType().getElementType());
  results.push_back(isFloat
                        ? multiply<double>(*this, operands[0], operands[1])
                        : multiply<uint64_t>(*this, operands[0], operands[1]));
  return success();
}
