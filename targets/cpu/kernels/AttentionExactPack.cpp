// splitSigned and packHeadPairs of AttentionExact.h.
#include "targets/cpu/kernels/AttentionExact.h"
#include "targets/cpu/kernels/Conv.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/Packing.h"
#include "targets/cpu/kernels/ScalarEmitterMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

std::pair<Value, Value> efc::cpu::splitSigned(KernelBuilder &b, Value x) {
  Type type = x.getType();
  Value eight = integerConstant(b, type, 8);
  Value low =
      arith::ShRSIOp::create(b, arith::ShLIOp::create(b, x, eight), eight);
  Value carry = arith::ShRUIOp::create(b, arith::ShLIOp::create(b, x, eight),
                                       integerConstant(b, type, 15));
  Value high =
      arith::AddIOp::create(b, arith::ShRSIOp::create(b, x, eight), carry);
  return {high, low};
}

namespace {
/// One head's matrix B[k, n]; strides in elements of int16.
struct PairPacking {
  KernelBuilder &b;
  int64_t steps; ///< Of a panel: k and what fills it up.
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

  /// Consecutive channels of two tokens, interleaved; eight at a time.
  void emitRows(Value from, Value to, Value panel) {
    constexpr int64_t width = 8;
    auto half = VectorType::get({width}, i16);
    auto emitPair = [&](Value pair, Value column, bool hasFirst,
                        bool hasSecond) {
      auto load = [&](Value step) {
        Value place =
            b.add(b.mul(step, kStride), b.add(column, firstOf(panel)));
        return b.load(b.offsetPointer(from, place, i16), half);
      };
      Value step = b.mul(pair, 2);
      Value first = hasFirst ? load(step) : zero(half),
            second = hasSecond ? load(b.add(step, 1)) : zero(half);
      Value out = b.add(b.mul(pair, 2 * kPanelColumns), b.mul(column, 2));
      b.store(vector::InterleaveOp::create(b, first, second),
              b.offsetPointer(to, out, i16));
    };
    b.loop(b.index(0), columnsOf(panel), width, [&](Value column) {
      b.loop(0, k / 2, 1,
             [&](Value pair) { emitPair(pair, column, true, true); });
      if (k % 2)
        emitPair(b.index(k / 2), column, true, false);
      b.loop((k + 1) / 2, steps / 2, 1,
             [&](Value pair) { emitPair(pair, column, false, false); });
    });
  }

  Value firstOf(Value panel) { return b.mul(panel, kPanelColumns); }
  Value columnsOf(Value panel) {
    return b.min(b.index(kPanelColumns), b.sub(b.index(n), firstOf(panel)));
  }

  /// Any extents, one by one.
  void emitElements(Value from, Value to, Value panel) {
    b.loop(b.index(0), columnsOf(panel), 1, [&](Value column) {
      b.loop(0, k, 1, [&](Value i) {
        Value out =
            b.add(b.mul(b.divFloor(i, 2), 2 * kPanelColumns), b.mod(i, 2));
        Value place = b.add(b.mul(i, kStride),
                            b.mul(b.add(firstOf(panel), column), nStride));
        b.store(b.load(b.offsetPointer(from, place, i16), i16),
                b.offsetPointer(to, b.add(out, b.mul(column, 2)), i16));
      });
    });
  }

  void emit(Value from, Value to, Value panel) {
    if (kStride == 1 && k % 2 == 0 && nStride % 2 == 0) {
      emitWords(from, to, panel);
      return;
    }
    bool inRows = nStride == 1 && n % 8 == 0;
    if (!inRows || n % kPanelColumns != 0)
      emitZeroRun(b, to, b.index(steps * kPanelColumns), i16);
    if (inRows)
      emitRows(from, to, panel);
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
  int64_t steps = isKeys ? alignToPairs(k) : llvm::alignTo(k, kPanelColumns);
  Type i16 = main.getI16Type();
  auto packed = RankedTensorType::get(
      {batch * heads, panels, steps / 2, kPanelColumns, 2}, i16);
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
      PairPacking packing{
          b, steps, k, n, isKeys ? 1 : width, isKeys ? width : 1};
      packing.emit(b.offsetPointer(b.pointer(b.input(0)), from, i16),
                   b.offsetPointer(b.pointer(b.result(0)),
                                   b.mul(item, steps * kPanelColumns), i16),
                   panel);
    });
  };
  return dispatches.launch(main, launch, body).front();
}
