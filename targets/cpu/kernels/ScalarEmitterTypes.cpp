// The types that kernels compute in, and casts between them; see
// ScalarEmitter.h.
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "targets/cpu/kernels/ScalarEmitterMath.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

Type efc::cpu::getComputeType(Type elementType) {
  if (elementType.isF16() || elementType.isBF16())
    return Float32Type::get(elementType.getContext());
  if (auto integer = dyn_cast<IntegerType>(elementType))
    return IntegerType::get(elementType.getContext(), integer.getWidth());
  return elementType;
}

bool efc::cpu::isUnsigned(Type elementType) {
  return elementType.isUnsignedInteger() || elementType.isInteger(1);
}

Value efc::cpu::integerConstant(KernelBuilder &b, Type type, int64_t value) {
  auto element = IntegerAttr::get(
      getElementTypeOrSelf(type),
      APInt(getElementTypeOrSelf(type).getIntOrFloatBitWidth(), value,
            /*isSigned=*/true, /*implicitTrunc=*/true));
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(
        b, vector, DenseElementsAttr::get(vector, cast<Attribute>(element)));
  return arith::ConstantOp::create(b, element);
}

Value efc::cpu::compareIntegers(KernelBuilder &b,
                                arith::CmpIPredicate predicate, Value x,
                                int64_t y) {
  return arith::CmpIOp::create(b, predicate, x,
                               integerConstant(b, x.getType(), y));
}

/// bf16 by integer arithmetic, because LLVM calls a library function on
/// machines without an instruction: round to nearest even, NaNs stay NaNs.
static Value roundToBF16(KernelBuilder &b, Value x) {
  Type i32 = withShapeOf(x.getType(), b.getI32Type());
  Type i16 = withShapeOf(x.getType(), b.getIntegerType(16));
  auto constant = [&](int64_t value) { return integerConstant(b, i32, value); };
  Value bits = arith::BitcastOp::create(b, i32, x);
  Value high = arith::ShRUIOp::create(b, bits, constant(16));
  Value odd = arith::AndIOp::create(b, high, constant(1));
  Value bias = arith::AddIOp::create(b, odd, constant(0x7fff));
  Value sum = arith::AddIOp::create(b, bits, bias);
  Value rounded = arith::ShRUIOp::create(b, sum, constant(16));
  Value quiet = arith::OrIOp::create(b, high, constant(0x40));
  Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
  Value chosen = arith::SelectOp::create(b, isNan, quiet, rounded);
  Value narrow = arith::TruncIOp::create(b, i16, chosen);
  return arith::BitcastOp::create(b, withShapeOf(x.getType(), b.getBF16Type()),
                                  narrow);
}

static Value extendBF16(KernelBuilder &b, Value x) {
  Type i16 = withShapeOf(x.getType(), b.getIntegerType(16));
  Type i32 = withShapeOf(x.getType(), b.getI32Type());
  Value wide =
      arith::ExtUIOp::create(b, i32, arith::BitcastOp::create(b, i16, x));
  Value bits = arith::ShLIOp::create(b, wide, integerConstant(b, i32, 16));
  return arith::BitcastOp::create(b, withShapeOf(x.getType(), b.getF32Type()),
                                  bits);
}

Value efc::cpu::toCompute(KernelBuilder &b, Value stored, Type elementType) {
  if (elementType.isInteger(1))
    return compareIntegers(b, arith::CmpIPredicate::ne, stored, 0);
  if (elementType.isBF16())
    return extendBF16(b, stored);
  if (elementType.isF16())
    return arith::ExtFOp::create(
        b, withShapeOf(stored.getType(), b.getF32Type()), stored);
  return stored;
}

Value efc::cpu::toStorage(KernelBuilder &b, Value computed, Type elementType) {
  Type type = computed.getType();
  if (elementType.isInteger(1))
    return arith::ExtUIOp::create(b, withShapeOf(type, b.getI8Type()),
                                  computed);
  if (elementType.isBF16())
    return roundToBF16(b, computed);
  if (elementType.isF16())
    return arith::TruncFOp::create(b, withShapeOf(type, elementType), computed);
  return computed;
}

//===----------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------===//

/// Saturates at the limits of iN, N = 32 or 64; NaN gives 0.
static Value floatToSigned(KernelBuilder &b, Value x, unsigned width) {
  FloatMath m(b, x.getType());
  Type integer = withShapeOf(x.getType(), b.getIntegerType(width));
  double limit = width == 32 ? 0x1p31 : 0x1p63;
  Value isNan = m.compare(arith::CmpFPredicate::UNO, x, x);
  Value isTooLarge = m.compare(arith::CmpFPredicate::OGE, x, m.constant(limit));
  Value isOutside = arith::OrIOp::create(b, isNan, isTooLarge);
  Value bounded = m.clampBelow(m.select(isOutside, m.constant(0), x), -limit);
  Value converted = arith::FPToSIOp::create(b, integer, bounded);
  int64_t largest = width == 32 ? INT32_MAX : INT64_MAX;
  return arith::SelectOp::create(
      b, isTooLarge, integerConstant(b, integer, largest), converted);
}

static Value floatToUnsigned64(KernelBuilder &b, Value x) {
  FloatMath m(b, x.getType());
  Value isLarge = m.compare(arith::CmpFPredicate::OGE, x, m.constant(0x1p63));
  Value lower = floatToSigned(b, x, 64);
  Value rest = floatToSigned(b, m.add(x, -0x1p63), 64);
  Value upper = arith::XOrIOp::create(
      b, rest, integerConstant(b, rest.getType(), INT64_MIN));
  return arith::SelectOp::create(b, isLarge, upper, lower);
}

static Value floatToInteger(KernelBuilder &b, Value x, IntegerType to) {
  FloatMath m(b, x.getType());
  if (to.getWidth() == 1)
    return m.compare(arith::CmpFPredicate::UNE, x, m.constant(0));
  if (to.isUnsignedInteger(64))
    return floatToUnsigned64(b, x);
  bool fits32 = to.getWidth() < 32 || (to.getWidth() == 32 && !to.isUnsigned());
  Value wide = floatToSigned(b, x, fits32 ? 32 : 64);
  Type type = withShapeOf(x.getType(), getComputeType(to));
  if (wide.getType() == type)
    return wide;
  return arith::TruncIOp::create(b, type, wide);
}

static Value integerToFloat(KernelBuilder &b, Value x, Type from, Type to) {
  Type type = withShapeOf(x.getType(), getComputeType(to));
  if (isUnsigned(from))
    return arith::UIToFPOp::create(b, type, x);
  return arith::SIToFPOp::create(b, type, x);
}

static Value integerToInteger(KernelBuilder &b, Value x, Type from, Type to) {
  if (to.isInteger(1) && !from.isInteger(1))
    return compareIntegers(b, arith::CmpIPredicate::ne, x, 0);
  unsigned fromWidth = from.getIntOrFloatBitWidth(),
           toWidth = to.getIntOrFloatBitWidth();
  Type type = withShapeOf(x.getType(), getComputeType(to));
  if (fromWidth == toWidth)
    return x;
  if (fromWidth > toWidth)
    return arith::TruncIOp::create(b, type, x);
  if (isUnsigned(from))
    return arith::ExtUIOp::create(b, type, x);
  return arith::ExtSIOp::create(b, type, x);
}

static Value floatToFloat(KernelBuilder &b, Value x, Type to) {
  Type type = withShapeOf(x.getType(), getComputeType(to));
  unsigned from = getElementTypeOrSelf(x.getType()).getIntOrFloatBitWidth(),
           width = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  if (from < width)
    return arith::ExtFOp::create(b, type, x);
  if (from > width)
    return arith::TruncFOp::create(b, type, x);
  return x;
}

Value efc::cpu::emitCast(KernelBuilder &b, Value x, Type from, Type to) {
  if (isa<IntegerType>(from) && isa<IntegerType>(to))
    return integerToInteger(b, x, from, to);
  if (auto integer = dyn_cast<IntegerType>(to))
    return floatToInteger(b, x, integer);
  Value value = isa<FloatType>(from) ? floatToFloat(b, x, to)
                                     : integerToFloat(b, x, from, to);
  // A cast is where the model asks for the rounding, so it is kept.
  if (from == to || getComputeType(to) == to)
    return value;
  return toCompute(b, toStorage(b, value, to), to);
}
