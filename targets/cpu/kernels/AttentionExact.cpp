// See AttentionExact.h. Keys and values are packed per head by two launches;
// then a work item is a block of rows of one head:
//
//   for each block of kKeyBlock keys: sums of Q K^T -> int16 scores
//   the largest score of each row
//   for each block of kValueBlock keys: exponentials, E V
//   the quotient, epilogue
//
// All scores of the rows are kept, because the specification takes the largest
// of all keys before the first exponential: 2 bytes each, in the L2 cache for
// 4096 keys.
#include "targets/cpu/kernels/AttentionExact.h"
#include "targets/cpu/kernels/EpilogueTile.h"
#include "targets/cpu/kernels/Gemm.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/WideProduct.h"

#include "runtime/npu/Numerics.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;
namespace numerics = efrt::numerics;

ExactAttentionShape::ExactAttentionShape(ef::AttentionOp op) {
  ArrayRef<int64_t> query = op.getQuery().getType().getShape(),
                    key = op.getKey().getType().getShape(),
                    value = op.getValue().getType().getShape();
  batch = query[0];
  queries = query[1];
  keys = key[1];
  heads = op.getHeads();
  kvHeads = op.getKvHeads();
  depth = query[2] / heads;
  valueDepth = value[2] / kvHeads;
  causal = op.getCausal();
  rowBlocks = std::max<int64_t>(1, llvm::divideCeil(queries, kRowBlock));
  lastRows = queries - (rowBlocks - 1) * kRowBlock;
  maxRows = rowBlocks > 1 ? kRowBlock : lastRows;
  splitsQueries =
      getLimit(op.getQuery().getType()) * getLimit(op.getKey().getType()) >
      INT32_MAX / std::max<int64_t>(depth, 1);
}

namespace {
/// Where each part of the scratch begins, in bytes.
struct ScratchLayout {
  int64_t splitQueries, sums, scores, largest, totals, weights, low, high,
      results, bytes = 0;

  explicit ScratchLayout(const ExactAttentionShape &shape) {
    int64_t rows = shape.maxRows, columns = shape.valueColumns();
    int64_t scoreRows = shape.splitsQueries ? 2 * rows : rows;
    splitQueries = add(shape.splitsQueries ? scoreRows * shape.depth * 2 : 0);
    sums = add(scoreRows * ExactAttentionShape::kKeyBlock * 4);
    scores = add(rows * shape.paddedKeys() * 2);
    largest = add(rows * 4);
    totals = add(rows * 8);
    weights = add(rows * ExactAttentionShape::kValueBlock * 2);
    low = add(rows * columns * 4);
    high = add(rows * columns * 4);
    results = add(rows * columns * 4);
  }

private:
  int64_t add(int64_t size) {
    int64_t start = bytes;
    bytes += llvm::alignTo(size, 64);
    return start;
  }
};

struct ExactAttentionEmitter {
  KernelBuilder &b;
  const ExactAttentionShape &shape;
  const ScratchLayout &layout;
  const Epilogue &epilogue;
  const Microkernel &microkernel;
  const WideProduct &valueProduct;
  size_t firstInput;

  Value scratch(int64_t bytes) {
    return b.offsetPointer(b.pointer(b.scratch()), b.index(bytes),
                           b.getI8Type());
  }

  ExactAttentionRows makeRows(Value rows, Value firstRow) {
    auto scalar = [&](unsigned slot) { return loadScalar(b, 3, slot); };
    return {b,
            shape,
            rows,
            firstRow,
            scratch(layout.splitQueries),
            scratch(layout.sums),
            scratch(layout.scores),
            scratch(layout.largest),
            scratch(layout.totals),
            scratch(layout.weights),
            scratch(layout.low),
            scratch(layout.high),
            scalar(0),
            scalar(1),
            scalar(2),
            scalar(3)};
  }

  /// Scores of the rows at `query`, both halves of which are rows of one
  /// product where they are split.
  void emitScores(ExactAttentionRows &rows, Value query, Value keyPanels) {
    constexpr int64_t block = ExactAttentionShape::kKeyBlock;
    int64_t k = alignToPairs(shape.depth);
    int64_t parts = shape.splitsQueries ? 2 : 1;
    if (shape.splitsQueries)
      rows.splitRows(query, shape.heads * shape.depth);
    b.loop(0, shape.paddedKeys(), block, [&](Value firstKey) {
      Value columns =
          b.min(b.index(block), b.sub(b.index(shape.paddedKeys()), firstKey));
      Product product;
      product.a = shape.splitsQueries ? rows.splitQueries : query;
      product.lda = b.index(shape.splitsQueries ? shape.depth
                                                : shape.heads * shape.depth);
      product.b =
          b.offsetPointer(keyPanels, b.mul(firstKey, k), b.getI16Type());
      product.bPanel = b.index(k * kPanelColumns);
      product.c = rows.sums;
      product.ldc = b.index(block);
      product.k = b.index(shape.depth);
      microkernel.emit(b, product, b.mul(rows.rows, parts),
                       parts * shape.lastRows % kRowGranule,
                       b.divFloor(columns, kPanelColumns));
      rows.storeScores(firstKey, columns);
    });
  }

  void emitValues(ExactAttentionRows &rows, Value valuePanels) {
    constexpr int64_t block = ExactAttentionShape::kValueBlock;
    b.loop(0, shape.paddedKeys(), block, [&](Value firstKey) {
      Value keys =
          b.min(b.index(block), b.sub(b.index(shape.paddedKeys()), firstKey));
      rows.storeWeights(firstKey, keys);
      WideOperands product;
      product.a = rows.weights;
      product.lda = b.index(block);
      product.b = b.offsetPointer(valuePanels, b.mul(firstKey, kPanelColumns),
                                  b.getI16Type());
      product.bPanel = b.index(shape.paddedKeys() * kPanelColumns);
      product.low = rows.low;
      product.high = rows.high;
      product.ldc = b.index(shape.valueColumns());
      product.rows = rows.rows;
      product.k = keys;
      valueProduct.emit(b, product, shape.valueDepth);
    });
  }

  void emitItem(Value item) {
    Value rowBlock = b.mod(item, shape.rowBlocks),
          rest = b.divFloor(item, shape.rowBlocks);
    Value head = b.mod(rest, shape.heads),
          image = b.divFloor(rest, shape.heads);
    Value firstRow = b.mul(rowBlock, ExactAttentionShape::kRowBlock);
    Value count = b.min(b.index(ExactAttentionShape::kRowBlock),
                        b.sub(b.index(shape.queries), firstRow));
    Value row = b.add(b.mul(image, shape.queries), firstRow);
    Type i16 = b.getI16Type();
    Value query = b.offsetPointer(
        b.pointer(b.input(0)),
        b.mul(b.add(b.mul(row, shape.heads), head), shape.depth), i16);
    Value kvHead = b.add(b.mul(image, shape.kvHeads),
                         b.divFloor(head, shape.heads / shape.kvHeads));
    auto panelsOf = [&](size_t input, int64_t panels, int64_t k) {
      return b.offsetPointer(b.pointer(b.input(input)),
                             b.mul(kvHead, panels * k * kPanelColumns), i16);
    };
    ExactAttentionRows rows = makeRows(count, firstRow);
    emitScores(rows, query,
               panelsOf(1, shape.keyPanels(), alignToPairs(shape.depth)));
    rows.findLargest();
    rows.start();
    emitValues(rows, panelsOf(2, shape.valuePanels(), shape.paddedKeys()));
    EpilogueTile tile;
    tile.accumulators = scratch(layout.results);
    rows.finish(tile.accumulators);
    tile.stride = b.index(shape.valueColumns());
    tile.type = b.getF32Type();
    tile.firstRow = row;
    tile.rows = count;
    tile.firstColumn = b.mul(head, shape.valueDepth);
    tile.columns = shape.valueColumns();
    tile.totalColumns = shape.heads * shape.valueDepth;
    tile.validColumns = shape.valueDepth;
    emitEpilogueTile(b, epilogue, firstInput, tile);
  }
};
} // namespace

/// c, 1 / score scale, score scale, value scale.
static SmallVector<float> scalarsOf(ef::AttentionOp op) {
  auto scoreScale = static_cast<float>(op.getScoreScale()->convertToDouble());
  return {numerics::attentionScoreFactor(getScale(op.getQuery().getType()),
                                         getScale(op.getKey().getType()),
                                         op.getScale().convertToDouble()),
          numerics::invert(scoreScale), scoreScale,
          getScale(op.getValue().getType())};
}

Lowered efc::cpu::lowerExactAttention(const KernelView &view,
                                      ef::AttentionOp op, OpBuilder &main,
                                      DispatchBuilder &dispatches) {
  Epilogue epilogue(view);
  ExactAttentionShape shape(op);
  if (shape.splitsQueries && shape.depth > ExactAttentionShape::kMaxDepth)
    return FailureOr<SmallVector<Value>>(
        view.root->emitError("the CPU target's quantised attention takes heads "
                             "of at most ")
        << ExactAttentionShape::kMaxDepth << " channels, but this one has "
        << shape.depth << "; keep the node in float (--keep-float)");
  ScratchLayout layout(shape);
  Microkernel microkernel = Microkernel::pairs(dispatches, main.getI16Type());
  WideProduct valueProduct(dispatches, ExactAttentionShape::kMaxWeight,
                           getLimit(op.getValue().getType()));
  if (shape.keys > valueProduct.getMaxK())
    return FailureOr<SmallVector<Value>>(
        view.root->emitError("the CPU target's quantised attention takes at "
                             "most ")
        << valueProduct.getMaxK() << " keys, but this one has " << shape.keys
        << "; keep the node in float (--keep-float)");
  Launch launch{view.root->getLoc(),
                "attention_i16",
                view.label(),
                view.key(),
                {view.outer(op.getQuery())},
                SmallVector<Type>(view.root->getResultTypes())};
  launch.inputs.push_back(packHeadPairs(view.outer(op.getKey()), shape.kvHeads,
                                        /*isKeys=*/true, main, dispatches));
  launch.inputs.push_back(packHeadPairs(view.outer(op.getValue()),
                                        shape.kvHeads, /*isKeys=*/false, main,
                                        dispatches));
  launch.inputs.push_back(createScalars(main, launch.loc, scalarsOf(op)));
  size_t firstInput = appendEpilogueInputs(epilogue, launch.inputs);
  launch.work = shape.batch * shape.heads * shape.rowBlocks;
  launch.scratch = layout.bytes;
  launch.macs = shape.batch * shape.heads * shape.queries * shape.keys *
                (shape.depth + shape.valueDepth);
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    ExactAttentionEmitter emitter{
        b, shape, layout, epilogue, microkernel, valueProduct, firstInput};
    b.forEachWorkItem([&](Value item) { emitter.emitItem(item); });
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
