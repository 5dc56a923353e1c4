// Functions of quantised kernels where docs/numerics.md prescribes another
// sequence of operations than ScalarEmitter's own: the vector code of the
// functions of the same names in runtime/npu/Numerics.h, operation by
// operation.
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "runtime/npu/Numerics.h"
#include "targets/cpu/kernels/ScalarEmitterMath.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;
using ef::UnaryKind;
namespace numerics = efrt::numerics;

template <typename T, size_t N>
static Value emitPolynomial(FloatMath &m, Value x,
                            const std::array<T, N> &coefficients) {
  return m.polynomial(
      x, SmallVector<double>(coefficients.begin(), coefficients.end()));
}

static Value emitErf(FloatMath &m, Value x) {
  Value magnitude = m.abs(x), square = m.mul(x, x);
  Value small =
      m.fma(emitPolynomial(m, square, numerics::kErfPolynomial), x, x);
  Value exponent =
      m.fma(emitPolynomial(m, magnitude, numerics::kErfTailPolynomial),
            magnitude, m.neg(magnitude));
  Value large = m.copySign(m.sub(m.constant(1), m.exp(exponent)), x);
  return m.select(m.less(magnitude, numerics::kErfSmall), small, large);
}

static Value emitGelu(FloatMath &m, Value x) {
  Value erf = emitErf(m, m.mul(x, numerics::kInverseRoot2));
  return m.mul(m.mul(m.constant(0.5), x), m.add(m.constant(1), erf));
}

static Value emitGeluTanh(FloatMath &m, Value x) {
  Value cubic =
      m.fma(m.mul(x, x), m.constant(numerics::kGeluTanhCubic), m.constant(1));
  Value u = m.mul(m.mul(x, cubic), numerics::kGeluTanhFactor);
  return m.div(x, m.add(m.exp(m.neg(u)), 1.0));
}

static Value emitSinQuadrant(KernelBuilder &b, Value x, double quadrant) {
  FloatMath m(b, withShapeOf(x.getType(), b.getF64Type()));
  Value wide =
      arith::ExtFOp::create(b, withShapeOf(x.getType(), b.getF64Type()), x);
  Value n = m.roundEven(m.mul(wide, numerics::kTwoOverPi));
  Value r = wide;
  for (double part : numerics::kHalfPi)
    r = m.fma(n, m.constant(-part), r);
  Value square = m.mul(r, r);
  Value sine = m.mul(r, emitPolynomial(m, square, numerics::kSinPolynomial));
  Value cosine = emitPolynomial(m, square, numerics::kCosPolynomial);
  Value turn = m.add(n, quadrant);
  turn = m.sub(turn, m.mul(m.floor(m.mul(turn, 0.25)), 4.0));
  auto equals = arith::CmpFPredicate::OEQ;
  Value isOdd = arith::OrIOp::create(b, m.compare(equals, turn, m.constant(1)),
                                     m.compare(equals, turn, m.constant(3)));
  Value value = m.select(isOdd, cosine, sine);
  value = m.select(m.greater(turn, 1.5), m.neg(value), value);
  value = m.select(m.less(m.abs(wide), numerics::kSinLimit), value,
                   m.sub(wide, wide));
  return arith::TruncFOp::create(b, x.getType(), value);
}

Value efc::cpu::emitExactUnary(KernelBuilder &b, UnaryKind kind, Value x) {
  FloatMath m(b, x.getType());
  switch (kind) {
  case UnaryKind::Erf:
    return emitErf(m, x);
  case UnaryKind::Gelu:
    return emitGelu(m, x);
  case UnaryKind::GeluTanh:
    return emitGeluTanh(m, x);
  case UnaryKind::Sin:
    return emitSinQuadrant(b, x, 0);
  case UnaryKind::Cos:
    return emitSinQuadrant(b, x, 1);
  default:
    return emitUnary(b, kind, x, b.getF32Type());
  }
}
