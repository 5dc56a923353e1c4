// See WinogradTransform.h.
#include "targets/cpu/kernels/WinogradTransform.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace efc::cpu;

namespace {
/// Sums and scaled sums of values of one type.
struct Terms {
  KernelBuilder &b;

  Value constant(double value, Type type) {
    TypedAttr scalar = b.getF32FloatAttr(static_cast<float>(value));
    if (auto vector = dyn_cast<VectorType>(type))
      return arith::ConstantOp::create(b,
                                       DenseElementsAttr::get(vector, scalar));
    return arith::ConstantOp::create(b, scalar);
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value scale(double factor, Value x) {
    return arith::MulFOp::create(b, constant(factor, x.getType()), x);
  }
  /// factor * x + y
  Value scaleAdd(double factor, Value x, Value y) {
    return math::FmaOp::create(b, constant(factor, x.getType()), x, y);
  }
};
} // namespace

using Transform = SmallVector<Value> (*)(Terms, ArrayRef<Value>);

static SmallVector<Value> inputLine(Terms t, ArrayRef<Value> d) {
  Value even = t.scaleAdd(-4, d[2], d[4]), odd = t.scaleAdd(-4, d[1], d[3]);
  Value evenFar = t.sub(d[4], d[2]), oddFar = t.sub(d[3], d[1]);
  return {t.scaleAdd(4, d[0], t.scaleAdd(-5, d[2], d[4])),
          t.add(even, odd),
          t.sub(even, odd),
          t.scaleAdd(2, oddFar, evenFar),
          t.scaleAdd(-2, oddFar, evenFar),
          t.scaleAdd(4, d[1], t.scaleAdd(-5, d[3], d[5]))};
}

static SmallVector<Value> filterLine(Terms t, ArrayRef<Value> g) {
  Value near = t.scale(-1.0 / 6, t.add(g[0], g[2]));
  Value far = t.scaleAdd(1.0 / 24, g[0], t.scale(1.0 / 6, g[2]));
  return {t.scale(0.25, g[0]),
          t.scaleAdd(-1.0 / 6, g[1], near),
          t.scaleAdd(1.0 / 6, g[1], near),
          t.scaleAdd(1.0 / 12, g[1], far),
          t.scaleAdd(-1.0 / 12, g[1], far),
          g[2]};
}

static SmallVector<Value> outputLine(Terms t, ArrayRef<Value> m) {
  Value sum = t.add(m[1], m[2]), difference = t.sub(m[1], m[2]);
  Value sumFar = t.add(m[3], m[4]), differenceFar = t.sub(m[3], m[4]);
  return {t.add(t.add(m[0], sum), sumFar),
          t.scaleAdd(2, differenceFar, difference), t.scaleAdd(4, sumFar, sum),
          t.add(t.scaleAdd(8, differenceFar, difference), m[5])};
}

SmallVector<Value> efc::cpu::transformSquare(
    ArrayRef<Value> matrix, int64_t size, int64_t resultSize,
    llvm::function_ref<SmallVector<Value>(ArrayRef<Value>)> line) {
  SmallVector<Value> half(resultSize * size), result;
  for (int64_t column = 0; column < size; ++column) {
    SmallVector<Value> values;
    for (int64_t row = 0; row < size; ++row)
      values.push_back(matrix[row * size + column]);
    for (auto [row, value] : llvm::enumerate(line(values)))
      half[row * size + column] = value;
  }
  for (int64_t row = 0; row < resultSize; ++row)
    result.append(line(ArrayRef(half).slice(row * size, size)));
  return result;
}

static SmallVector<Value> transform(KernelBuilder &b, ArrayRef<Value> matrix,
                                    int64_t size, int64_t resultSize,
                                    Transform line) {
  Terms terms{b};
  return transformSquare(matrix, size, resultSize, [&](ArrayRef<Value> values) {
    return line(terms, values);
  });
}

SmallVector<Value> efc::cpu::transformInput(KernelBuilder &b,
                                            ArrayRef<Value> patch) {
  return transform(b, patch, kWinogradInput, kWinogradInput, inputLine);
}

SmallVector<Value> efc::cpu::transformFilter(KernelBuilder &b,
                                             ArrayRef<Value> filter) {
  return transform(b, filter, kWinogradFilter, kWinogradInput, filterLine);
}

SmallVector<Value> efc::cpu::transformOutput(KernelBuilder &b,
                                             ArrayRef<Value> products) {
  return transform(b, products, kWinogradInput, kWinogradOutput, outputLine);
}
