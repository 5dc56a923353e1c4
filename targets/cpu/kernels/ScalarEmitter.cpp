// See ScalarEmitter.h. The approximations are in ScalarEmitterMath; here is
// which function an operation stands for, for each element type.
//
// Where ONNX leaves the value open, it is: integer division by zero gives 0,
// a float outside of an integer type's range saturates (at 32 bits for types
// of up to 32, then wraps around), NaN becomes 0.
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ScalarEmitterMath.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/ErrorHandling.h"

#include <numbers>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;
using ef::BinaryKind;
using ef::UnaryKind;

//===----------------------------------------------------------------------===//
// Unary functions
//===----------------------------------------------------------------------===//

static Value emitIntegerUnary(KernelBuilder &b, UnaryKind kind, Value x,
                              Type elementType) {
  Value zero = integerConstant(b, x.getType(), 0);
  Value ones = integerConstant(b, x.getType(), -1);
  bool isPositive = isUnsigned(elementType);
  switch (kind) {
  case UnaryKind::Not:
  case UnaryKind::BitNot:
    return arith::XOrIOp::create(b, x, ones);
  case UnaryKind::Neg:
    return arith::SubIOp::create(b, zero, x);
  case UnaryKind::Abs:
    if (isPositive)
      return x;
    return arith::SelectOp::create(
        b, compareIntegers(b, arith::CmpIPredicate::slt, x, 0),
        arith::SubIOp::create(b, zero, x), x);
  case UnaryKind::Relu:
    return isPositive ? x : arith::MaxSIOp::create(b, x, zero);
  case UnaryKind::Sign: {
    Value one = integerConstant(b, x.getType(), 1);
    if (isPositive)
      return arith::MinUIOp::create(b, x, one);
    return arith::MaxSIOp::create(b, arith::MinSIOp::create(b, x, one), ones);
  }
  default:
    llvm_unreachable("the verifier admits no such unary function of integers");
  }
}

/// x Phi(x) with the normal distribution function Phi; for x < 0 without
/// cancellation.
static Value emitGelu(FloatMath &m, Value x) {
  Value magnitude = m.mul(m.abs(x), std::numbers::sqrt2 / 2);
  Value tail = m.mul(m.mul(m.erfcPositive(magnitude), 0.5), x);
  // -inf has the limit, not -inf * 0.
  Value isFinite = m.less(m.abs(x), std::numeric_limits<double>::infinity());
  Value isNan = m.compare(arith::CmpFPredicate::UNE, x, x);
  tail = m.select(isFinite, tail, m.select(isNan, x, m.constant(0)));
  return m.select(m.less(x, 0), tail, m.sub(x, tail));
}

/// log(1 + exp(x)) without overflow.
static Value emitSoftplus(FloatMath &m, Value x) {
  Value positive = m.select(m.less(x, 0), m.constant(0), x);
  return m.add(positive, m.log1p(m.exp(m.neg(m.abs(x)))));
}

/// The approximation of Hendrycks and Gimpel (arXiv 1606.08415, section 2):
/// 0.5 (1 + tanh(u)) = sigmoid(2 u).
static Value emitGeluTanh(FloatMath &m, Value x) {
  Value cubic = m.fma(m.mul(x, x), m.constant(0.044715), m.constant(1.0));
  double factor = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  return m.mul(x, m.sigmoid(m.mul(m.mul(x, cubic), factor)));
}

static Value emitHardSwish(FloatMath &m, Value x) {
  Value gate = m.fma(x, m.constant(1.0 / 6), m.constant(0.5));
  return m.mul(x, m.clampAbove(m.clampBelow(gate, 0), 1));
}

static Value emitSign(FloatMath &m, Value x) {
  Value unit = m.copySign(m.constant(1), x);
  Value isNonZero = m.compare(arith::CmpFPredicate::ONE, x, m.constant(0));
  Value isNan = m.compare(arith::CmpFPredicate::UNO, x, x);
  return m.select(isNan, x, m.select(isNonZero, unit, m.constant(0)));
}

/// Functions that are computed in f64 for every element type.
static Value emitWideUnary(FloatMath &m, UnaryKind kind, Value x) {
  switch (kind) {
  case UnaryKind::Sin:
    return m.sin(x);
  case UnaryKind::Cos:
    return m.cos(x);
  case UnaryKind::Tan:
    return m.tan(x);
  case UnaryKind::Asin:
    return m.asin(x);
  case UnaryKind::Acos:
    return m.acos(x);
  case UnaryKind::Atan:
    return m.atan(x);
  case UnaryKind::Sinh:
    return m.sinh(x);
  case UnaryKind::Cosh:
    return m.cosh(x);
  case UnaryKind::Asinh:
    return m.asinh(x);
  case UnaryKind::Acosh:
    return m.acosh(x);
  case UnaryKind::Atanh:
    return m.atanh(x);
  default:
    return {};
  }
}

/// Functions with more than one operation, in the compute type.
static Value emitActivation(FloatMath &m, UnaryKind kind, Value x) {
  switch (kind) {
  case UnaryKind::Exp:
    return m.exp(x);
  case UnaryKind::Log:
    return m.log(x);
  case UnaryKind::Tanh:
    return m.tanh(x);
  case UnaryKind::Erf:
    return m.erf(x);
  case UnaryKind::Sigmoid:
    return m.sigmoid(x);
  case UnaryKind::Silu:
    return m.div(x, m.add(m.exp(m.neg(x)), 1.0));
  case UnaryKind::Gelu:
    return emitGelu(m, x);
  case UnaryKind::GeluTanh:
    return emitGeluTanh(m, x);
  case UnaryKind::QuickGelu:
    return m.div(x, m.add(m.exp(m.mul(x, -1.702)), 1.0));
  case UnaryKind::Softplus:
    return emitSoftplus(m, x);
  case UnaryKind::Softsign:
    return m.div(x, m.add(m.abs(x), 1.0));
  case UnaryKind::Mish:
    return m.mul(x, m.tanh(emitSoftplus(m, x)));
  case UnaryKind::HardSwish:
    return emitHardSwish(m, x);
  default:
    return {};
  }
}

static Value emitSimpleUnary(FloatMath &m, UnaryKind kind, Value x) {
  auto unordered = arith::CmpFPredicate::UNO,
       equals = arith::CmpFPredicate::OEQ;
  switch (kind) {
  case UnaryKind::Abs:
    return m.abs(x);
  case UnaryKind::Neg:
    return m.neg(x);
  case UnaryKind::Sqrt:
    return m.sqrt(x);
  case UnaryKind::Rsqrt:
    return m.div(m.constant(1), m.sqrt(x));
  case UnaryKind::Reciprocal:
    return m.div(m.constant(1), x);
  case UnaryKind::Ceil:
    return m.ceil(x);
  case UnaryKind::Floor:
    return m.floor(x);
  case UnaryKind::Round:
    return m.roundEven(x);
  case UnaryKind::Sign:
    return emitSign(m, x);
  case UnaryKind::Relu:
    return m.select(m.less(x, 0), m.constant(0), x);
  case UnaryKind::IsNan:
    return m.compare(unordered, x, x);
  case UnaryKind::IsInf:
    return m.compare(equals, m.abs(x),
                     m.constant(std::numeric_limits<double>::infinity()));
  default:
    llvm_unreachable("the verifier admits no such unary function of floats");
  }
}

Value efc::cpu::emitUnary(KernelBuilder &b, UnaryKind kind, Value x,
                          Type elementType) {
  if (isa<IntegerType>(elementType))
    return emitIntegerUnary(b, kind, x, elementType);
  FloatMath m(b, x.getType());
  if (Value result = emitActivation(m, kind, x))
    return result;
  bool isWide = kind >= UnaryKind::Sin && kind <= UnaryKind::Atanh &&
                kind != UnaryKind::Tanh;
  if (!isWide)
    return emitSimpleUnary(m, kind, x);
  Value wide = emitCast(b, x, elementType, b.getF64Type());
  FloatMath doubleMath(b, wide.getType());
  return emitCast(b, emitWideUnary(doubleMath, kind, wide), b.getF64Type(),
                  elementType);
}

Value efc::cpu::emitExp(KernelBuilder &b, Value x) {
  return FloatMath(b, x.getType()).exp(x);
}

//===----------------------------------------------------------------------===//
// Binary functions
//===----------------------------------------------------------------------===//

static bool isComparison(BinaryKind kind) {
  return kind >= BinaryKind::Eq && kind <= BinaryKind::Ge;
}

static Value emitComparison(KernelBuilder &b, BinaryKind kind, Value x, Value y,
                            Type elementType) {
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  static constexpr F floats[] = {F::OEQ, F::UNE, F::OLT,
                                 F::OLE, F::OGT, F::OGE};
  static constexpr I signedOnes[] = {I::eq,  I::ne,  I::slt,
                                     I::sle, I::sgt, I::sge};
  static constexpr I unsignedOnes[] = {I::eq,  I::ne,  I::ult,
                                       I::ule, I::ugt, I::uge};
  unsigned which =
      static_cast<unsigned>(kind) - static_cast<unsigned>(BinaryKind::Eq);
  if (isa<FloatType>(elementType))
    return arith::CmpFOp::create(b, floats[which], x, y);
  I predicate =
      isUnsigned(elementType) ? unsignedOnes[which] : signedOnes[which];
  return arith::CmpIOp::create(b, predicate, x, y);
}

static Value emitFloatBinary(KernelBuilder &b, BinaryKind kind, Value x,
                             Value y) {
  FloatMath m(b, x.getType());
  switch (kind) {
  case BinaryKind::Add:
    return m.add(x, y);
  case BinaryKind::Sub:
    return m.sub(x, y);
  case BinaryKind::Mul:
    return m.mul(x, y);
  case BinaryKind::Div:
    return m.div(x, y);
  case BinaryKind::Min:
    return arith::MinimumFOp::create(b, x, y);
  case BinaryKind::Max:
    return arith::MaximumFOp::create(b, x, y);
  case BinaryKind::Fmod:
    return m.fmod(x, y);
  case BinaryKind::Mod: {
    Value r = m.fmod(x, y);
    Value differs = arith::XOrIOp::create(b, m.less(r, 0), m.less(y, 0));
    Value isNonZero = m.compare(arith::CmpFPredicate::ONE, r, m.constant(0));
    return m.select(arith::AndIOp::create(b, differs, isNonZero), m.add(r, y),
                    r);
  }
  default:
    llvm_unreachable("the verifier admits no such binary function of floats");
  }
}

/// div, fmod and mod of integers. The machine traps on a zero divisor and on
/// minimum / -1, so both are computed apart.
static Value emitIntegerDivision(KernelBuilder &b, BinaryKind kind, Value x,
                                 Value y, Type elementType) {
  Value zero = integerConstant(b, y.getType(), 0);
  Value one = integerConstant(b, y.getType(), 1);
  Value isZero = compareIntegers(b, arith::CmpIPredicate::eq, y, 0);
  Value divisor = arith::SelectOp::create(b, isZero, one, y);
  Value result;
  if (isUnsigned(elementType)) {
    result = kind == BinaryKind::Div
                 ? Value(arith::DivUIOp::create(b, x, divisor))
                 : Value(arith::RemUIOp::create(b, x, divisor));
    return arith::SelectOp::create(b, isZero, zero, result);
  }
  Value isMinusOne = compareIntegers(b, arith::CmpIPredicate::eq, y, -1);
  divisor = arith::SelectOp::create(b, isMinusOne, one, divisor);
  if (kind == BinaryKind::Div) {
    Value negated = arith::SubIOp::create(b, zero, x);
    result = arith::DivSIOp::create(b, x, divisor);
    result = arith::SelectOp::create(b, isMinusOne, negated, result);
    return arith::SelectOp::create(b, isZero, zero, result);
  }
  result =
      arith::RemSIOp::create(b, x, divisor); // 0 for both replaced divisors.
  if (kind == BinaryKind::Fmod)
    return result;
  Value differs = compareIntegers(b, arith::CmpIPredicate::slt,
                                  arith::XOrIOp::create(b, result, y), 0);
  Value isNonZero = compareIntegers(b, arith::CmpIPredicate::ne, result, 0);
  return arith::SelectOp::create(b,
                                 arith::AndIOp::create(b, differs, isNonZero),
                                 arith::AddIOp::create(b, result, y), result);
}

static Value emitShift(KernelBuilder &b, BinaryKind kind, Value x, Value y,
                       Type elementType) {
  int64_t width = elementType.getIntOrFloatBitWidth();
  Value limit = integerConstant(b, y.getType(), width - 1);
  Value amount = arith::MinUIOp::create(b, y, limit);
  if (kind == BinaryKind::ShiftRight && !isUnsigned(elementType))
    return arith::ShRSIOp::create(b, x, amount);
  Value shifted = kind == BinaryKind::ShiftLeft
                      ? Value(arith::ShLIOp::create(b, x, amount))
                      : Value(arith::ShRUIOp::create(b, x, amount));
  Value isBeyond =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, y, limit);
  return arith::SelectOp::create(b, isBeyond,
                                 integerConstant(b, x.getType(), 0), shifted);
}

/// Powers by repeated squaring, modulo 2^width; a negative exponent leaves
/// only 1 and -1 different from 0.
static Value emitIntegerPower(KernelBuilder &b, Value x, Value y, Type base,
                              Type exponent) {
  Value one = integerConstant(b, x.getType(), 1);
  int64_t width = exponent.getIntOrFloatBitWidth();
  auto loop = scf::ForOp::create(b, b.index(0), b.index(width), b.index(1),
                                 ValueRange{one, x, y});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    auto [result, power, rest] =
        std::tuple(loop.getRegionIterArg(0), loop.getRegionIterArg(1),
                   loop.getRegionIterArg(2));
    Value exponentOne = integerConstant(b, y.getType(), 1);
    Value bit = compareIntegers(b, arith::CmpIPredicate::ne,
                                arith::AndIOp::create(b, rest, exponentOne), 0);
    Value taken = arith::SelectOp::create(
        b, bit, arith::MulIOp::create(b, result, power), result);
    scf::YieldOp::create(
        b, ValueRange{taken, arith::MulIOp::create(b, power, power),
                      arith::ShRUIOp::create(b, rest, exponentOne)});
  }
  Value result = loop.getResult(0);
  if (isUnsigned(exponent))
    return result;
  // +-1 to the power of y is what squaring gives for any y, read as unsigned.
  Value isUnit = compareIntegers(b, arith::CmpIPredicate::eq, x, 1);
  if (!isUnsigned(base))
    isUnit = arith::OrIOp::create(
        b, isUnit, compareIntegers(b, arith::CmpIPredicate::eq, x, -1));
  Value keeps = arith::OrIOp::create(
      b, isUnit, compareIntegers(b, arith::CmpIPredicate::sge, y, 0));
  return arith::SelectOp::create(b, keeps, result,
                                 integerConstant(b, x.getType(), 0));
}

static Value emitPower(KernelBuilder &b, Value x, Value y, Type base,
                       Type exponent) {
  if (isa<IntegerType>(base) && isa<IntegerType>(exponent))
    return emitIntegerPower(b, x, y, base, exponent);
  Type f64 = b.getF64Type();
  Value wideBase = emitCast(b, x, base, f64),
        wideExponent = emitCast(b, y, exponent, f64);
  Value power = FloatMath(b, wideBase.getType()).pow(wideBase, wideExponent);
  return emitCast(b, power, f64, base);
}

static Value emitIntegerBinary(KernelBuilder &b, BinaryKind kind, Value x,
                               Value y, Type elementType) {
  bool noSign = isUnsigned(elementType);
  switch (kind) {
  case BinaryKind::Add:
    return arith::AddIOp::create(b, x, y);
  case BinaryKind::Sub:
    return arith::SubIOp::create(b, x, y);
  case BinaryKind::Mul:
    return arith::MulIOp::create(b, x, y);
  case BinaryKind::Div:
  case BinaryKind::Mod:
  case BinaryKind::Fmod:
    return emitIntegerDivision(b, kind, x, y, elementType);
  case BinaryKind::Min:
    return noSign ? Value(arith::MinUIOp::create(b, x, y))
                  : Value(arith::MinSIOp::create(b, x, y));
  case BinaryKind::Max:
    return noSign ? Value(arith::MaxUIOp::create(b, x, y))
                  : Value(arith::MaxSIOp::create(b, x, y));
  case BinaryKind::And:
  case BinaryKind::BitAnd:
    return arith::AndIOp::create(b, x, y);
  case BinaryKind::Or:
  case BinaryKind::BitOr:
    return arith::OrIOp::create(b, x, y);
  case BinaryKind::Xor:
  case BinaryKind::BitXor:
    return arith::XOrIOp::create(b, x, y);
  case BinaryKind::ShiftLeft:
  case BinaryKind::ShiftRight:
    return emitShift(b, kind, x, y, elementType);
  default:
    llvm_unreachable("powers and comparisons are emitted elsewhere");
  }
}

Value efc::cpu::emitBinary(KernelBuilder &b, BinaryKind kind, Value lhs,
                           Value rhs, Type lhsElementType,
                           Type rhsElementType) {
  if (isComparison(kind))
    return emitComparison(b, kind, lhs, rhs, lhsElementType);
  if (kind == BinaryKind::Pow)
    return emitPower(b, lhs, rhs, lhsElementType, rhsElementType);
  if (isa<FloatType>(lhsElementType))
    return emitFloatBinary(b, kind, lhs, rhs);
  return emitIntegerBinary(b, kind, lhs, rhs, lhsElementType);
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

bool efc::cpu::isScalarOp(Operation *op) {
  return isa<ef::UnaryOp, ef::BinaryOp, ef::SelectOp, ef::CastOp>(op) ||
         isQuantizationCast(op);
}

Value efc::cpu::emitScalarOp(KernelBuilder &b, Operation *op,
                             ValueRange operands, bool exact) {
  auto elementType = [&](unsigned i) {
    return getElementTypeOrSelf(op->getOperand(i).getType());
  };
  auto unary = dyn_cast<ef::UnaryOp>(op);
  if (unary && exact && elementType(0).isF32())
    return emitExactUnary(b, unary.getKind(), operands[0]);
  if (unary)
    return emitUnary(b, unary.getKind(), operands[0], elementType(0));
  if (auto binary = dyn_cast<ef::BinaryOp>(op))
    return emitBinary(b, binary.getKind(), operands[0], operands[1],
                      elementType(0), elementType(1));
  if (isa<ef::SelectOp>(op))
    return arith::SelectOp::create(b, operands[0], operands[1], operands[2]);
  if (isa<quant::DequantizeCastOp>(op))
    return emitDequantize(b, operands[0], operands[1]);
  if (isa<quant::QuantizeCastOp>(op))
    return emitQuantize(b, operands[0], operands[1],
                        getQuantized(op->getResult(0)));
  auto cast = llvm::cast<ef::CastOp>(op);
  return emitCast(b, operands[0], elementType(0),
                  getElementTypeOrSelf(cast.getType()));
}

Value efc::cpu::emitGate(KernelBuilder &b, ef::GegluOp op, Value linear,
                         Value gate, bool exact) {
  Type element = getElementTypeOrSelf(op.getType());
  Value activated = exact && element.isF32()
                        ? emitExactUnary(b, op.getActivation(), gate)
                        : emitUnary(b, op.getActivation(), gate, element);
  return emitBinary(b, ef::BinaryKind::Mul, linear, activated, element,
                    element);
}
