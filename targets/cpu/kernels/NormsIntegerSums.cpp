// See NormsIntegerSums.h. A square has 30 bits: added as two halves of 16 and
// 14 bits, 32-bit lanes hold 32768 of them, and no lane is widened in the loop.
#include "targets/cpu/kernels/NormsIntegerSums.h"

#include "targets/cpu/kernels/ElementwiseLoop.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace efc::cpu;

static Value zeroOf(KernelBuilder &b, Type type) {
  return arith::ConstantOp::create(b, b.getZeroAttr(type));
}

PartialSums PartialSums::zero(KernelBuilder &b, int64_t lanes) {
  Type type = b.getI32Type();
  Value zero =
      zeroOf(b, lanes == 1 ? type : Type(VectorType::get({lanes}, type)));
  return {zero, zero, zero};
}

PartialSums PartialSums::add(KernelBuilder &b, Value q) const {
  Type type = sum.getType();
  Value wide = arith::ExtSIOp::create(b, type, q);
  Value square = arith::MulIOp::create(b, wide, wide);
  Value lower =
      arith::AndIOp::create(b, square, integerConstant(b, type, 0xffff));
  Value upper = arith::ShRUIOp::create(b, square, integerConstant(b, type, 16));
  return {arith::AddIOp::create(b, sum, wide),
          arith::AddIOp::create(b, low, lower),
          arith::AddIOp::create(b, high, upper)};
}

/// A scalar or the sum of a vector's lanes, as i64.
static Value widen(KernelBuilder &b, Value value, bool isSigned) {
  Type type = withShapeOf(value.getType(), b.getI64Type());
  Value wide = isSigned ? Value(arith::ExtSIOp::create(b, type, value))
                        : Value(arith::ExtUIOp::create(b, type, value));
  if (!isa<VectorType>(type))
    return wide;
  return vector::ReductionOp::create(b, vector::CombiningKind::ADD, wide);
}

IntegerSums efc::cpu::finishSums(KernelBuilder &b, const PartialSums &sums) {
  Value high = widen(b, sums.high, /*isSigned=*/false);
  Value shifted =
      arith::ShLIOp::create(b, high, integerConstant(b, b.getI64Type(), 16));
  return {widen(b, sums.sum, /*isSigned=*/true),
          arith::AddIOp::create(b, shifted,
                                widen(b, sums.low, /*isSigned=*/false))};
}

/// For at most PartialSums::kMaxTerms elements a lane.
static IntegerSums emitBlockSums(KernelBuilder &b, Value pointer, Value lower,
                                 Value upper) {
  int64_t lanes = b.variant.lanes;
  Type i16 = b.getIntegerType(16);
  auto addTo = [&](int64_t width) {
    Type type = width == 1 ? i16 : Type(VectorType::get({width}, i16));
    return [&b, pointer, i16, type](Value i, ValueRange sums) {
      Value q = b.load(b.offsetPointer(pointer, i, i16), type);
      return PartialSums::of(sums).add(b, q).values();
    };
  };
  Value end =
      b.add(lower, b.mul(b.divFloor(b.sub(upper, lower), lanes), lanes));
  SmallVector<Value> vectors = emitReductionLoop(
      b, lower, end, lanes, PartialSums::zero(b, lanes).values(), addTo(lanes));
  SmallVector<Value> rest = emitReductionLoop(
      b, end, upper, 1, PartialSums::zero(b, 1).values(), addTo(1));
  IntegerSums sums = finishSums(b, PartialSums::of(vectors)),
              tail = finishSums(b, PartialSums::of(rest));
  return {arith::AddIOp::create(b, sums.sum, tail.sum),
          arith::AddIOp::create(b, sums.squares, tail.squares)};
}

IntegerSums efc::cpu::emitIntegerSums(KernelBuilder &b, Value pointer,
                                      Value lower, Value upper,
                                      int64_t maxLength) {
  int64_t block = PartialSums::kMaxTerms * b.variant.lanes;
  if (maxLength <= block)
    return emitBlockSums(b, pointer, lower, upper);
  Value zero = zeroOf(b, b.getI64Type());
  SmallVector<Value> totals = emitReductionLoop(
      b, lower, upper, block, {zero, zero},
      [&](Value first, ValueRange totals) {
        Value last = b.min(b.add(first, block), upper);
        IntegerSums sums = emitBlockSums(b, pointer, first, last);
        return SmallVector<Value>{
            arith::AddIOp::create(b, totals[0], sums.sum),
            arith::AddIOp::create(b, totals[1], sums.squares)};
      });
  return {totals[0], totals[1]};
}

NormStatistics efc::cpu::emitNormStatistics(KernelBuilder &b,
                                            const IntegerSums &sums,
                                            int64_t count, Value scale,
                                            double epsilon, bool rms) {
  Type f64 = b.getF64Type();
  FloatMath m(b, f64);
  Value n = m.constant(static_cast<double>(count));
  Value s = arith::ExtFOp::create(b, f64, scale);
  auto toDouble = [&](Value x) { return arith::SIToFPOp::create(b, f64, x); };
  Value mean = rms ? m.constant(0) : m.div(toDouble(sums.sum), n);
  Value variance = m.sub(m.div(toDouble(sums.squares), n), m.mul(mean, mean));
  variance = m.clampBelow(variance, 0);
  Value real = m.add(m.mul(m.mul(variance, s), s), epsilon);
  return {mean, m.mul(s, m.div(m.constant(1), m.sqrt(real)))};
}
