// See ScalarEmitterMath.h. Coefficients without another source are Chebyshev
// interpolants of the named function on the named interval.
#include "targets/cpu/kernels/ScalarEmitterMath.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <limits>
#include <numbers>

using namespace mlir;
using namespace efc::cpu;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Type efc::cpu::withShapeOf(Type like, Type elementType) {
  if (auto vector = dyn_cast<VectorType>(like))
    return vector.clone(elementType);
  return elementType;
}

//===----------------------------------------------------------------------===//
// Elementary operations
//===----------------------------------------------------------------------===//

FloatMath::FloatMath(KernelBuilder &b, Type type)
    : b(b), type(type), doublePrecision(getElementTypeOrSelf(type).isF64()) {
  Type bits = doublePrecision ? b.getI64Type() : b.getI32Type();
  bitsType = withShapeOf(type, bits);
}

static Value splatConstant(KernelBuilder &b, Type type, Attribute element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(b, vector,
                                     DenseElementsAttr::get(vector, element));
  return arith::ConstantOp::create(b, cast<TypedAttr>(element));
}

Value FloatMath::constant(double value) {
  return splatConstant(b, type,
                       b.getFloatAttr(getElementTypeOrSelf(type), value));
}
Value FloatMath::integer(int64_t value) {
  return splatConstant(b, bitsType,
                       b.getIntegerAttr(getElementTypeOrSelf(bitsType), value));
}
Value FloatMath::add(Value x, Value y) {
  return arith::AddFOp::create(b, x, y);
}
Value FloatMath::sub(Value x, Value y) {
  return arith::SubFOp::create(b, x, y);
}
Value FloatMath::mul(Value x, Value y) {
  return arith::MulFOp::create(b, x, y);
}
Value FloatMath::div(Value x, Value y) {
  return arith::DivFOp::create(b, x, y);
}
Value FloatMath::fma(Value x, Value y, Value z) {
  return math::FmaOp::create(b, x, y, z);
}
Value FloatMath::neg(Value x) { return arith::NegFOp::create(b, x); }
Value FloatMath::abs(Value x) { return math::AbsFOp::create(b, x); }
Value FloatMath::sqrt(Value x) { return math::SqrtOp::create(b, x); }
Value FloatMath::floor(Value x) { return math::FloorOp::create(b, x); }
Value FloatMath::ceil(Value x) { return math::CeilOp::create(b, x); }
Value FloatMath::trunc(Value x) { return math::TruncOp::create(b, x); }
Value FloatMath::roundEven(Value x) { return math::RoundEvenOp::create(b, x); }
Value FloatMath::copySign(Value magnitude, Value sign) {
  return math::CopySignOp::create(b, magnitude, sign);
}
Value FloatMath::compare(arith::CmpFPredicate predicate, Value x, Value y) {
  return arith::CmpFOp::create(b, predicate, x, y);
}
Value FloatMath::less(Value x, double y) {
  return compare(arith::CmpFPredicate::OLT, x, constant(y));
}
Value FloatMath::greater(Value x, double y) {
  return compare(arith::CmpFPredicate::OGT, x, constant(y));
}
Value FloatMath::select(Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, condition, x, y);
}
Value FloatMath::clampAbove(Value x, double limit) {
  return select(greater(x, limit), constant(limit), x);
}
Value FloatMath::clampBelow(Value x, double limit) {
  return select(less(x, limit), constant(limit), x);
}
Value FloatMath::bits(Value x) {
  return arith::BitcastOp::create(b, bitsType, x);
}
Value FloatMath::fromBits(Value x) {
  return arith::BitcastOp::create(b, type, x);
}

Value FloatMath::polynomial(Value x, ArrayRef<double> coefficients) {
  Value result = constant(coefficients.back());
  for (double coefficient : llvm::reverse(coefficients.drop_back()))
    result = fma(result, x, constant(coefficient));
  return result;
}

/// 1, 1/n, 1/(n (n + step)), ...: the coefficients of a series with factorials.
static SmallVector<double> inverseFactorials(int first, int step, int count,
                                             double sign) {
  SmallVector<double> result;
  double value = 1;
  for (int i = 1, k = 0; static_cast<int>(result.size()) < count; ++i) {
    while (k < first + step * (i - 1))
      value /= ++k;
    result.push_back(i % 2 ? value : sign * value);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Exponential and logarithm
//===----------------------------------------------------------------------===//

Value FloatMath::scaleByPowerOfTwo(Value value, Value n) {
  // In two steps: one exponent field does not hold all of -150 .. 128.
  int64_t bias = isDouble() ? 1023 : 127, position = isDouble() ? 52 : 23;
  Value half = arith::ShRSIOp::create(b, n, integer(1));
  Value rest = arith::SubIOp::create(b, n, half);
  for (Value part : {half, rest}) {
    Value exponent = arith::AddIOp::create(b, part, integer(bias));
    Value field = arith::ShLIOp::create(b, exponent, integer(position));
    value = mul(value, fromBits(field));
  }
  return value;
}

/// exp(n ln 2 + r) = 2^n exp(r), |r| <= ln(2) / 2. Adding 1.5 * 2^23 (2^52)
/// rounds to an integer and leaves it in the low bits, also of a NaN.
Value FloatMath::exp(Value x) {
  x = clampAbove(clampBelow(x, isDouble() ? -746.0 : -104.0),
                 isDouble() ? 710.0 : 89.0);
  Value magic = constant(isDouble() ? 0x1.8p52 : 0x1.8p23);
  Value shifted = fma(x, constant(std::numbers::log2e), magic);
  Value n = sub(shifted, magic);
  Value exponent = arith::SubIOp::create(b, bits(shifted), bits(magic));
  double high = isDouble() ? 0x1.62e42fefa3800p-1 : 0x1.62e400p-1;
  double low = isDouble() ? 0x1.ef35793c76730p-45 : 0x1.7f7d1cf79abcap-20;
  Value r = fma(n, constant(-high), x);
  r = fma(n, constant(-low), r);
  // exp(r) = 1 + r + r^2 p(r); f32: [-0.35, 0.35], f64: Taylor to r^13.
  SmallVector<double> p =
      isDouble() ? inverseFactorials(2, 1, 12, 1)
                 : SmallVector<double>{0.5, 0.166665734239, 0.0416665501627,
                                       0.00836376702329, 0.00139269180559};
  Value tail = fma(mul(r, r), polynomial(r, p), r);
  return scaleByPowerOfTwo(add(tail, 1.0), exponent);
}

/// x = 2^n (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); s = f / (2 + f);
/// log(1 + f) = f - (f^2/2 - s (f^2/2 + R)), R = 2 (s^2/3 + s^4/5 + ...) (the
/// form of FreeBSD's msun, e_log.c).
Value FloatMath::log(Value x) {
  Value isTiny = less(x, isDouble() ? 0x1p-1022 : 0x1p-126);
  Value normal = select(isTiny, mul(x, isDouble() ? 0x1p54 : 0x1p25), x);
  Value offset = select(isTiny, constant(isDouble() ? -54 : -25), constant(0));
  int64_t position = isDouble() ? 52 : 23;
  int64_t halfRoot = isDouble() ? 0x3fe6a09e667f3bcd : 0x3f3504f3;
  Value fraction = arith::SubIOp::create(b, bits(normal), integer(halfRoot));
  Value exponent = arith::ShRSIOp::create(b, fraction, integer(position));
  Value scaled = arith::SubIOp::create(
      b, bits(normal), arith::ShLIOp::create(b, exponent, integer(position)));
  Value n = add(arith::SIToFPOp::create(b, type, exponent), offset);
  Value f = add(fromBits(scaled), -1.0);
  Value s = div(f, add(f, 2.0));
  Value s2 = mul(s, s);
  SmallVector<double> series;
  for (int k = 1; k <= (isDouble() ? 11 : 4); ++k)
    series.push_back(2.0 / (2 * k + 1));
  Value halfSquare = mul(mul(f, f), 0.5);
  Value r = mul(s2, polynomial(s2, series));
  double high = isDouble() ? 0x1.62e42fefa3800p-1 : 0x1.62e400p-1;
  double low = isDouble() ? 0x1.ef35793c76730p-45 : 0x1.7f7d1cf79abcap-20;
  Value small = fma(s, add(halfSquare, r), mul(n, low));
  Value result = fma(n, constant(high), sub(f, sub(halfSquare, small)));
  auto equals = arith::CmpFPredicate::OEQ;
  result = select(less(x, 0), constant(kNaN), result);
  result =
      select(compare(equals, x, constant(0)), constant(-kInfinity), result);
  // +inf and NaN are their own logarithms.
  Value isFinite = less(abs(x), kInfinity);
  Value isNegative = less(x, 0);
  return select(isFinite, result, select(isNegative, constant(kNaN), x));
}

/// log(u) plus what rounding u = 1 + x lost (Kahan).
Value FloatMath::log1p(Value x) {
  Value u = add(x, 1.0);
  Value lost = sub(x, add(u, -1.0));
  Value corrected = add(log(u), div(lost, u));
  Value isOrdinary =
      arith::AndIOp::create(b, greater(u, 0), less(u, kInfinity));
  return select(isOrdinary, corrected, log(u));
}

Value FloatMath::sigmoid(Value x) {
  return div(constant(1.0), add(exp(neg(x)), 1.0));
}

//===----------------------------------------------------------------------===//
// tanh and the error function
//===----------------------------------------------------------------------===//

Value FloatMath::sinhSmall(Value x) {
  Value square = mul(x, x);
  return mul(x, polynomial(square, inverseFactorials(1, 2, 9, 1)));
}

Value FloatMath::tanh(Value x) {
  Value magnitude = abs(x);
  Value power = exp(mul(magnitude, 2.0));
  Value large = sub(constant(1.0), div(constant(2.0), add(power, 1.0)));
  if (isDouble()) {
    Value bounded = clampAbove(magnitude, 1.0);
    Value sinh = sinhSmall(bounded);
    Value small = div(sinh, sqrt(fma(sinh, sinh, constant(1.0))));
    return copySign(select(less(magnitude, 0.55), small, large), x);
  }
  // (tanh(x) / x - 1) / x^2 over x^2 in [0, 0.4].
  Value square = mul(x, x);
  Value p = polynomial(square,
                       {-0.333333331494, 0.133333001462, -0.0539584616275,
                        0.0217625029074, -0.00832318705828, 0.00226950168416});
  Value small = fma(mul(magnitude, square), p, magnitude);
  return copySign(select(less(magnitude, 0.625), small, large), x);
}

/// f32: exp(x (p(x) - x)), p = (log erfc(x) + x^2) / x over [0, 4].
/// f64: t exp(-x^2 + q(t)), t = 1 / (1 + x / 2), q a Chebyshev series over
/// [2/9, 1] (the form of Numerical Recipes, section 6.2.2).
Value FloatMath::erfcPositive(Value x) {
  if (!isDouble()) {
    Value p = polynomial(
        clampAbove(x, 4.0),
        {-1.12837938878, 0.363391272888, -0.102862050045, 0.0194026223351,
         -0.000194819444352, -0.00140376056288, 0.000535475242395,
         -0.00010554070436, 1.13129826866e-5, -5.20005029963e-7});
    // Beyond 1e3 the square would overflow into inf - inf.
    Value bounded = clampAbove(x, 1e3);
    return exp(mul(bounded, sub(p, bounded)));
  }
  static constexpr double series[] = {
      -0.51626582688734691,      0.517264805382672775,
      0.00422422815887175464,    -0.00531365042470585234,
      -0.0000299092781352559457, 0.000129268706213308919,
      -5.80358072235130831e-6,   -3.65891540736451765e-6,
      4.88387718978908943e-7,    8.40806039698805308e-8,
      -2.6264400267883881e-8,    -2.53690994350872327e-10,
      1.02119658711474926e-9,    -1.16117832832059265e-10,
      -2.40194394714129371e-11,  7.63331616278523406e-12,
      -1.44228063618987685e-13,  -2.65232846411245179e-13,
      4.36726347262609721e-14,   3.15093386764085666e-15,
      -2.00320215434319299e-15,  1.92893689960359896e-16,
      3.61564721128935735e-17,   -1.12588657106718521e-17};
  Value z = clampAbove(x, 7.0);
  Value t = div(constant(1.0), fma(z, constant(0.5), constant(1.0)));
  Value u = fma(t, constant(18.0 / 7.0), constant(-11.0 / 7.0));
  Value twice = mul(u, 2.0), current = constant(0), previous = constant(0);
  for (double coefficient : llvm::reverse(llvm::drop_begin(series))) {
    Value next = add(sub(mul(twice, current), previous), coefficient);
    previous = current;
    current = next;
  }
  Value q = add(sub(mul(u, current), previous), series[0]);
  return mul(t, exp(fma(neg(z), z, q)));
}

Value FloatMath::erfSmall(Value x) {
  Value square = mul(x, x);
  if (!isDouble()) // erf(x) / x over x^2 in [0, 0.9].
    return mul(
        x, polynomial(square, {1.12837916648, -0.37612632154, 0.112836710415,
                               -0.0268580424829, 0.00519768491446,
                               -0.000810505451081, 8.21278053306e-5}));
  // Taylor: 2 / sqrt(pi) * (-1)^k x^(2k+1) / (k! (2k + 1)).
  SmallVector<double> series;
  double factor = 2 * std::numbers::inv_sqrtpi;
  for (int k = 0; k <= 15; factor /= -++k)
    series.push_back(factor / (2 * k + 1));
  return mul(x, polynomial(square, series));
}

Value FloatMath::erf(Value x) {
  Value magnitude = abs(x);
  Value small = erfSmall(clampAbove(magnitude, 1.0));
  Value large = sub(constant(1.0), erfcPositive(magnitude));
  return copySign(select(less(magnitude, 0.92), small, large), x);
}

//===----------------------------------------------------------------------===//
// f64: trigonometric, hyperbolic, inverse functions, powers
//===----------------------------------------------------------------------===//

/// x = n pi/2 + r by Cody and Waite's method with three parts of pi/2; the
/// quadrant n mod 4 chooses between +-sin(r) and +-cos(r).
Value FloatMath::sinOrCos(Value x, int64_t quadrant) {
  Value n = roundEven(mul(x, 2 * std::numbers::inv_pi));
  Value r = fma(n, constant(-0x1.921fb54442d18p+0), x);
  r = fma(n, constant(-0x1.1a62633145c07p-54), r);
  r = fma(n, constant(0x1.f1976b7ed8fbcp-110), r);
  Value square = mul(r, r);
  Value sine = mul(r, polynomial(square, inverseFactorials(1, 2, 9, -1)));
  Value cosine = polynomial(square, inverseFactorials(0, 2, 10, -1));
  Value turn = add(n, static_cast<double>(quadrant));
  turn = sub(turn, mul(floor(mul(turn, 0.25)), 4.0));
  auto equals = arith::CmpFPredicate::OEQ;
  Value isOdd = arith::OrIOp::create(b, compare(equals, turn, constant(1)),
                                     compare(equals, turn, constant(3)));
  Value value = select(isOdd, cosine, sine);
  return select(greater(turn, 1.5), neg(value), value);
}

Value FloatMath::tan(Value x) { return div(sin(x), cos(x)); }

/// atan(t) = 2 atan(t / (1 + sqrt(1 + t^2))), twice, brings [0, 1] to
/// [0, 0.199], where the series takes 12 terms.
Value FloatMath::atan(Value x) {
  Value magnitude = abs(x);
  Value isLarge = greater(magnitude, 1.0);
  Value t = select(isLarge, div(constant(1.0), magnitude), magnitude);
  for (int i = 0; i < 2; ++i)
    t = div(t, add(sqrt(fma(t, t, constant(1.0))), 1.0));
  SmallVector<double> series;
  for (int k = 0; k < 12; ++k)
    series.push_back((k % 2 ? -4.0 : 4.0) / (2 * k + 1));
  Value angle = mul(t, polynomial(mul(t, t), series));
  Value complement = sub(constant(std::numbers::pi / 2), angle);
  return copySign(select(isLarge, complement, angle), x);
}

Value FloatMath::asin(Value x) {
  Value one = constant(1.0);
  return atan(div(x, sqrt(mul(sub(one, x), add(one, x)))));
}

Value FloatMath::acos(Value x) {
  Value one = constant(1.0);
  Value ratio = sqrt(div(sub(one, x), add(one, x)));
  Value angle = mul(atan(ratio), 2.0);
  return select(less(abs(x), std::nextafter(1.0, 2.0)), angle, constant(kNaN));
}

Value FloatMath::sinh(Value x) {
  Value magnitude = abs(x);
  Value root = exp(mul(magnitude, 0.5));
  Value small = sinhSmall(clampAbove(magnitude, 1.0));
  Value large =
      sub(mul(mul(root, 0.5), root), div(div(constant(0.5), root), root));
  return copySign(select(less(magnitude, 1.0), small, large), x);
}

Value FloatMath::cosh(Value x) {
  Value root = exp(mul(abs(x), 0.5));
  return add(mul(mul(root, 0.5), root), div(div(constant(0.5), root), root));
}

Value FloatMath::asinh(Value x) {
  Value a = abs(x), square = mul(a, a);
  Value root = sqrt(add(square, 1.0));
  Value ordinary = log1p(add(a, div(square, add(root, 1.0))));
  Value huge = add(log(a), std::numbers::ln2);
  return copySign(select(less(a, 1e8), ordinary, huge), x);
}

Value FloatMath::acosh(Value x) {
  Value t = add(x, -1.0);
  Value ordinary = log1p(add(t, sqrt(mul(t, add(t, 2.0)))));
  Value huge = add(log(x), std::numbers::ln2);
  Value result = select(greater(x, 1e8), huge, ordinary);
  return select(less(x, 1.0), constant(kNaN), result);
}

Value FloatMath::atanh(Value x) {
  Value a = abs(x);
  Value ratio = div(mul(a, 2.0), sub(constant(1.0), a));
  return copySign(mul(log1p(ratio), 0.5), x);
}

/// IEEE 754's pow, by exp(y log |x|): relative error about |y log x| 1e-16.
Value FloatMath::pow(Value x, Value y) {
  auto equals = arith::CmpFPredicate::OEQ;
  Value magnitude = abs(x);
  Value result = exp(mul(y, log(magnitude)));
  Value isWhole = compare(equals, floor(y), y);
  Value halved = mul(y, 0.5);
  Value isOdd = arith::AndIOp::create(
      b, isWhole, compare(arith::CmpFPredicate::ONE, floor(halved), halved));
  // The sign bit, so that odd powers of -0 keep it.
  Value signedResult = copySign(result, x);
  Value isNegative = less(x, 0);
  Value base = select(isWhole, result, constant(kNaN));
  Value isFiniteBase = less(magnitude, kInfinity);
  base =
      select(arith::AndIOp::create(b, isNegative, isFiniteBase), base, result);
  result = select(isOdd, signedResult, base);
  // Whole powers of whole numbers are exact where the error is below one half.
  Value isExact = arith::AndIOp::create(
      b, arith::AndIOp::create(b, isWhole, compare(equals, floor(x), x)),
      less(abs(result), 0x1p43));
  isExact = arith::AndIOp::create(
      b, isExact, compare(arith::CmpFPredicate::OGE, y, constant(0)));
  result = select(isExact, roundEven(result), result);
  Value one = constant(1.0);
  Value isUnit = compare(equals, magnitude, one);
  Value isInfinite = compare(equals, abs(y), constant(kInfinity));
  result = select(arith::AndIOp::create(b, isUnit, isInfinite), one, result);
  Value isOne = arith::OrIOp::create(b, compare(equals, y, constant(0)),
                                     compare(equals, x, one));
  return select(isOne, one, result);
}

Value FloatMath::fmod(Value x, Value y) {
  Value divisor = abs(y), quotient = trunc(div(x, divisor));
  Value r = fma(neg(quotient), divisor, x);
  // The rounded quotient may be one too large or too small.
  Value magnitude = select(less(x, 0), neg(r), r);
  magnitude = select(less(magnitude, 0), add(magnitude, divisor), magnitude);
  Value tooLarge = compare(arith::CmpFPredicate::OGE, magnitude, divisor);
  magnitude = select(tooLarge, sub(magnitude, divisor), magnitude);
  Value isInfinite =
      compare(arith::CmpFPredicate::OEQ, divisor, constant(kInfinity));
  Value isFinite = less(abs(x), kInfinity);
  Value keeps = arith::AndIOp::create(b, isInfinite, isFinite);
  return select(keeps, x, copySign(magnitude, x));
}
