// See WinogradInteger.h.
#include "targets/cpu/kernels/WinogradInteger.h"

#include "targets/cpu/kernels/WinogradTransform.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace efc::cpu;

namespace {
/// How sums are made.
struct Terms {
  KernelBuilder &b;
  bool saturates = false;

  Value sum(Value x, Value y) {
    if (saturates)
      return LLVM::SAddSat::create(b, x, y);
    return arith::AddIOp::create(b, x, y);
  }
  Value difference(Value x, Value y) {
    if (saturates)
      return LLVM::SSubSat::create(b, x, y);
    return arith::SubIOp::create(b, x, y);
  }
};
} // namespace

static SmallVector<Value> inputLine(Terms t, ArrayRef<Value> d) {
  return {t.difference(d[0], d[2]), t.sum(d[1], d[2]), t.difference(d[2], d[1]),
          t.difference(d[1], d[3])};
}

/// Twice the transform.
static SmallVector<Value> filterLine(Terms t, ArrayRef<Value> g) {
  Value outer = t.sum(g[0], g[2]);
  return {t.sum(g[0], g[0]), t.sum(outer, g[1]), t.difference(outer, g[1]),
          t.sum(g[2], g[2])};
}

static SmallVector<Value> outputLine(Terms t, ArrayRef<Value> m) {
  return {t.sum(t.sum(m[0], m[1]), m[2]),
          t.difference(t.difference(m[1], m[2]), m[3])};
}

static SmallVector<Value>
transform(Terms terms, ArrayRef<Value> matrix, int64_t size, int64_t resultSize,
          SmallVector<Value> (*line)(Terms, ArrayRef<Value>)) {
  return transformSquare(matrix, size, resultSize, [&](ArrayRef<Value> values) {
    return line(terms, values);
  });
}

SmallVector<Value> winograd2::transformInput(KernelBuilder &b,
                                             ArrayRef<Value> d) {
  return transform({b}, d, kInput, kInput, inputLine);
}

SmallVector<Value> winograd2::transformInputSaturating(KernelBuilder &b,
                                                       ArrayRef<Value> d) {
  // Sums of two, on the columns, never reach the limits.
  return transform({b, /*saturates=*/true}, d, kInput, kInput, inputLine);
}

SmallVector<Value> winograd2::transformFilter(KernelBuilder &b,
                                              ArrayRef<Value> g) {
  return transform({b}, g, kFilter, kInput, filterLine);
}

SmallVector<Value> winograd2::transformOutput(KernelBuilder &b,
                                              ArrayRef<Value> m) {
  return transform({b}, m, kInput, kOutput, outputLine);
}
