// The scalar functions behind ef.unary and ef.binary; see Scalar.h.
#include "dialects/ef/Scalar.h"

#include "llvm/Support/ErrorHandling.h"

#include <cmath>
#include <limits>
#include <numbers>

using namespace efc::ef;

static double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// log(1 + exp(x)) without overflow.
static double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

static double gelu(double x) {
  return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
}

/// The approximation of Hendrycks and Gimpel (arXiv 1606.08415, section 2).
static double geluTanh(double x) {
  return 0.5 * x *
         (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) *
                          (x + 0.044715 * x * x * x)));
}

static double sign(double x) { return std::isnan(x) ? x : (x > 0) - (x < 0); }

double efc::ef::applyUnary(UnaryKind kind, double x) {
  switch (kind) {
  case UnaryKind::Abs:
    return std::abs(x);
  case UnaryKind::Neg:
    return -x;
  case UnaryKind::Exp:
    return std::exp(x);
  case UnaryKind::Log:
    return std::log(x);
  case UnaryKind::Sqrt:
    return std::sqrt(x);
  case UnaryKind::Rsqrt:
    return 1.0 / std::sqrt(x);
  case UnaryKind::Reciprocal:
    return 1.0 / x;
  case UnaryKind::Sin:
    return std::sin(x);
  case UnaryKind::Cos:
    return std::cos(x);
  case UnaryKind::Tan:
    return std::tan(x);
  case UnaryKind::Asin:
    return std::asin(x);
  case UnaryKind::Acos:
    return std::acos(x);
  case UnaryKind::Atan:
    return std::atan(x);
  case UnaryKind::Sinh:
    return std::sinh(x);
  case UnaryKind::Cosh:
    return std::cosh(x);
  case UnaryKind::Tanh:
    return std::tanh(x);
  case UnaryKind::Asinh:
    return std::asinh(x);
  case UnaryKind::Acosh:
    return std::acosh(x);
  case UnaryKind::Atanh:
    return std::atanh(x);
  case UnaryKind::Erf:
    return std::erf(x);
  case UnaryKind::Ceil:
    return std::ceil(x);
  case UnaryKind::Floor:
    return std::floor(x);
  case UnaryKind::Round:
    return std::nearbyint(x);
  case UnaryKind::Sign:
    return sign(x);
  case UnaryKind::Sigmoid:
    return sigmoid(x);
  case UnaryKind::Relu:
    return x < 0 ? 0.0 : x;
  case UnaryKind::Silu:
    return x * sigmoid(x);
  case UnaryKind::Gelu:
    return gelu(x);
  case UnaryKind::GeluTanh:
    return geluTanh(x);
  case UnaryKind::QuickGelu:
    return x * sigmoid(1.702 * x);
  case UnaryKind::Softplus:
    return softplus(x);
  case UnaryKind::Softsign:
    return x / (1.0 + std::abs(x));
  case UnaryKind::Mish:
    return x * std::tanh(softplus(x));
  case UnaryKind::HardSwish:
    return x * std::min(std::max(x / 6.0 + 0.5, 0.0), 1.0);
  case UnaryKind::IsNan:
    return std::isnan(x);
  case UnaryKind::IsInf:
    return std::isinf(x);
  case UnaryKind::Not:
  case UnaryKind::BitNot:
    break;
  }
  llvm_unreachable("the verifier admits no such unary function of floats");
}

int64_t efc::ef::applyUnary(UnaryKind kind, int64_t x) {
  auto negated = static_cast<int64_t>(-static_cast<uint64_t>(x));
  switch (kind) {
  case UnaryKind::Abs:
    return x < 0 ? negated : x;
  case UnaryKind::Neg:
    return negated;
  case UnaryKind::Sign:
    return (x > 0) - (x < 0);
  case UnaryKind::Relu:
    return std::max<int64_t>(x, 0);
  case UnaryKind::Not:
    return x == 0;
  case UnaryKind::BitNot:
    return ~x;
  default:
    llvm_unreachable("the verifier admits no such unary function of integers");
  }
}

double efc::ef::applyBinary(BinaryKind kind, double a, double b) {
  switch (kind) {
  case BinaryKind::Add:
    return a + b;
  case BinaryKind::Sub:
    return a - b;
  case BinaryKind::Mul:
    return a * b;
  case BinaryKind::Div:
    return a / b;
  case BinaryKind::Pow:
    return std::pow(a, b);
  // IEEE 754-2019: -0 is below +0.
  case BinaryKind::Min:
    return std::isnan(a) || a < b || (a == b && std::signbit(a)) ? a : b;
  case BinaryKind::Max:
    return std::isnan(a) || a > b || (a == b && !std::signbit(a)) ? a : b;
  case BinaryKind::Mod: {
    double remainder = std::fmod(a, b);
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b
                                                        : remainder;
  }
  case BinaryKind::Fmod:
    return std::fmod(a, b);
  default:
    llvm_unreachable("the verifier admits no such binary function of floats");
  }
}

static uint64_t integerPower(uint64_t base, uint64_t exponent) {
  uint64_t result = 1;
  for (; exponent != 0; exponent >>= 1, base *= base)
    if (exponent & 1)
      result *= base;
  return result;
}

/// What does not depend on the sign: arithmetic modulo 2^64 and bits.
static uint64_t applyModular(BinaryKind kind, uint64_t a, uint64_t b) {
  switch (kind) {
  case BinaryKind::Add:
    return a + b;
  case BinaryKind::Sub:
    return a - b;
  case BinaryKind::Mul:
    return a * b;
  case BinaryKind::And:
  case BinaryKind::BitAnd:
    return a & b;
  case BinaryKind::Or:
  case BinaryKind::BitOr:
    return a | b;
  case BinaryKind::Xor:
  case BinaryKind::BitXor:
    return a ^ b;
  case BinaryKind::ShiftLeft:
    return b >= 64 ? 0 : a << b;
  default:
    llvm_unreachable("comparisons are not computed here");
  }
}

int64_t efc::ef::applyBinary(BinaryKind kind, int64_t a, int64_t b) {
  switch (kind) {
  case BinaryKind::Div:
    // Minus the smallest integer is itself.
    return b == -1 ? applyUnary(UnaryKind::Neg, a) : a / b;
  case BinaryKind::Fmod:
    return b == -1 ? 0 : a % b;
  case BinaryKind::Mod: {
    int64_t remainder = b == -1 ? 0 : a % b;
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b
                                                        : remainder;
  }
  case BinaryKind::Pow:
    if (b < 0)
      return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    return static_cast<int64_t>(integerPower(a, b));
  case BinaryKind::Min:
    return std::min(a, b);
  case BinaryKind::Max:
    return std::max(a, b);
  case BinaryKind::ShiftRight:
    return a >> std::min<uint64_t>(b, 63);
  default:
    return static_cast<int64_t>(applyModular(kind, a, b));
  }
}

uint64_t efc::ef::applyBinary(BinaryKind kind, uint64_t a, uint64_t b) {
  switch (kind) {
  case BinaryKind::Div:
    return a / b;
  case BinaryKind::Mod:
  case BinaryKind::Fmod:
    return a % b;
  case BinaryKind::Pow:
    return integerPower(a, b);
  case BinaryKind::Min:
    return std::min(a, b);
  case BinaryKind::Max:
    return std::max(a, b);
  case BinaryKind::ShiftRight:
    return b >= 64 ? 0 : a >> b;
  default:
    return applyModular(kind, a, b);
  }
}

int64_t efc::ef::truncateToInteger(double value, bool isUnsigned64) {
  if (std::isnan(value))
    return 0;
  constexpr double twoTo63 = 9223372036854775808.0;
  if (isUnsigned64 && value >= twoTo63)
    return static_cast<int64_t>(value >= 2 * twoTo63
                                    ? std::numeric_limits<uint64_t>::max()
                                    : static_cast<uint64_t>(value));
  if (value >= twoTo63)
    return std::numeric_limits<int64_t>::max();
  if (value < -twoTo63)
    return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}
