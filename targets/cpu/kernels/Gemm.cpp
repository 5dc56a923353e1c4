// Blocking of matrix products. A work item is a block of rows by a group of
// panels:
//
//   for each column step of the group         one tile of panels, or the whole
//   group when K is split
//     for each block of K                     at most kMaxKBlock steps: one
//     panel (K x 16) stays in the L1 cache
//       for each panel, for each 6 rows       the microkernel adds into
//       accumulators in scratch (L1 or L2)
//     epilogue                                reads the accumulators, stores
//     the results
//
// Rows x K-block of A (84 x 320 floats, 107 KB) stay in the L2 cache over the
// panels of the group; items of the same group follow each other, so that B
// streams through the L3 cache once a group. The blocking does not depend on
// the variant: all share one schedule.
#include "targets/cpu/kernels/Gemm.h"

#include "dialects/ef/WeightStore.h"
#include "targets/cpu/kernels/EpilogueTile.h"
#include "targets/cpu/kernels/IntegerSums.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static constexpr int64_t kMaxKBlock = 320;
static constexpr int64_t kRowBlock = 2 * kRowGranule;
static constexpr int64_t kMaxGroupPanels = 20;
/// Work items of a launch below which groups are made smaller, so that threads
/// balance.
static constexpr int64_t kWantedItems = 32;

static int64_t product(ArrayRef<int64_t> shape) {
  int64_t result = 1;
  for (int64_t size : shape)
    result *= size;
  return result;
}

LogicalResult efc::cpu::checkEpilogue(const KernelView &view,
                                      const Epilogue &epilogue) {
  std::string reason;
  if (epilogue.isSupported(reason))
    return success();
  return view.root->emitError(
             "the CPU target cannot compile the fused kernel '")
         << view.label() << "': " << reason;
}

std::string efc::cpu::labelWith(const KernelView &view, StringRef anchorLabel) {
  std::string label = view.label();
  std::string name = view.anchor->getName().stripDialect().str();
  size_t at = label.find(name);
  return at == std::string::npos
             ? label
             : label.replace(at, name.size(), anchorLabel.str());
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

Value efc::cpu::emitBatchOffset(KernelBuilder &b, Value batch,
                                ArrayRef<int64_t> batchShape,
                                ArrayRef<int64_t> ownShape, int64_t elements) {
  if (product(ownShape) == 1)
    return b.index(0);
  Value offset = b.index(0), rest = batch;
  int64_t stride = elements, shift = batchShape.size() - ownShape.size();
  for (int64_t d = batchShape.size() - 1; d >= shift; --d) {
    int64_t own = ownShape[d - shift];
    if (own != 1)
      offset = b.add(offset, b.mul(b.mod(rest, batchShape[d]), stride));
    stride *= own;
    rest = b.divFloor(rest, batchShape[d]);
  }
  return offset;
}

/// Steps of k in a block; all blocks but the last are whole.
static int64_t blockOfK(int64_t k) {
  int64_t blocks = std::max<int64_t>(1, llvm::divideCeil(k, kMaxKBlock));
  return std::max<int64_t>(4, llvm::alignTo(llvm::divideCeil(k, blocks), 4));
}

namespace {
/// How the product is cut; see the top of the file.
struct Blocking {
  int64_t rowBlocks, lastRows; ///< All blocks but the last have kRowBlock rows.
  int64_t maxRows;
  int64_t groupPanels, groups; ///< Panels of the result (with a gate: pairs).
  int64_t kBlock, kBlocks;     ///< The last block may be shorter.
  int64_t stepPanels; ///< Panels between two epilogues; 2 where one tile may
                      ///< span two panels.

  Blocking(int64_t batch, int64_t m, int64_t panels, int64_t k) {
    rowBlocks = std::max<int64_t>(1, (m + kRowBlock / 2 - 1) / kRowBlock);
    lastRows = m - (rowBlocks - 1) * kRowBlock;
    maxRows = std::max(lastRows, rowBlocks > 1 ? kRowBlock : 0);
    kBlock = blockOfK(k);
    kBlocks = std::max<int64_t>(1, llvm::divideCeil(k, kBlock));
    panels = std::max<int64_t>(1, panels);
    groups = llvm::divideCeil(panels, kMaxGroupPanels);
    while (batch * rowBlocks * groups < kWantedItems &&
           panels / (groups + 1) >= 4)
      ++groups;
    groupPanels = llvm::alignTo(llvm::divideCeil(panels, groups), 2);
    groups = llvm::divideCeil(panels, groupPanels);
    stepPanels = kBlocks == 1 ? 2 : groupPanels;
  }
};

struct GemmEmitter {
  KernelBuilder &b;
  const Gemm &gemm;
  const Epilogue &epilogue;
  const Microkernel &microkernel;
  const Blocking &blocking;
  Type aStored, bStored;
  int64_t resultColumns;
  bool gated;
  size_t factorsInput; ///< Of quantised operands.

  int64_t panels() const { return llvm::divideCeil(gemm.n, kPanelColumns); }
  int64_t resultPanels() const {
    return llvm::divideCeil(resultColumns, kPanelColumns);
  }

  /// The gates' accumulators stand behind the values'.
  int64_t gateOffset() const {
    return blocking.maxRows * blocking.stepPanels * kPanelColumns;
  }

  /// Elements of one panel of B.
  int64_t panelElements() const {
    return microkernel.alignK(gemm.k) * kPanelColumns;
  }

  bool isChunked() const { return gemm.accumulation.chunkBlocks != 0; }

  /// The chunks' sums, behind all accumulators.
  Value wideSums() {
    int64_t sums = gateOffset() * (gated ? 2 : 1);
    return b.offsetPointer(b.pointer(b.scratch()), b.index(sums),
                           microkernel.accumulator());
  }

  void emitProducts(Value a, Value packed, Value rows, Value panel,
                    Value numPanels, Value firstK, Value k, Value accumulate) {
    Product product;
    product.a = b.offsetPointer(a, firstK, aStored);
    product.lda = b.index(gemm.k);
    product.bPanel = b.index(panelElements());
    product.ldc = b.index(blocking.stepPanels * kPanelColumns);
    product.k = k;
    product.accumulate = accumulate;
    for (int part = 0; part <= int(gated); ++part) {
      Value first = part ? b.add(panel, resultPanels()) : panel;
      Value offset =
          b.add(b.mul(first, panelElements()), b.mul(firstK, kPanelColumns));
      product.b = b.offsetPointer(packed, offset, bStored);
      product.c =
          b.offsetPointer(b.pointer(b.scratch()), b.index(part * gateOffset()),
                          microkernel.accumulator());
      microkernel.emit(b, product, rows, blocking.lastRows % kRowGranule,
                       numPanels);
    }
  }

  static Value equals(KernelBuilder &b, Value x, int64_t y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, b.index(y));
  }

  /// The products of a block of K, added to those of its chunk.
  void emitBlock(Value a, Value packed, Value rows, Value panel,
                 Value numPanels, Value firstK) {
    Value k = gemm.k % blocking.kBlock ? b.min(b.index(blocking.kBlock),
                                               b.sub(b.index(gemm.k), firstK))
                                       : b.index(blocking.kBlock);
    Value inChunk = firstK;
    if (isChunked())
      inChunk = b.mod(firstK, gemm.accumulation.chunkBlocks * blocking.kBlock);
    Value accumulate =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ne, inChunk, b.index(0));
    emitProducts(a, packed, rows, panel, numPanels, firstK, k, accumulate);
    if (isChunked())
      emitChunkEnd(rows, firstK, inChunk);
  }

  /// After the last block of a chunk, its sums go where they cannot overflow.
  void emitChunkEnd(Value rows, Value firstK, Value inChunk) {
    int64_t chunk = gemm.accumulation.chunkBlocks * blocking.kBlock;
    Value isLast = arith::OrIOp::create(
        b, equals(b, inChunk, chunk - blocking.kBlock),
        equals(b, firstK, (blocking.kBlocks - 1) * blocking.kBlock));
    auto branch = scf::IfOp::create(b, isLast, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&branch.getThenRegion().front());
    Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, firstK,
                                          b.index(chunk));
    for (int part = 0; part <= int(gated); ++part) {
      Value offset = b.index(part * gateOffset());
      emitAddChunk(b,
                   b.offsetPointer(b.pointer(b.scratch()), offset,
                                   microkernel.accumulator()),
                   b.offsetPointer(wideSums(), offset, b.getF64Type()),
                   b.mul(rows, blocking.stepPanels * kPanelColumns), isFirst);
    }
  }

  /// Panels [panel, panel + stepPanels) of the rows at `a`.
  void emitStep(Value a, Value packed, Value firstRow, Value rows, Value panel,
                Value numPanels) {
    if (blocking.kBlocks == 1)
      emitProducts(a, packed, rows, panel, numPanels, b.index(0),
                   b.index(gemm.k), nullptr);
    else
      b.loop(0, gemm.k, blocking.kBlock, [&](Value firstK) {
        emitBlock(a, packed, rows, panel, numPanels, firstK);
      });
    EpilogueTile tile;
    tile.type = isChunked() ? Type(b.getF64Type()) : microkernel.accumulator();
    tile.accumulators = isChunked() ? wideSums() : b.pointer(b.scratch());
    if (gated)
      tile.gate =
          b.offsetPointer(tile.accumulators, b.index(gateOffset()), tile.type);
    if (gemm.factors)
      tile.factors = b.pointer(b.input(factorsInput));
    tile.stride = b.index(blocking.stepPanels * kPanelColumns);
    tile.firstRow = firstRow;
    tile.rows = rows;
    tile.firstColumn = b.mul(panel, kPanelColumns);
    tile.columns = blocking.stepPanels * kPanelColumns;
    tile.totalColumns = resultColumns;
    emitEpilogueTile(b, epilogue, 2, tile);
  }

  void emitItem(Value item) {
    Value rowBlock = b.mod(item, blocking.rowBlocks),
          rest = b.divFloor(item, blocking.rowBlocks);
    Value group = b.mod(rest, blocking.groups),
          batch = b.divFloor(rest, blocking.groups);
    Value firstRow = b.mul(rowBlock, kRowBlock);
    Value rows = b.index(blocking.lastRows);
    if (blocking.rowBlocks > 1 && blocking.lastRows != kRowBlock) {
      Value isLast =
          arith::CmpIOp::create(b, arith::CmpIPredicate::eq, rowBlock,
                                b.index(blocking.rowBlocks - 1));
      rows = arith::SelectOp::create(b, isLast, rows, b.index(kRowBlock));
    }
    Value aOffset = b.add(emitBatchOffset(b, batch, gemm.batchShape,
                                          gemm.aBatchShape, gemm.m * gemm.k),
                          b.mul(firstRow, gemm.k));
    Value a = b.offsetPointer(b.pointer(b.input(0)), aOffset, aStored);
    Value bOffset = emitBatchOffset(b, batch, gemm.batchShape, gemm.bBatchShape,
                                    panels() * panelElements());
    Value packed = b.offsetPointer(b.pointer(b.input(1)), bOffset, bStored);
    Value resultRow = b.add(b.mul(batch, gemm.m), firstRow);
    Value firstPanel = b.mul(group, blocking.groupPanels);
    Value endPanel =
        b.min(b.add(firstPanel, blocking.groupPanels), b.index(resultPanels()));
    b.loop(firstPanel, endPanel, blocking.stepPanels, [&](Value panel) {
      Value numPanels = b.index(blocking.stepPanels);
      if (resultPanels() % blocking.stepPanels != 0)
        numPanels = b.min(numPanels, b.sub(endPanel, panel));
      emitStep(a, packed, resultRow, rows, panel, numPanels);
    });
  }
};
} // namespace

static Type storageOf(Value tensor) {
  return getStorageType(getElementTypeOrSelf(tensor.getType()));
}

/// Integers with the width that their exact sums need.
static Microkernel chooseMicrokernel(const KernelView &view, const Gemm &gemm,
                                     DispatchBuilder &dispatches) {
  Type a = getElementTypeOrSelf(gemm.a.getType()),
       b = getElementTypeOrSelf(gemm.packed.getType());
  if (!gemm.factors)
    return Microkernel(dispatches, a, b,
                       getComputeType(getElementTypeOrSelf(
                           view.anchor->getResult(0).getType())));
  if (b.isInteger(8))
    return Microkernel::pairs(dispatches, b);
  return Microkernel(dispatches, getStorageType(a), b,
                     IntegerType::get(a.getContext(), 64));
}

void efc::cpu::packOperand(Gemm &gemm, Value weight, const PackSource &source,
                           OpBuilder &main, DispatchBuilder &dispatches,
                           const KernelOptions &options) {
  gemm.packed = ef::isConstantExpression(weight)
                    ? packConstant(weight, source, main, options)
                    : packDynamic(weight, source, main, dispatches);
  if (!getQuantized(gemm.a))
    return;
  gemm.factors = createChannelFactors(main, weight.getLoc(), gemm.a.getType(),
                                      weight.getType(), gemm.n, gemm.n);
  if (!isPairWeight(weight))
    return;
  SummationOrder order{weight, source, blockOfK(gemm.k), 1,
                       getLimit(gemm.a.getType())};
  std::optional<Accumulation> proved = options.bounds->prove(order);
  assert(proved && "a block of 320 products always fits");
  gemm.accumulation = *proved;
}

Lowered efc::cpu::emitGemm(const KernelView &view, OpBuilder &main,
                           DispatchBuilder &dispatches, const Gemm &gemm) {
  Epilogue epilogue(view);
  if (failed(checkEpilogue(view, epilogue)))
    return FailureOr<SmallVector<Value>>(failure());
  bool gated = epilogue.isGated();
  int64_t columns = gated ? gemm.n / 2 : gemm.n,
          batch = product(gemm.batchShape);
  if (gated && columns % kPanelColumns != 0)
    return FailureOr<SmallVector<Value>>(
        view.root->emitError(
            "the CPU target gates matrix products only where half of the ")
        << gemm.n << " columns is a multiple of " << kPanelColumns
        << "; compile without fusing '" << view.label() << "'");
  Blocking blocking(batch, gemm.m, llvm::divideCeil(columns, kPanelColumns),
                    gemm.k);
  Microkernel microkernel = chooseMicrokernel(view, gemm, dispatches);

  Launch launch{view.root->getLoc(),   "matmul", gemm.label, view.key(),
                {gemm.a, gemm.packed}, {}};
  epilogue.collectInputs(launch.inputs);
  if (gemm.factors)
    launch.inputs.push_back(gemm.factors);
  setAccumulation(launch, gemm.accumulation, blocking.kBlock);
  llvm::append_range(launch.results, view.root->getResultTypes());
  launch.work = batch * blocking.rowBlocks * blocking.groups;
  launch.scratch = blocking.maxRows * blocking.stepPanels * kPanelColumns *
                   (microkernel.accumulatorBytes() +
                    (gemm.accumulation.chunkBlocks ? sizeof(double) : 0)) *
                   (gated ? 2 : 1);
  launch.macs = batch * gemm.m * gemm.n * gemm.k;
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    GemmEmitter emitter{b,
                        gemm,
                        epilogue,
                        microkernel,
                        blocking,
                        storageOf(gemm.a),
                        storageOf(gemm.packed),
                        columns,
                        gated,
                        launch.inputs.size() - 1};
    b.forEachWorkItem([&](Value item) { emitter.emitItem(item); });
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}

//===----------------------------------------------------------------------===//
// ef.matmul
//===----------------------------------------------------------------------===//

/// a[batch, k, m] as [batch, m, k]: a launch of its own.
static Value transposeA(Value a, OpBuilder &main, DispatchBuilder &dispatches) {
  auto type = cast<RankedTensorType>(a.getType());
  SmallVector<int64_t> shape(type.getShape());
  int64_t m = shape[shape.size() - 1], k = shape[shape.size() - 2];
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  Type stored = getStorageType(type.getElementType());
  Launch launch{main.getInsertionPoint()->getLoc(),
                "transpose_matrix",
                "transpose",
                "",
                {a},
                {type.clone(shape)}};
  launch.work = type.getNumElements() / std::max<int64_t>(k, 1);
  return dispatches
      .launch(main, launch,
              [&](KernelBuilder &b) {
                b.forEachWorkItem([&](Value item) {
                  Value from =
                      b.add(b.mul(b.divFloor(item, m), m * k), b.mod(item, m));
                  b.loop(0, k, 1, [&](Value i) {
                    Value place =
                        b.offsetPointer(b.pointer(b.input(0)),
                                        b.add(from, b.mul(i, m)), stored);
                    b.store(b.load(place, stored),
                            b.offsetPointer(b.pointer(b.result(0)),
                                            b.add(b.mul(item, k), i), stored));
                  });
                });
              })
      .front();
}

Lowered efc::cpu::lowerMatmul(const KernelView &view, OpBuilder &main,
                              DispatchBuilder &dispatches,
                              const KernelOptions &options) {
  auto op = dyn_cast_or_null<ef::MatmulOp>(view.anchor);
  if (!op)
    return std::nullopt;
  Value a = view.outer(op.getA()), rhs = view.outer(op.getB());
  if (!a || !rhs)
    return std::nullopt;
  if (op.getTransposeA())
    a = transposeA(a, main, dispatches);
  ArrayRef<int64_t> aShape = cast<RankedTensorType>(a.getType()).getShape(),
                    bShape = cast<RankedTensorType>(rhs.getType()).getShape();
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(op.getResult().getType()).getShape();
  Gemm gemm;
  gemm.a = a;
  gemm.label = view.label();
  gemm.m = shape[shape.size() - 2];
  gemm.n = shape.back();
  gemm.k = aShape.back();
  gemm.batchShape.assign(shape.begin(), shape.end() - 2);
  gemm.aBatchShape.assign(aShape.begin(), aShape.end() - 2);
  gemm.bBatchShape.assign(bShape.begin(), bShape.end() - 2);
  PackSource source{product(gemm.bBatchShape), gemm.k, gemm.n,
                    gemm.k * gemm.n,           gemm.n, 1};
  if (op.getTransposeB()) {
    source.kStride = 1;
    source.nStride = gemm.k;
  }
  packOperand(gemm, rhs, source, main, dispatches, options);
  // One matrix on the right: the batch is just more rows.
  if (source.taps == 1 &&
      product(gemm.aBatchShape) == product(gemm.batchShape)) {
    gemm.m *= product(gemm.batchShape);
    gemm.batchShape.clear();
    gemm.aBatchShape.clear();
    gemm.bBatchShape.clear();
  }
  return emitGemm(view, main, dispatches, gemm);
}
