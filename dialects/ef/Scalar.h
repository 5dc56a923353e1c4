// The scalar functions behind ef.unary and ef.binary, on double and 64-bit
// integers. Every evaluation uses these and no others.
#ifndef EFC_DIALECTS_EF_SCALAR_H
#define EFC_DIALECTS_EF_SCALAR_H

#include "dialects/ef/EfDialect.h"

namespace efc::ef {

/// `is_nan` and `is_inf` give 0 or 1; `round` rounds halves to even.
double applyUnary(UnaryKind kind, double x);
/// Kinds that integers and booleans have: abs, neg, sign, relu, not, bit_not;
/// wraps around.
int64_t applyUnary(UnaryKind kind, int64_t x);

/// All kinds but comparisons. Integers wrap around; a divisor must not be zero;
/// a shift by the width or more gives zero.
double applyBinary(BinaryKind kind, double a, double b);
int64_t applyBinary(BinaryKind kind, int64_t a, int64_t b);
uint64_t applyBinary(BinaryKind kind, uint64_t a, uint64_t b);

/// Towards zero, as ONNX's Cast; NaN gives 0, values outside the 64 bits
/// saturate.
int64_t truncateToInteger(double value, bool isUnsigned64);

template <typename T> bool compare(BinaryKind kind, T a, T b) {
  switch (kind) {
  case BinaryKind::Eq:
    return a == b;
  case BinaryKind::Ne:
    return a != b;
  case BinaryKind::Lt:
    return a < b;
  case BinaryKind::Le:
    return a <= b;
  case BinaryKind::Gt:
    return a > b;
  default:
    return a >= b;
  }
}

} // namespace efc::ef

#endif
