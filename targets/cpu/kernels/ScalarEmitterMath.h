// Approximations of transcendental functions as straight-line arith and math
// operations, on scalars and vectors of f32 and f64. ScalarEmitter.h is the
// interface for kernels; this is its toolbox.
//
// f32 functions that kernels spend time in (exp, log, tanh, erf, normal CDF)
// have f32 polynomials of a few ulp. All others are computed in f64, whose
// relative error is below 1e-14 (sin, cos and tan: absolute error below 1e-15
// for |x| < 1e9, growing beyond).
#ifndef EFC_TARGETS_CPU_KERNELS_SCALAREMITTERMATH_H
#define EFC_TARGETS_CPU_KERNELS_SCALAREMITTERMATH_H

#include "targets/cpu/KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <initializer_list>

namespace efc::cpu {

/// `elementType`, with the vector shape (if any) of `like`.
mlir::Type withShapeOf(mlir::Type like, mlir::Type elementType);

/// True for unsigned integers and booleans.
bool isUnsigned(mlir::Type elementType);
/// An integer constant of `type`, a scalar or a vector.
mlir::Value integerConstant(KernelBuilder &b, mlir::Type type, int64_t value);
mlir::Value compareIntegers(KernelBuilder &b,
                            mlir::arith::CmpIPredicate predicate, mlir::Value x,
                            int64_t y);

/// Writes expressions over values of one floating-point type.
class FloatMath {
public:
  /// `type` is f32, f64 or a vector of one of them.
  FloatMath(KernelBuilder &b, mlir::Type type);

  mlir::Value constant(double value);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value div(mlir::Value x, mlir::Value y);
  mlir::Value add(mlir::Value x, double y) { return add(x, constant(y)); }
  mlir::Value mul(mlir::Value x, double y) { return mul(x, constant(y)); }
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value z);
  mlir::Value neg(mlir::Value x);
  mlir::Value abs(mlir::Value x);
  mlir::Value sqrt(mlir::Value x);
  mlir::Value floor(mlir::Value x);
  mlir::Value ceil(mlir::Value x);
  mlir::Value trunc(mlir::Value x);
  mlir::Value roundEven(mlir::Value x);
  mlir::Value copySign(mlir::Value magnitude, mlir::Value sign);
  mlir::Value compare(mlir::arith::CmpFPredicate, mlir::Value, mlir::Value);
  mlir::Value less(mlir::Value x, double y);
  mlir::Value greater(mlir::Value x, double y);
  mlir::Value select(mlir::Value condition, mlir::Value, mlir::Value);
  /// x where x <= limit, `limit` beyond; NaN stays.
  mlir::Value clampAbove(mlir::Value x, double limit);
  mlir::Value clampBelow(mlir::Value x, double limit);
  /// c0 + c1 x + c2 x^2 + ...
  mlir::Value polynomial(mlir::Value x, llvm::ArrayRef<double> coefficients);

  mlir::Value exp(mlir::Value x);
  mlir::Value log(mlir::Value x);
  /// log(1 + x), also for tiny x.
  mlir::Value log1p(mlir::Value x);
  mlir::Value tanh(mlir::Value x);
  mlir::Value erf(mlir::Value x);
  /// erfc(x) for x >= 0, with small relative error.
  mlir::Value erfcPositive(mlir::Value x);
  /// 1 / (1 + exp(-x)).
  mlir::Value sigmoid(mlir::Value x);

  // f64 only.
  mlir::Value sin(mlir::Value x) { return sinOrCos(x, 0); }
  mlir::Value cos(mlir::Value x) { return sinOrCos(x, 1); }
  mlir::Value tan(mlir::Value x);
  mlir::Value asin(mlir::Value x);
  mlir::Value acos(mlir::Value x);
  mlir::Value atan(mlir::Value x);
  mlir::Value sinh(mlir::Value x);
  mlir::Value cosh(mlir::Value x);
  mlir::Value asinh(mlir::Value x);
  mlir::Value acosh(mlir::Value x);
  mlir::Value atanh(mlir::Value x);
  mlir::Value pow(mlir::Value x, mlir::Value y);

  /// x - y * trunc(x / y): exact while the quotient is below 2^24 (f32) or
  /// 2^53 (f64).
  mlir::Value fmod(mlir::Value x, mlir::Value y);

  bool isDouble() const { return doublePrecision; }

private:
  mlir::Value bits(mlir::Value x);
  mlir::Value fromBits(mlir::Value bits);
  mlir::Value integer(int64_t value);
  /// value * 2^n, n a small integer in the low bits of `n`.
  mlir::Value scaleByPowerOfTwo(mlir::Value value, mlir::Value n);
  /// sinh for |x| <= 1, by its series.
  mlir::Value sinhSmall(mlir::Value x);
  mlir::Value sinOrCos(mlir::Value x, int64_t quadrant);
  mlir::Value erfSmall(mlir::Value x);

  KernelBuilder &b;
  mlir::Type type, bitsType;
  bool doublePrecision;
};

} // namespace efc::cpu

#endif
