// Element-wise operations: unary, binary, select, cast. Their scalar functions
// are in Scalar.h.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Scalar.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace efc::ef;

static RankedTensorType getTensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

//===--- unary
//--------------------------------------------------------------------------------------------------------------------------===//

static Type getUnaryElementType(UnaryKind kind, Type input) {
  bool isTest = kind == UnaryKind::IsNan || kind == UnaryKind::IsInf;
  return isTest ? IntegerType::get(input.getContext(), 1) : input;
}

void UnaryOp::build(OpBuilder &builder, OperationState &state, UnaryKind kind,
                    Value input) {
  RankedTensorType type = getTensorType(input);
  build(builder, state,
        type.clone(getUnaryElementType(kind, type.getElementType())), kind,
        input);
}

static bool acceptsUnaryType(UnaryKind kind, Type type) {
  switch (kind) {
  case UnaryKind::Not:
    return type.isInteger(1);
  case UnaryKind::BitNot:
    return isa<IntegerType>(type) && !type.isInteger(1);
  case UnaryKind::Abs:
  case UnaryKind::Neg:
  case UnaryKind::Sign:
  case UnaryKind::Relu:
    return isa<FloatType, IntegerType>(type) && !type.isInteger(1);
  default:
    return isa<FloatType>(type);
  }
}

LogicalResult UnaryOp::verify() {
  RankedTensorType input = getInput().getType();
  if (!acceptsUnaryType(getKind(), input.getElementType()))
    return emitOpError() << stringifyUnaryKind(getKind())
                         << " is not defined for elements of type "
                         << input.getElementType();
  RankedTensorType expected =
      input.clone(getUnaryElementType(getKind(), input.getElementType()));
  if (getType() != expected)
    return emitOpError() << "gives " << expected << " for an operand of type "
                         << input << ", but its result is declared as "
                         << getType();
  return success();
}

LogicalResult UnaryOp::evaluate(ArrayRef<HostTensor> operands,
                                SmallVectorImpl<HostTensor> &results) {
  const HostTensor &input = operands[0];
  HostTensor result(getType());
  int64_t count = input.getNumElements();
  if (isa<FloatType>(input.getElementType())) {
    for (int64_t i = 0; i < count; ++i)
      storeValue(result, i, applyUnary(getKind(), input.getFloat(i)));
  } else {
    for (int64_t i = 0; i < count; ++i)
      storeValue(result, i, applyUnary(getKind(), input.getInt(i)));
  }
  results.push_back(result);
  return success();
}

OpFoldResult UnaryOp::fold(FoldAdaptor adaptor) {
  auto inner = getInput().getDefiningOp<UnaryOp>();
  if (!inner || inner.getKind() != getKind())
    return {};
  switch (getKind()) {
  case UnaryKind::Neg:
  case UnaryKind::Not:
  case UnaryKind::BitNot:
    return inner.getInput();
  case UnaryKind::Abs:
  case UnaryKind::Relu:
  case UnaryKind::Ceil:
  case UnaryKind::Floor:
  case UnaryKind::Round:
  case UnaryKind::Sign:
    return getInput();
  default:
    return {};
  }
}

//===--- binary
//-------------------------------------------------------------------------------------------------------------------------===//

static bool isComparison(BinaryKind kind) {
  return kind >= BinaryKind::Eq && kind <= BinaryKind::Ge;
}

static Type getBinaryElementType(BinaryKind kind, Type lhs) {
  return isComparison(kind) ? IntegerType::get(lhs.getContext(), 1) : lhs;
}

void BinaryOp::build(OpBuilder &builder, OperationState &state, BinaryKind kind,
                     Value lhs, Value rhs) {
  RankedTensorType lhsType = getTensorType(lhs);
  // Shapes that do not broadcast leave a type that the verifier then explains.
  Shape shape =
      broadcastShapes(lhsType.getShape(), getTensorType(rhs).getShape())
          .value_or(Shape(lhsType.getShape()));
  build(builder, state,
        lhsType.clone(shape,
                      getBinaryElementType(kind, lhsType.getElementType())),
        kind, lhs, rhs);
}

static bool acceptsBinaryType(BinaryKind kind, Type type) {
  bool isBool = type.isInteger(1);
  bool isInteger = isa<IntegerType>(type) && !isBool;
  switch (kind) {
  case BinaryKind::And:
  case BinaryKind::Or:
  case BinaryKind::Xor:
    return isBool;
  case BinaryKind::BitAnd:
  case BinaryKind::BitOr:
  case BinaryKind::BitXor:
  case BinaryKind::ShiftLeft:
  case BinaryKind::ShiftRight:
    return isInteger;
  case BinaryKind::Eq:
  case BinaryKind::Ne:
    return isBool || isInteger || isa<FloatType>(type);
  default:
    return isInteger || isa<FloatType>(type);
  }
}

LogicalResult BinaryOp::verify() {
  RankedTensorType lhs = getLhs().getType(), rhs = getRhs().getType();
  if (!acceptsBinaryType(getKind(), lhs.getElementType()))
    return emitOpError() << stringifyBinaryKind(getKind())
                         << " is not defined for elements of type "
                         << lhs.getElementType();
  bool mayDiffer = getKind() == BinaryKind::Pow &&
                   acceptsBinaryType(getKind(), rhs.getElementType());
  if (lhs.getElementType() != rhs.getElementType() && !mayDiffer)
    return emitOpError()
           << stringifyBinaryKind(getKind())
           << " needs operands of one element type, but they have "
           << lhs.getElementType() << " and " << rhs.getElementType();
  std::optional<Shape> shape = broadcastShapes(lhs.getShape(), rhs.getShape());
  if (!shape)
    return emitOpError() << "the operands' shapes "
                         << formatShape(lhs.getShape()) << " and "
                         << formatShape(rhs.getShape())
                         << " do not broadcast: extents must be equal, or one "
                            "of them 1, counted from the last dimension";
  RankedTensorType expected =
      lhs.clone(*shape, getBinaryElementType(getKind(), lhs.getElementType()));
  if (getType() != expected)
    return emitOpError()
           << "gives " << expected
           << " for these operands, but its result is declared as "
           << getType();
  return success();
}

/// Calls `body(index in result, index in lhs, index in rhs)` for every element
/// of the broadcast result, in row-major order.
template <typename Body>
static void forEachBroadcast(ArrayRef<int64_t> result, ArrayRef<int64_t> lhs,
                             ArrayRef<int64_t> rhs, Body &&body) {
  int64_t count = efc::ef::getNumElements(result);
  if (count == 0)
    return;
  Shape lhsStrides = getBroadcastStrides(lhs, result),
        rhsStrides = getBroadcastStrides(rhs, result);
  Shape position(result.size(), 0);
  int64_t lhsIndex = 0, rhsIndex = 0;
  for (int64_t index = 0; index < count; ++index) {
    body(index, lhsIndex, rhsIndex);
    for (size_t dim = result.size(); dim-- > 0;) {
      lhsIndex += lhsStrides[dim];
      rhsIndex += rhsStrides[dim];
      if (++position[dim] < result[dim])
        break;
      lhsIndex -= lhsStrides[dim] * result[dim];
      rhsIndex -= rhsStrides[dim] * result[dim];
      position[dim] = 0;
    }
  }
}

/// True for the integer operations that have no value for a divisor of zero.
static bool isIntegerDivision(BinaryKind kind, Type type) {
  bool divides = kind == BinaryKind::Div || kind == BinaryKind::Mod ||
                 kind == BinaryKind::Fmod;
  return divides && isa<IntegerType>(type);
}

LogicalResult BinaryOp::evaluate(ArrayRef<HostTensor> operands,
                                 SmallVectorImpl<HostTensor> &results) {
  const HostTensor &lhs = operands[0], &rhs = operands[1];
  BinaryKind kind = getKind();
  if (isIntegerDivision(kind, rhs.getElementType()))
    for (int64_t i = 0, e = rhs.getNumElements(); i < e; ++i)
      if (rhs.getInt(i) == 0)
        return emitOpError() << stringifyBinaryKind(kind)
                             << ": integer division by zero at element " << i
                             << " of the divisor";
  HostTensor result(getType());
  // An integer to a fractional power is a float until it is stored.
  bool floatPower =
      kind == BinaryKind::Pow && isa<FloatType>(rhs.getElementType());
  Type valueType = floatPower ? rhs.getElementType() : lhs.getElementType();
  dispatchValueType(valueType, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> left = readValues<T>(lhs), right = readValues<T>(rhs);
    forEachBroadcast(
        getType().getShape(), lhs.getShape(), rhs.getShape(),
        [&](int64_t index, int64_t i, int64_t j) {
          if (isComparison(kind))
            result.setInt(index, compare(kind, left[i], right[j]));
          else if (floatPower && isa<IntegerType>(lhs.getElementType()))
            result.setInt(index, static_cast<int64_t>(
                                     applyBinary(kind, left[i], right[j])));
          else
            storeValue(result, index, applyBinary(kind, left[i], right[j]));
        });
  });
  results.push_back(result);
  return success();
}

/// True if `attr` is a constant all of whose elements equal `value`.
static bool isSplatOf(Attribute attr, double value) {
  auto elements = dyn_cast_or_null<DenseElementsAttr>(attr);
  if (!elements || !elements.isSplat() ||
      elements.getType().getNumElements() == 0)
    return false;
  if (isa<FloatType>(elements.getElementType()))
    return elements.getSplatValue<APFloat>().convertToDouble() == value;
  if (!isa<IntegerType>(elements.getElementType()))
    return false;
  return elements.getSplatValue<APInt>() ==
         APInt(elements.getElementType().getIntOrFloatBitWidth(),
               static_cast<uint64_t>(value));
}

OpFoldResult BinaryOp::fold(FoldAdaptor adaptor) {
  auto keepsLhs = [&](double neutral) {
    return getLhs().getType() == getType() &&
           isSplatOf(adaptor.getRhs(), neutral);
  };
  auto keepsRhs = [&](double neutral) {
    return getRhs().getType() == getType() &&
           isSplatOf(adaptor.getLhs(), neutral);
  };
  switch (getKind()) {
  case BinaryKind::Add:
  case BinaryKind::Or:
  case BinaryKind::BitOr:
  case BinaryKind::BitXor:
  case BinaryKind::Xor:
    return keepsLhs(0) ? getLhs() : keepsRhs(0) ? getRhs() : OpFoldResult();
  case BinaryKind::Sub:
  case BinaryKind::ShiftLeft:
  case BinaryKind::ShiftRight:
    return keepsLhs(0) ? getLhs() : OpFoldResult();
  case BinaryKind::Mul:
  case BinaryKind::And:
    return keepsLhs(1) ? getLhs() : keepsRhs(1) ? getRhs() : OpFoldResult();
  case BinaryKind::Div:
  case BinaryKind::Pow:
    return keepsLhs(1) ? getLhs() : OpFoldResult();
  default:
    return {};
  }
}

//===--- select
//-------------------------------------------------------------------------------------------------------------------------===//

LogicalResult SelectOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType condition = getTensorType(adaptor.getCondition());
  RankedTensorType onTrue = getTensorType(adaptor.getOnTrue()),
                   onFalse = getTensorType(adaptor.getOnFalse());
  if (onTrue.getElementType() != onFalse.getElementType())
    return emitOptionalError(
        location, "select needs two values of one element type, but they have ",
        onTrue.getElementType(), " and ", onFalse.getElementType());
  std::optional<Shape> shape =
      broadcastShapes(onTrue.getShape(), onFalse.getShape());
  if (shape)
    shape = broadcastShapes(condition.getShape(), *shape);
  if (!shape)
    return emitOptionalError(location, "select: the shapes of condition ",
                             formatShape(condition.getShape()), " and values ",
                             formatShape(onTrue.getShape()), ", ",
                             formatShape(onFalse.getShape()),
                             " do not broadcast");
  types.push_back(onTrue.clone(*shape));
  return success();
}

LogicalResult SelectOp::evaluate(ArrayRef<HostTensor> operands,
                                 SmallVectorImpl<HostTensor> &results) {
  HostTensor result(getType());
  ArrayRef<int64_t> shape = getType().getShape();
  size_t size = getElementBytes(getType().getElementType());
  char *bytes = result.getMutableBytes().data();
  auto copyWhere = [&](const HostTensor &source, bool taken) {
    forEachBroadcast(shape, operands[0].getShape(), source.getShape(),
                     [&](int64_t index, int64_t i, int64_t j) {
                       if ((operands[0].getInt(i) != 0) == taken)
                         std::memcpy(bytes + index * size,
                                     source.getBytes().data() + j * size, size);
                     });
  };
  copyWhere(operands[1], true);
  copyWhere(operands[2], false);
  results.push_back(result);
  return success();
}

//===--- cast
//---------------------------------------------------------------------------------------------------------------------------===//

/// True if every value of type `from` is also a value of type `to`.
static bool isExactCast(Type from, Type to) {
  auto fromFloat = dyn_cast<FloatType>(from), toFloat = dyn_cast<FloatType>(to);
  if (fromFloat && toFloat) {
    const llvm::fltSemantics &a = fromFloat.getFloatSemantics(),
                             &b = toFloat.getFloatSemantics();
    return from == to || APFloat::isRepresentableBy(a, b);
  }
  auto fromInteger = dyn_cast<IntegerType>(from);
  if (!fromInteger)
    return false;
  bool isUnsigned = fromInteger.isUnsigned() || fromInteger.getWidth() == 1;
  if (toFloat) {
    // A signed N-bit value has N - 1 significant bits, its minimum is a power
    // of two; the exponent of f16 ends at 15.
    unsigned bits = fromInteger.getWidth() - (isUnsigned ? 0 : 1);
    return bits <= toFloat.getFPMantissaWidth() &&
           fromInteger.getWidth() <= (toFloat.isF16() ? 15u : 64u);
  }
  auto toInteger = dyn_cast<IntegerType>(to);
  if (!toInteger || toInteger.getWidth() == 1)
    return from == to;
  if (isUnsigned)
    return toInteger.isUnsigned()
               ? toInteger.getWidth() >= fromInteger.getWidth()
               : toInteger.getWidth() > fromInteger.getWidth();
  return !toInteger.isUnsigned() &&
         toInteger.getWidth() >= fromInteger.getWidth();
}

LogicalResult CastOp::evaluate(ArrayRef<HostTensor> operands,
                               SmallVectorImpl<HostTensor> &results) {
  const HostTensor &input = operands[0];
  HostTensor result(getType());
  Type from = input.getElementType(), to = getType().getElementType();
  int64_t count = input.getNumElements();
  bool toFloat = isa<FloatType>(to);
  if (isa<FloatType>(from)) {
    for (int64_t i = 0; i < count; ++i) {
      double value = input.getFloat(i);
      if (toFloat)
        result.setFloat(i, value);
      else
        result.setInt(i,
                      to.isInteger(1)
                          ? value != 0
                          : truncateToInteger(value, to.isUnsignedInteger(64)));
    }
  } else {
    bool isUnsigned64 = from.isUnsignedInteger(64);
    for (int64_t i = 0; i < count; ++i) {
      int64_t value = input.getInt(i);
      if (toFloat)
        result.setFloat(
            i, isUnsigned64 ? static_cast<double>(static_cast<uint64_t>(value))
                            : static_cast<double>(value));
      else
        result.setInt(i, to.isInteger(1) ? value != 0 : value);
    }
  }
  results.push_back(result);
  return success();
}

OpFoldResult CastOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  auto inner = getInput().getDefiningOp<CastOp>();
  if (!inner || !isExactCast(inner.getInput().getType().getElementType(),
                             inner.getType().getElementType()))
    return {};
  if (inner.getInput().getType() == getType())
    return inner.getInput();
  getInputMutable().assign(inner.getInput());
  return getResult();
}
