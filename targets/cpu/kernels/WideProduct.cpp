// See WideProduct.h. Blocking on AVX2: 2 rows x 2 registers, of which each has
// three accumulators (p, low, high), or 3 x 2 where every pair is a sum of its
// own.
#include "targets/cpu/kernels/WideProduct.h"

#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/PairProduct.h"
#include "targets/cpu/kernels/ScalarEmitterMath.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace efc::cpu;

/// More pairs at once gain little.
static constexpr int64_t kMaxPairs = 8;

WideProduct::WideProduct(DispatchBuilder &dispatches, int64_t aLimit,
                         int64_t bLimit)
    : dispatches(dispatches), pairs(1) {
  while (pairs < kMaxPairs && 4 * pairs * aLimit * bLimit <= INT32_MAX)
    pairs *= 2;
}

static int64_t getLanes(const CpuVariant &variant) {
  return std::min<int64_t>(variant.lanes, kPanelColumns);
}

/// The most rows whose accumulators fit the registers beside the columns, a
/// pair of A and a product; they divide every work item's rows.
int64_t WideProduct::chooseRows(int64_t vectors) const {
  const CpuVariant &variant = dispatches.variant;
  bool isSplit = variant.pairProduct == PairProduct::Widen;
  int64_t registers = variant.lanes == 8 ? 16 : 32;
  int64_t free = registers - (isSplit ? 2 : 1) * (vectors + 1) - 1;
  int64_t rows = free / (vectors * (pairs > 1 ? 3 : 2));
  while (rows > 1 && kRowGranule % rows)
    --rows;
  return std::max<int64_t>(rows, 1);
}

namespace {
/// The body of a block: rows x vectors over all of k.
struct WideBlock {
  KernelBuilder &b;
  int64_t rows, vectors, pairs;
  int64_t lanes = getLanes(b.variant);
  Type i16 = b.getI16Type(), i32 = b.getI32Type();
  VectorType sums = VectorType::get({lanes}, i32);

  Value argument(unsigned index) { return b.kernel.getArgument(index); }
  Value a() { return argument(0); }
  Value lda() { return argument(1); }
  Value panel() { return argument(2); }
  Value k() { return argument(3); }
  Value ldc() { return argument(6); }

  /// Accumulator `index` of all low and then all high ones.
  Value place(int64_t index) {
    int64_t count = rows * vectors, inHalf = index % count;
    Value base = argument(index < count ? 4 : 5);
    return b.offsetPointer(
        base, b.add(b.mul(ldc(), inHalf / vectors), inHalf % vectors * lanes),
        i32);
  }

  /// One pair of steps at `index`: its products added to `totals`, or they
  /// themselves where those are empty.
  void pairStep(Value index, SmallVectorImpl<Value> &totals) {
    SmallVector<PairLanes> columns;
    for (int64_t v = 0; v < vectors; ++v) {
      Value from = b.add(b.mul(index, kPanelColumns), 2 * v * lanes);
      columns.push_back(
          loadPairColumns(b, b.offsetPointer(panel(), from, i16), i16, lanes));
    }
    bool isFirst = totals.empty();
    for (int64_t row = 0; row < rows; ++row) {
      Value from = b.add(b.mul(lda(), row), index);
      PairLanes pair = broadcastPair(b, b.offsetPointer(a(), from, i16),
                                     /*isHalf=*/false, lanes);
      for (int64_t v = 0; v < vectors; ++v) {
        Value before =
            isFirst ? integerConstant(b, sums, 0) : totals[row * vectors + v];
        Value total = multiplyAddPairs(b, pair, columns[v], before);
        if (isFirst)
          totals.push_back(total);
        else
          totals[row * vectors + v] = total;
      }
    }
  }

  /// The steps from `index` on whose sum fits an int32.
  SmallVector<Value> sumStep(Value index, ValueRange accumulators) {
    SmallVector<Value> totals, next(accumulators);
    for (int64_t pair = 0; pair < pairs; ++pair)
      pairStep(b.add(index, 2 * pair), totals);
    Value sixteen = integerConstant(b, sums, 16);
    for (auto [i, total] : llvm::enumerate(totals)) {
      Value &low = next[i], &high = next[totals.size() + i];
      low = arith::AddIOp::create(b, low, total);
      high = arith::AddIOp::create(b, high,
                                   arith::ShRSIOp::create(b, total, sixteen));
    }
    return next;
  }

  void run() {
    SmallVector<Value> accumulators;
    for (int64_t i = 0; i < 2 * rows * vectors; ++i)
      accumulators.push_back(b.load(place(i), sums));
    accumulators =
        emitReductionLoop(b, b.index(0), k(), 2 * pairs, accumulators,
                          [&](Value index, ValueRange carried) {
                            return sumStep(index, carried);
                          });
    for (auto [i, value] : llvm::enumerate(accumulators))
      b.store(value, place(int64_t(i)));
  }
};
} // namespace

func::FuncOp WideProduct::getBlock(KernelBuilder &b, int64_t rows,
                                   int64_t vectors) const {
  MLIRContext *context = b.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context),
       index = IndexType::get(context);
  auto type = FunctionType::get(
      context, {pointer, index, pointer, index, pointer, pointer, index}, {});
  std::string name =
      llvm::formatv("wideproduct_{0}_{1}x{2}", pairs, rows, vectors);
  return dispatches.getOrCreateHelper(name, type, [&](func::FuncOp block) {
    block->setAttr("llvm.no_inline", UnitAttr::get(context));
    KernelBuilder builder(block, dispatches.variant, 0, 0);
    WideBlock{builder, rows, vectors, pairs}.run();
    func::ReturnOp::create(builder);
  });
}

/// All rows of one panel's columns.
void WideProduct::emitPanel(KernelBuilder &b, const WideOperands &operands,
                            int64_t vectors) const {
  auto emitRows = [&](Value from, Value to, int64_t height) {
    b.loop(from, to, height, [&](Value row) {
      Value place = b.mul(row, operands.ldc);
      Type i32 = b.getI32Type();
      func::CallOp::create(
          b, getBlock(b, height, vectors),
          ValueRange{b.offsetPointer(operands.a, b.mul(row, operands.lda),
                                     b.getI16Type()),
                     operands.lda, operands.b, operands.k,
                     b.offsetPointer(operands.low, place, i32),
                     b.offsetPointer(operands.high, place, i32), operands.ldc});
    });
  };
  int64_t height = chooseRows(vectors);
  Value whole = b.mul(b.divFloor(operands.rows, height), height);
  emitRows(b.index(0), whole, height);
  if (height > 1)
    emitRows(whole, operands.rows, 1);
}

void WideProduct::emit(KernelBuilder &b, const WideOperands &operands,
                       int64_t columns) const {
  int64_t lanes = getLanes(b.variant);
  int64_t whole = columns / kPanelColumns;
  auto at = [&](Value panel) {
    WideOperands moved = operands;
    moved.b = b.offsetPointer(operands.b, b.mul(operands.bPanel, panel),
                              b.getI16Type());
    Value column = b.mul(panel, kPanelColumns);
    moved.low = b.offsetPointer(operands.low, column, b.getI32Type());
    moved.high = b.offsetPointer(operands.high, column, b.getI32Type());
    return moved;
  };
  b.loop(0, whole, 1,
         [&](Value panel) { emitPanel(b, at(panel), kPanelColumns / lanes); });
  if (int64_t rest = columns % kPanelColumns)
    emitPanel(b, at(b.index(whole)), llvm::divideCeil(rest, lanes));
}

Value efc::cpu::emitWideSum(KernelBuilder &b, Value low, Value high) {
  Type i32 = low.getType();
  FloatMath m(b, withShapeOf(i32, b.getF64Type()));
  Value sixteen = integerConstant(b, i32, 16);
  Value cut =
      arith::SubIOp::create(b, low, arith::ShLIOp::create(b, high, sixteen));
  Value upper =
      arith::AddIOp::create(b, high, arith::ShRUIOp::create(b, cut, sixteen));
  Value lower = arith::AndIOp::create(b, cut, integerConstant(b, i32, 0xffff));
  auto toDouble = [&](Value x) {
    return arith::SIToFPOp::create(b, withShapeOf(i32, b.getF64Type()), x);
  };
  return m.fma(toDouble(upper), m.constant(65536), toDouble(lower));
}
