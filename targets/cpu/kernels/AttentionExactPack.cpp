// splitSigned and packHeadPairs of AttentionExact.h.
#include "targets/cpu/kernels/AttentionExact.h"
#include "targets/cpu/kernels/ElementwiseLoop.h"
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
  bool splits; ///< Values: nStride is 1. Of keys, kStride is 1.
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

  /// Eight channels of two tokens, split and interleaved.
  void emitSplitRows(Value from, Value to, Value panel) {
    constexpr int64_t width = ExactAttentionShape::kValuePanel;
    auto half = VectorType::get({width}, i16);
    auto emitPair = [&](Value pair, bool hasSecond) {
      Value place = b.offsetPointer(
          from, b.add(b.mul(b.mul(pair, 2), kStride), b.mul(panel, width)),
          i16);
      Value out = b.offsetPointer(to, b.mul(pair, 2 * kPanelColumns), i16);
      auto first = splitSigned(b, b.load(place, half));
      auto second = std::make_pair(zero(half), zero(half));
      if (hasSecond)
        second = splitSigned(
            b, b.load(b.offsetPointer(place, b.index(kStride), i16), half));
      b.store(vector::InterleaveOp::create(b, first.first, second.first), out);
      b.store(vector::InterleaveOp::create(b, first.second, second.second),
              b.offsetPointer(out, b.index(2 * width), i16));
    };
    b.loop(0, k / 2, 1, [&](Value pair) { emitPair(pair, true); });
    if (k % 2)
      emitPair(b.index(k / 2), false);
  }

  /// Any extents, one by one.
  void emitElements(Value from, Value to, Value panel) {
    int64_t width = splits ? ExactAttentionShape::kValuePanel : kPanelColumns;
    Value firstColumn = b.mul(panel, width);
    Value columns = b.min(b.index(width), b.sub(b.index(n), firstColumn));
    int64_t elements = alignToPairs(k) * kPanelColumns;
    b.loop(0, elements, 1,
           [&](Value i) { b.store(zero(i16), b.offsetPointer(to, i, i16)); });
    b.loop(0, k, 1, [&](Value i) {
      Value out =
          b.add(b.mul(b.divFloor(i, 2), 2 * kPanelColumns), b.mod(i, 2));
      b.loop(b.index(0), columns, 1, [&](Value column) {
        Value place = b.add(b.mul(i, kStride),
                            b.mul(b.add(firstColumn, column), nStride));
        Value element = b.load(b.offsetPointer(from, place, i16), i16);
        Value target = b.offsetPointer(to, b.add(out, b.mul(column, 2)), i16);
        if (!splits) {
          b.store(element, target);
          return;
        }
        auto [high, low] = splitSigned(b, element);
        b.store(high, target);
        b.store(low, b.offsetPointer(target, b.index(2 * width), i16));
      });
    });
  }

  void emit(Value from, Value to, Value panel) {
    if (!splits && k % 2 == 0 && nStride % 2 == 0)
      emitWords(from, to, panel);
    else if (splits && n % ExactAttentionShape::kValuePanel == 0)
      emitSplitRows(from, to, panel);
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
  int64_t panels = llvm::divideCeil(
      n, isKeys ? kPanelColumns : ExactAttentionShape::kValuePanel);
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
      PairPacking packing{
          b, !isKeys, k, n, isKeys ? 1 : width, isKeys ? width : 1};
      packing.emit(b.offsetPointer(b.pointer(b.input(0)), from, i16),
                   b.offsetPointer(b.pointer(b.result(0)),
                                   b.mul(item, alignToPairs(k) * kPanelColumns),
                                   i16),
                   panel);
    });
  };
  return dispatches.launch(main, launch, body).front();
}
