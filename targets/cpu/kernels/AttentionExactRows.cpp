// The steps of AttentionExact.h between the products: rows of scores to int16,
// to exponentials, to results. Sixteen keys at a time.
#include "targets/cpu/kernels/AttentionExact.h"
#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/WideProduct.h"

#include "runtime/npu/Numerics.h"
#include "targets/cpu/kernels/ScalarEmitterMath.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;
namespace numerics = efrt::numerics;

static constexpr int64_t kWidth = kPanelColumns;
/// The score of a key that a row does not see; those of others are larger.
static constexpr int64_t kHidden = -32768;

static Type vectorOf(Type element) {
  return VectorType::get({kWidth}, element);
}

Value ExactAttentionRows::at(Value base, Value row, int64_t stride,
                             Value column, Type element) {
  return b.offsetPointer(base, b.add(b.mul(row, stride), column), element);
}

void ExactAttentionRows::splitRows(Value query, int64_t stride) {
  Type i16 = b.getI16Type();
  b.loop(b.index(0), rows, 1, [&](Value row) {
    emitVectorLoop(
        b, b.index(0), b.index(shape.depth), 8, [&](Value k, int64_t lanes) {
          Type type = lanes == 1 ? i16 : Type(VectorType::get({lanes}, i16));
          auto [high, low] =
              splitSigned(b, b.load(at(query, row, stride, k, i16), type));
          b.store(high, at(splitQueries, row, shape.depth, k, i16));
          b.store(low, at(splitQueries, b.add(row, rows), shape.depth, k, i16));
        });
  });
}

/// RN(256 hi + lo) as f32: split at bit 16, both parts are exact and one fma
/// rounds their sum.
static Value roundSum(KernelBuilder &b, Value high, Value low) {
  Type i32 = high.getType();
  auto shift = [&](int64_t by) { return integerConstant(b, i32, by); };
  Value upper =
      arith::AddIOp::create(b, high, arith::ShRSIOp::create(b, low, shift(8)));
  upper = arith::ShRSIOp::create(b, upper, shift(8));
  Value lower =
      arith::AddIOp::create(b, arith::ShLIOp::create(b, high, shift(8)), low);
  lower = arith::AndIOp::create(b, lower, integerConstant(b, i32, 0xffff));
  FloatMath m(b, withShapeOf(i32, b.getF32Type()));
  auto toFloat = [&](Value x) {
    return arith::SIToFPOp::create(b, withShapeOf(i32, b.getF32Type()), x);
  };
  return m.fma(toFloat(upper), m.constant(65536), toFloat(lower));
}

void ExactAttentionRows::storeScores(Value firstKey, Value columns) {
  Type i16 = b.getI16Type(), i32 = b.getI32Type();
  constexpr int64_t stride = ExactAttentionShape::kKeyBlock;
  FloatMath m(b, vectorOf(b.getF32Type()));
  Value factor = b.splat(scoreFactor, kWidth),
        inverse = b.splat(inverseScoreScale, kWidth);
  b.loop(b.index(0), rows, 1, [&](Value row) {
    b.loop(b.index(0), columns, kWidth, [&](Value column) {
      Value high = b.load(at(sums, row, stride, column, i32), vectorOf(i32));
      Value sum;
      if (shape.splitsQueries)
        sum = roundSum(b, high,
                       b.load(at(sums, b.add(row, rows), stride, column, i32),
                              vectorOf(i32)));
      else
        sum = arith::SIToFPOp::create(b, vectorOf(b.getF32Type()), high);
      Value score = m.mul(m.mul(sum, factor), inverse);
      // No NaN: a finite sum times positive numbers.
      Value q = emitNarrow(b, emitRint(b, m.clampAbove(score, 32767)));
      b.store(
          arith::MaxSIOp::create(b, q,
                                 integerConstant(b, vectorOf(i16), -32767)),
          at(scores, row, shape.paddedKeys(), b.add(firstKey, column), i16));
    });
  });
}

void ExactAttentionRows::findLargest() {
  Type i16 = b.getI16Type(), i32 = b.getI32Type();
  Value hidden = integerConstant(b, i16, kHidden);
  b.loop(b.index(0), rows, 1, [&](Value row) {
    auto place = [&](Value key) {
      return at(scores, row, shape.paddedKeys(), key, i16);
    };
    Value seen = b.index(shape.keys);
    if (shape.causal) {
      Value end = b.add(b.add(firstRow, row), shape.keys - shape.queries + 1);
      seen = b.min(arith::MaxSIOp::create(b, end, b.index(0)), seen);
    }
    if (shape.hidesKeys())
      b.loop(seen, b.index(shape.paddedKeys()), 1,
             [&](Value key) { b.store(hidden, place(key)); });
    SmallVector<Value> found = emitReductionLoop(
        b, b.index(0), b.index(shape.paddedKeys()), kWidth,
        integerConstant(b, vectorOf(i16), kHidden),
        [&](Value key, ValueRange found) {
          return SmallVector<Value>{arith::MaxSIOp::create(
              b, found[0], b.load(place(key), vectorOf(i16)))};
        });
    Value maximum =
        vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, found[0]);
    b.store(arith::ExtSIOp::create(b, i32, maximum),
            b.offsetPointer(largest, row, i32));
  });
}

void ExactAttentionRows::start() {
  Type i32 = b.getI32Type(), i64 = b.getI64Type();
  Value zero = integerConstant(b, vectorOf(i32), 0);
  b.loop(b.index(0), rows, 1, [&](Value row) {
    b.store(integerConstant(b, i64, 0), b.offsetPointer(totals, row, i64));
    b.loop(0, shape.valueColumns(), kWidth, [&](Value column) {
      for (Value sums : {low, high})
        b.store(zero, at(sums, row, shape.valueColumns(), column, i32));
    });
  });
}

/// rint(RN(exp32(RN(d * score scale)) * 32767)), d the difference (0 or less).
/// numerics::exp32 without what does not change a bit of that: where exp is
/// clamped the result is 0, and 2^n is a normal number.
Value ExactAttentionRows::exponential(Value score, Value largest) {
  Type i32 = vectorOf(b.getI32Type()), f32 = vectorOf(b.getF32Type());
  FloatMath m(b, f32);
  Value difference =
      arith::SubIOp::create(b, arith::ExtSIOp::create(b, i32, score), largest);
  Value x = m.mul(arith::SIToFPOp::create(b, f32, difference),
                  b.splat(scoreScale, kWidth));
  x = m.clampBelow(x, -40);
  Value magic = m.constant(numerics::kRoundMagic);
  Value shifted = m.fma(x, m.constant(numerics::kLog2E), magic);
  Value n = m.sub(shifted, magic);
  Value r = m.fma(n, m.constant(-numerics::kLn2High), x);
  r = m.fma(n, m.constant(-numerics::kLn2Low), r);
  Value p =
      m.polynomial(r, SmallVector<double>(numerics::kExpPolynomial.begin(),
                                          numerics::kExpPolynomial.end()));
  Value power = m.add(m.fma(m.mul(r, r), p, r), 1.0);
  // The low bits of `shifted` are n: times 2^n by adding to the exponent.
  Value exponent =
      arith::ShLIOp::create(b, arith::BitcastOp::create(b, i32, shifted),
                            integerConstant(b, i32, 23));
  Value scaled = arith::BitcastOp::create(
      b, f32,
      arith::AddIOp::create(b, arith::BitcastOp::create(b, i32, power),
                            exponent));
  Value weight = emitRint(b, m.mul(scaled, 32767.0));
  if (!shape.hidesKeys())
    return weight;
  Value isHidden = compareIntegers(b, arith::CmpIPredicate::eq, score, kHidden);
  return arith::SelectOp::create(b, isHidden, integerConstant(b, i32, 0),
                                 weight);
}

void ExactAttentionRows::storeWeights(Value firstKey, Value columns) {
  Type i16 = b.getI16Type(), i32 = b.getI32Type(), i64 = b.getI64Type();
  constexpr int64_t stride = ExactAttentionShape::kValueBlock;
  b.loop(b.index(0), rows, 1, [&](Value row) {
    Value maximum =
        b.splat(b.load(b.offsetPointer(largest, row, i32), i32), kWidth);
    SmallVector<Value> sums = emitReductionLoop(
        b, b.index(0), columns, kWidth, integerConstant(b, vectorOf(i32), 0),
        [&](Value column, ValueRange sums) {
          Value score = b.load(
              at(scores, row, shape.paddedKeys(), b.add(firstKey, column), i16),
              vectorOf(i16));
          Value weight = exponential(score, maximum);
          b.store(emitNarrow(b, weight), at(weights, row, stride, column, i16));
          return SmallVector<Value>{arith::AddIOp::create(b, sums[0], weight)};
        });
    Value sum =
        vector::ReductionOp::create(b, vector::CombiningKind::ADD, sums[0]);
    Value place = b.offsetPointer(totals, row, i64);
    b.store(arith::AddIOp::create(b, b.load(place, i64),
                                  arith::ExtSIOp::create(b, i64, sum)),
            place);
  });
}

void ExactAttentionRows::finish(Value to) {
  Type i32 = b.getI32Type(), i64 = b.getI64Type(), f32 = b.getF32Type();
  constexpr int64_t width = 8;
  auto narrow = VectorType::get({width}, f32);
  FloatMath m(b, narrow);
  int64_t stride = shape.valueColumns();
  b.loop(b.index(0), rows, 1, [&](Value row) {
    Value total = b.load(b.offsetPointer(totals, row, i64), i64);
    Value isEmpty = compareIntegers(b, arith::CmpIPredicate::eq, total, 0);
    Value divisor = b.splat(arith::SIToFPOp::create(b, f32, total), width);
    b.loop(0, stride, width, [&](Value column) {
      auto load = [&](Value sums) {
        return b.load(at(sums, row, stride, column, i32),
                      VectorType::get({width}, i32));
      };
      Value sum = emitWideSum(b, load(low), load(high));
      Value value = m.mul(arith::TruncFOp::create(b, narrow, sum),
                          b.splat(valueScale, width));
      // A row that sees no key is zero.
      b.store(m.select(b.splat(isEmpty, width), m.constant(0),
                       m.div(value, divisor)),
              at(to, row, stride, column, f32));
    });
  });
}
