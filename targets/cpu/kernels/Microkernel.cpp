// See Microkernel.h. Blocking on AVX2: 6 rows x 2 registers of 8 lanes = 12
// accumulators, 2 registers of B, 1 to 2 broadcasts of A; a step of k takes 8
// loads for 12 multiply-adds, so that the two load ports are never the limit.
#include "targets/cpu/kernels/Microkernel.h"

#include "targets/cpu/kernels/PairProduct.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace efc::cpu;

/// Steps of k in one iteration of the inner loop.
static constexpr int64_t kUnroll = 4;
/// Pairs: LLVM reorders sums of integers, so that the products of several steps
/// would be live at once and spill.
static constexpr int64_t kPairUnroll = 1;

Microkernel::Microkernel(DispatchBuilder &dispatches, Type a, Type b, Type acc)
    : dispatches(dispatches), a(a), b(b), acc(acc) {}

Microkernel Microkernel::pairs(DispatchBuilder &dispatches, Type b) {
  MLIRContext *context = b.getContext();
  Microkernel microkernel(dispatches, IntegerType::get(context, 16), b,
                          IntegerType::get(context, 32));
  microkernel.inPairs = true;
  return microkernel;
}

/// Panels that one tile spans: registers may be wider than a panel together (2
/// x 16 lanes), or make up one (2 x 8, 4 x 4).
int64_t Microkernel::panelsPerTile() const {
  const CpuVariant &variant = dispatches.variant;
  return std::max<int64_t>(1, int64_t(variant.tileVectors) * variant.lanes /
                                  kPanelColumns);
}

static std::string typeName(Type type) {
  std::string name;
  llvm::raw_string_ostream(name) << type;
  return name;
}

namespace {
/// The body of one block function, in the order of its arguments.
struct BlockEmitter {
  KernelBuilder &b;
  Type aElement, bElement, acc;
  int64_t rows, vectors, lanes;
  bool inPairs;

  Value argument(unsigned index) { return b.kernel.getArgument(index); }
  Value a() { return argument(0); }
  Value lda() { return argument(1); }
  Value aTap() { return argument(2); }
  Value panel() { return argument(3); }
  Value bPanel() { return argument(4); }
  Value bTap() { return argument(5); }
  Value taps() { return argument(6); }
  Value k() { return argument(7); }
  Value c() { return argument(8); }
  Value ldc() { return argument(9); }
  Value accumulate() { return argument(10); }

  VectorType accVector() { return VectorType::get({lanes}, acc); }

  Value cPointer(int64_t row, int64_t vector) {
    return b.offsetPointer(c(), b.add(b.mul(ldc(), row), vector * lanes), acc);
  }

  SmallVector<Value> loadAccumulators() {
    SmallVector<Type> types(rows * vectors, accVector());
    auto branch = scf::IfOp::create(b, TypeRange(types), accumulate(),
                                    /*addElseBlock=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&branch.getThenRegion().front());
    SmallVector<Value> loaded;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t vector = 0; vector < vectors; ++vector)
        loaded.push_back(b.load(cPointer(row, vector), accVector()));
    scf::YieldOp::create(b, loaded);
    b.setInsertionPointToStart(&branch.getElseRegion().front());
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(accVector()));
    scf::YieldOp::create(b, SmallVector<Value>(rows * vectors, zero));
    return SmallVector<Value>(branch.getResults());
  }

  void storeAccumulators(ValueRange accumulators) {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t vector = 0; vector < vectors; ++vector)
        b.store(accumulators[row * vectors + vector], cPointer(row, vector));
  }

  Value multiplyAdd(Value x, Value y, Value z) {
    if (isa<FloatType>(acc))
      return vector::FMAOp::create(b, x, y, z);
    return arith::AddIOp::create(b, arith::MulIOp::create(b, x, y), z);
  }

  /// Elements narrower than the accumulators are widened as they are loaded.
  Value widen(Value loaded, Type element) {
    return emitCast(b, toCompute(b, loaded, element), getComputeType(element),
                    acc);
  }

  /// Where the columns of register `vector` stand at step `index`, each of
  /// `depth` elements.
  Value columnsPointer(Value panelPointer, Value index, int64_t vector,
                       int64_t depth) {
    Type stored = getStorageType(bElement);
    int64_t column = vector * lanes;
    Value place =
        b.offsetPointer(panelPointer, b.mul(index, kPanelColumns), stored);
    if (int64_t next = column / kPanelColumns)
      place = b.offsetPointer(place, b.mul(bPanel(), next), stored);
    return b.offsetPointer(place, b.index(column % kPanelColumns * depth),
                           stored);
  }

  /// Two steps of k, or the last one of an odd number.
  void pairStep(ArrayRef<Value> rowPointers, Value panelPointer, Value index,
                bool isHalf, SmallVectorImpl<Value> &accumulators) {
    SmallVector<PairLanes> columns;
    for (int64_t v = 0; v < vectors; ++v)
      columns.push_back(loadPairColumns(
          b, columnsPointer(panelPointer, index, v, 2), bElement, lanes));
    for (int64_t row = 0; row < rows; ++row) {
      Value place = b.offsetPointer(rowPointers[row], index, aElement);
      PairLanes pair = broadcastPair(b, place, isHalf, lanes);
      for (int64_t v = 0; v < vectors; ++v) {
        Value &accumulator = accumulators[row * vectors + v];
        accumulator = multiplyAddPairs(b, pair, columns[v], accumulator);
      }
    }
  }

  /// One step of k: `vectors` loads of B, then a broadcast and `vectors`
  /// multiply-adds for each row.
  void step(ArrayRef<Value> rowPointers, Value panelPointer, Value index,
            SmallVectorImpl<Value> &accumulators) {
    SmallVector<Value> columns;
    Type aStored = getStorageType(aElement), bStored = getStorageType(bElement);
    for (int64_t v = 0; v < vectors; ++v)
      columns.push_back(widen(b.load(columnsPointer(panelPointer, index, v, 1),
                                     VectorType::get({lanes}, bStored)),
                              bElement));
    for (int64_t row = 0; row < rows; ++row) {
      Value scalar = widen(
          b.load(b.offsetPointer(rowPointers[row], index, aStored), aStored),
          aElement);
      Value broadcast = b.splat(scalar, lanes);
      for (int64_t v = 0; v < vectors; ++v) {
        Value &accumulator = accumulators[row * vectors + v];
        accumulator = multiplyAdd(broadcast, columns[v], accumulator);
      }
    }
  }

  /// A loop over k, `unroll` steps (of one k or one pair) an iteration,
  /// carrying the accumulators.
  SmallVector<Value> loopOverK(ArrayRef<Value> rowPointers, Value panelPointer,
                               Value from, Value to, int64_t unroll,
                               ValueRange accumulators) {
    int64_t width = inPairs ? 2 : 1;
    auto loop =
        scf::ForOp::create(b, from, to, b.index(unroll * width), accumulators);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> carried(loop.getRegionIterArgs());
    for (int64_t u = 0; u < unroll; ++u) {
      Value index = b.add(loop.getInductionVar(), u * width);
      if (inPairs)
        pairStep(rowPointers, panelPointer, index, /*isHalf=*/false, carried);
      else
        step(rowPointers, panelPointer, index, carried);
    }
    scf::YieldOp::create(b, carried);
    return SmallVector<Value>(loop.getResults());
  }

  /// The last step where k is odd.
  SmallVector<Value> oddStep(ArrayRef<Value> rowPointers, Value panelPointer,
                             Value index, ValueRange accumulators) {
    Value some =
        arith::CmpIOp::create(b, arith::CmpIPredicate::slt, index, k());
    auto branch = scf::IfOp::create(b, accumulators.getTypes(), some,
                                    /*addElseBlock=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&branch.getThenRegion().front());
    SmallVector<Value> carried(accumulators);
    pairStep(rowPointers, panelPointer, index, /*isHalf=*/true, carried);
    scf::YieldOp::create(b, carried);
    b.setInsertionPointToStart(&branch.getElseRegion().front());
    scf::YieldOp::create(b, accumulators);
    return SmallVector<Value>(branch.getResults());
  }

  void run() {
    SmallVector<Value> accumulators = loadAccumulators();
    auto loop =
        scf::ForOp::create(b, b.index(0), taps(), b.index(1), accumulators);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value tap = loop.getInductionVar();
      Type aStored = getStorageType(aElement);
      Value first = b.offsetPointer(a(), b.mul(tap, aTap()), aStored);
      Value panelPointer = b.offsetPointer(panel(), b.mul(tap, bTap()),
                                           getStorageType(bElement));
      SmallVector<Value> rowPointers;
      for (int64_t row = 0; row < rows; ++row)
        rowPointers.push_back(
            b.offsetPointer(first, b.mul(lda(), row), aStored));
      int64_t unroll = inPairs ? kPairUnroll : kUnroll,
              step = inPairs ? 2 * unroll : unroll;
      Value unrolled = b.mul(b.divFloor(k(), step), step);
      Value whole = inPairs ? b.mul(b.divFloor(k(), 2), 2) : k();
      SmallVector<Value> carried(loop.getRegionIterArgs());
      carried = loopOverK(rowPointers, panelPointer, b.index(0), unrolled,
                          unroll, carried);
      if (unroll > 1)
        carried =
            loopOverK(rowPointers, panelPointer, unrolled, whole, 1, carried);
      if (inPairs)
        carried = oddStep(rowPointers, panelPointer, whole, carried);
      scf::YieldOp::create(b, carried);
    }
    storeAccumulators(loop.getResults());
  }
};
} // namespace

void Microkernel::emitBlock(func::FuncOp block, int64_t rows,
                            int64_t panels) const {
  KernelBuilder builder(block, dispatches.variant, 0, 0);
  int64_t lanes = std::min<int64_t>(dispatches.variant.lanes, kPanelColumns);
  BlockEmitter{builder, a,      b, acc, rows, panels * kPanelColumns / lanes,
               lanes,   inPairs}
      .run();
  func::ReturnOp::create(builder);
}

func::FuncOp Microkernel::getBlock(int64_t rows, int64_t panels) const {
  MLIRContext *context = acc.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context),
       index = IndexType::get(context);
  Type flag = IntegerType::get(context, 1);
  auto type = FunctionType::get(context,
                                {pointer, index, index, pointer, index, index,
                                 index, index, pointer, index, flag},
                                {});
  std::string name = (inPairs ? "microkernel_pairs_" : "microkernel_") +
                     typeName(a) + "_" + typeName(b) + "_" + typeName(acc) +
                     "_" + std::to_string(rows) + "x" +
                     std::to_string(panels * kPanelColumns);
  return dispatches.getOrCreateHelper(name, type, [&](func::FuncOp block) {
    block->setAttr("llvm.no_inline", UnitAttr::get(context));
    emitBlock(block, rows, panels);
  });
}

void Microkernel::emitCall(KernelBuilder &b, const Product &product, Value row,
                           int64_t rows, int64_t panels) const {
  auto orZero = [&](Value value) { return value ? value : b.index(0); };
  Value a = b.offsetPointer(product.a, b.mul(row, product.lda),
                            getStorageType(this->a));
  Value c = b.offsetPointer(product.c, b.mul(row, product.ldc), acc);
  Value accumulate = product.accumulate;
  if (!accumulate)
    accumulate = arith::ConstantOp::create(b, b.getBoolAttr(false));
  func::CallOp::create(b, getBlock(rows, panels),
                       ValueRange{a, product.lda, orZero(product.aTap),
                                  product.b, orZero(product.bPanel),
                                  orZero(product.bTap),
                                  product.taps ? product.taps : b.index(1),
                                  product.k, c, product.ldc, accumulate});
}

/// The rows of one tile's columns: full tiles, then one call for what is left.
void Microkernel::emitRows(KernelBuilder &b, Product product, Value rows,
                           int64_t tail, int64_t panels) const {
  int64_t tileRows = dispatches.variant.tileRows;
  int64_t rest = tail % tileRows;
  Value full = rest ? b.mul(b.divFloor(rows, tileRows), tileRows) : rows;
  b.loop(b.index(0), full, tileRows,
         [&](Value row) { emitCall(b, product, row, tileRows, panels); });
  if (!rest)
    return;
  Value some = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, full, rows);
  auto branch = scf::IfOp::create(b, some, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&branch.getThenRegion().front());
  emitCall(b, product, full, rest, panels);
}

void Microkernel::emit(KernelBuilder &b, const Product &product, Value rows,
                       int64_t tail, int64_t panels) const {
  int64_t perTile = std::min(panelsPerTile(), panels);
  int64_t full = panels / perTile * perTile;
  auto at = [&](Value panel) {
    Product moved = product;
    if (product.bPanel)
      moved.b = b.offsetPointer(product.b, b.mul(product.bPanel, panel),
                                getStorageType(this->b));
    moved.c = b.offsetPointer(product.c, b.mul(panel, kPanelColumns), acc);
    return moved;
  };
  b.loop(0, full, perTile,
         [&](Value panel) { emitRows(b, at(panel), rows, tail, perTile); });
  for (int64_t panel = full; panel < panels; ++panel)
    emitRows(b, at(b.index(panel)), rows, tail, 1);
}

void Microkernel::emit(KernelBuilder &b, const Product &product, Value rows,
                       int64_t tail, Value panels) const {
  int64_t perTile = panelsPerTile();
  Value full =
      perTile == 1 ? panels : b.mul(b.divFloor(panels, perTile), perTile);
  auto at = [&](Value panel) {
    Product moved = product;
    moved.b = b.offsetPointer(product.b, b.mul(product.bPanel, panel),
                              getStorageType(this->b));
    moved.c = b.offsetPointer(product.c, b.mul(panel, kPanelColumns), acc);
    return moved;
  };
  b.loop(b.index(0), full, perTile,
         [&](Value panel) { emitRows(b, at(panel), rows, tail, perTile); });
  if (perTile > 1)
    b.loop(full, panels, 1,
           [&](Value panel) { emitRows(b, at(panel), rows, tail, 1); });
}
