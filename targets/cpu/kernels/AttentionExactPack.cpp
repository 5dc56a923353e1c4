// packHeadPairs of AttentionExact.h.
#include "targets/cpu/kernels/AttentionExact.h"
#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/Packing.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

namespace {
/// One head's matrix B[k, n]; strides in elements of int16.
struct PairPacking {
  KernelBuilder &b;
  int64_t k, n, kStride, nStride;
  Type i16 = b.getI16Type();

  Value zero(Type type) {
    return arith::ConstantOp::create(b, b.getZeroAttr(type));
  }

  /// Tokens of consecutive channels: a pair is 32 bits.
  void emitWords(Value from, Value to, Value panel) {
    PackSource source;
    source.k = k / 2;
    source.n = n;
    source.kStride = 1;
    source.nStride = nStride / 2;
    emitPackPanel(b, from, to, panel, source, b.getI32Type());
  }

  /// Two rows of consecutive columns, interleaved, eight columns at a time.
  void emitRowPairs(Value from, Value to, Value panel) {
    constexpr int64_t width = 8;
    auto half = VectorType::get({width}, i16);
    Value firstColumn = b.mul(panel, kPanelColumns);
    Value columns =
        b.min(b.index(kPanelColumns), b.sub(b.index(n), firstColumn));
    auto emitPair = [&](Value pair, bool hasSecond) {
      Value row = b.add(b.mul(b.mul(pair, 2), kStride), firstColumn);
      Value out = b.mul(pair, 2 * kPanelColumns);
      b.loop(b.index(0), columns, width, [&](Value column) {
        Value place = b.offsetPointer(from, b.add(row, column), i16);
        Value first = b.load(place, half), second = zero(half);
        if (hasSecond)
          second = b.load(b.offsetPointer(place, b.index(kStride), i16), half);
        b.store(vector::InterleaveOp::create(b, first, second),
                b.offsetPointer(to, b.add(out, b.mul(column, 2)), i16));
      });
      b.loop(columns, b.index(kPanelColumns), width, [&](Value column) {
        b.store(zero(VectorType::get({2 * width}, i16)),
                b.offsetPointer(to, b.add(out, b.mul(column, 2)), i16));
      });
    };
    b.loop(0, k / 2, 1, [&](Value pair) { emitPair(pair, true); });
    if (k % 2)
      emitPair(b.index(k / 2), false);
  }

  /// Any extents, one by one.
  void emitElements(Value from, Value to, Value panel) {
    Value firstColumn = b.mul(panel, kPanelColumns);
    Value columns =
        b.min(b.index(kPanelColumns), b.sub(b.index(n), firstColumn));
    int64_t elements = alignToPairs(k) * kPanelColumns;
    b.loop(0, elements, 1,
           [&](Value i) { b.store(zero(i16), b.offsetPointer(to, i, i16)); });
    b.loop(0, k, 1, [&](Value i) {
      Value out =
          b.add(b.mul(b.divFloor(i, 2), 2 * kPanelColumns), b.mod(i, 2));
      b.loop(b.index(0), columns, 1, [&](Value column) {
        Value place = b.add(b.mul(i, kStride),
                            b.mul(b.add(firstColumn, column), nStride));
        b.store(b.load(b.offsetPointer(from, place, i16), i16),
                b.offsetPointer(to, b.add(out, b.mul(column, 2)), i16));
      });
    });
  }

  void emit(Value from, Value to, Value panel) {
    if (kStride == 1 && k % 2 == 0 && nStride % 2 == 0)
      emitWords(from, to, panel);
    else if (nStride == 1 && n % 8 == 0)
      emitRowPairs(from, to, panel);
    else
      emitElements(from, to, panel);
  }
};
} // namespace

Value efc::cpu::packHeadPairs(Value tensor, int64_t heads, bool isKeys,
                              OpBuilder &main, DispatchBuilder &dispatches) {
  auto type = cast<RankedTensorType>(tensor.getType());
  int64_t batch = type.getDimSize(0), tokens = type.getDimSize(1),
          width = type.getDimSize(2), depth = width / heads;
  int64_t k = isKeys ? depth : tokens, n = isKeys ? tokens : depth;
  int64_t panels = llvm::divideCeil(n, kPanelColumns);
  Type i16 = main.getI16Type();
  auto packed = RankedTensorType::get(
      {batch * heads, panels, alignToPairs(k) / 2, kPanelColumns, 2}, i16);
  Launch launch{main.getInsertionPoint()->getLoc(),
                "pack_heads_i16",
                "attention.pack",
                llvm::formatv("{0}{1}", isKeys ? "keys" : "values", heads),
                {tensor},
                {packed}};
  launch.work = batch * heads * panels;
  auto body = [&](KernelBuilder &b) {
    b.forEachWorkItem([&](Value item) {
      Value panel = b.mod(item, panels), head = b.divFloor(item, panels);
      Value from = b.add(b.mul(b.divFloor(head, heads), tokens * width),
                         b.mul(b.mod(head, heads), depth));
      PairPacking packing{b, k, n, isKeys ? 1 : width, isKeys ? width : 1};
      packing.emit(b.offsetPointer(b.pointer(b.input(0)), from, i16),
                   b.offsetPointer(b.pointer(b.result(0)),
                                   b.mul(item, alignToPairs(k) * kPanelColumns),
                                   i16),
                   panel);
    });
  };
  return dispatches.launch(main, launch, body).front();
}
