// See IntegerSums.h.
#include "targets/cpu/kernels/IntegerSums.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace efc::cpu;

static Type withShapeOf(Type shaped, Type element) {
  if (auto vector = dyn_cast<VectorType>(shaped))
    return VectorType::get(vector.getShape(), element);
  return element;
}

void efc::cpu::emitAddChunk(KernelBuilder &b, Value sums, Value wide,
                            Value count, Value isFirst) {
  int64_t lanes = std::min<int64_t>(b.variant.lanes, kPanelColumns);
  Type i32 = b.getI32Type(), f64 = b.getF64Type();
  VectorType narrow = VectorType::get({lanes}, i32),
             broad = VectorType::get({lanes}, f64);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(broad));
  b.loop(b.index(0), count, lanes, [&](Value i) {
    Value place = b.offsetPointer(wide, i, f64);
    Value chunk = arith::SIToFPOp::create(
        b, broad, b.load(b.offsetPointer(sums, i, i32), narrow));
    // The first chunk finds uninitialised memory: it may hold a NaN.
    Value before =
        arith::SelectOp::create(b, isFirst, zero, b.load(place, broad));
    b.store(arith::AddFOp::create(b, before, chunk), place);
  });
}

Value efc::cpu::emitScaledSum(KernelBuilder &b, Value sum, Value factor) {
  Type type = sum.getType(), f32 = withShapeOf(type, b.getF32Type());
  Type element = getElementTypeOrSelf(type);
  // Integers below 2^53 are exact in binary64, so that one rounding is left.
  if (element.isInteger(64))
    sum = arith::SIToFPOp::create(b, withShapeOf(type, b.getF64Type()), sum);
  Value rounded = element.isInteger(32)
                      ? arith::SIToFPOp::create(b, f32, sum).getResult()
                      : arith::TruncFOp::create(b, f32, sum).getResult();
  return arith::MulFOp::create(b, rounded, factor);
}
