// Attention without a score matrix in memory. Keys and values are packed per
// head by two launches; then a work item is a block of rows of one head:
//
//   for each block of kKeyBlock keys
//     S[rows, keys] = Q K^T                     the microkernel; S stays in the
//     L2 cache mask, running maximum m and sum l of each row, S = exp(S - m);
//     what was summed so far is scaled by exp(old m - m) O[rows, dv] += S V the
//     microkernel
//   O / l, epilogue
//
// (the online softmax of Milakov and Gimelshein, 2018, as in FlashAttention).
// Sums are in the accumulator's type; a row that keeps no key is zero.
#include "targets/cpu/kernels/AttentionExact.h"
#include "targets/cpu/kernels/AttentionSoftmax.h"
#include "targets/cpu/kernels/EpilogueTile.h"
#include "targets/cpu/kernels/Gemm.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static constexpr int64_t kRowBlock = 2 * kRowGranule;
static constexpr int64_t kKeyBlock = 256;

namespace {
struct AttentionShape {
  int64_t batch, queries, keys, heads, kvHeads, depth, valueDepth;
  int64_t rowBlocks, lastRows,
      maxRows; ///< All blocks but the last have kRowBlock rows.
  int64_t keyBlock;
  bool causal;
  double scale;

  explicit AttentionShape(ef::AttentionOp op) {
    auto query = cast<RankedTensorType>(op.getQuery().getType()).getShape();
    auto key = cast<RankedTensorType>(op.getKey().getType()).getShape();
    auto value = cast<RankedTensorType>(op.getValue().getType()).getShape();
    batch = query[0];
    queries = query[1];
    keys = key[1];
    heads = op.getHeads();
    kvHeads = op.getKvHeads();
    depth = query[2] / heads;
    valueDepth = value[2] / kvHeads;
    causal = op.getCausal();
    scale = op.getScale().convertToDouble();
    rowBlocks = std::max<int64_t>(1, (queries + kRowBlock / 2 - 1) / kRowBlock);
    lastRows = queries - (rowBlocks - 1) * kRowBlock;
    maxRows = rowBlocks > 1 ? std::max(lastRows, kRowBlock) : lastRows;
    keyBlock = std::min<int64_t>(
        kKeyBlock, llvm::alignTo(std::max<int64_t>(keys, 1), kPanelColumns));
  }

  int64_t keyPanels() const { return llvm::divideCeil(keys, kPanelColumns); }
  int64_t valuePanels() const {
    return llvm::divideCeil(valueDepth, kPanelColumns);
  }
  int64_t valueColumns() const { return valuePanels() * kPanelColumns; }
};

struct AttentionEmitter {
  KernelBuilder &b;
  const AttentionShape &shape;
  const Epilogue &epilogue;
  const Microkernel &scores, &sums;
  const AttentionMask &mask;
  Type queryElement, keyElement, valueElement, acc;
  size_t firstInput;

  Value scratch(int64_t elements) {
    return b.offsetPointer(b.pointer(b.scratch()), b.index(elements), acc);
  }
  Value scoreScratch() { return scratch(0); }
  Value sumScratch() { return scratch(shape.maxRows * shape.keyBlock); }
  Value stateScratch() {
    return scratch(shape.maxRows * (shape.keyBlock + shape.valueColumns()));
  }

  void emitKeyBlock(Value query, Value keyPanels, Value valuePanels, Value rows,
                    const AttentionBlock &block) {
    Type keyStored = getStorageType(keyElement),
         valueStored = getStorageType(valueElement);
    Product qk;
    qk.a = query;
    qk.lda = b.index(shape.heads * shape.depth);
    qk.b = b.offsetPointer(keyPanels, b.mul(block.firstKey, shape.depth),
                           keyStored);
    qk.bPanel = b.index(shape.depth * kPanelColumns);
    qk.c = scoreScratch();
    qk.ldc = b.index(shape.keyBlock);
    qk.k = b.index(shape.depth);
    Value panels =
        b.divFloor(b.add(block.keys, kPanelColumns - 1), kPanelColumns);
    scores.emit(b, qk, rows, shape.lastRows % kRowGranule, panels);

    emitAttentionSoftmax(b, block, mask);

    Product pv;
    pv.a = scoreScratch();
    pv.lda = b.index(shape.keyBlock);
    pv.b = b.offsetPointer(valuePanels, b.mul(block.firstKey, kPanelColumns),
                           valueStored);
    pv.bPanel = b.index(shape.keys * kPanelColumns);
    pv.c = sumScratch();
    pv.ldc = b.index(shape.valueColumns());
    pv.k = block.keys;
    pv.accumulate = arith::ConstantOp::create(b, b.getBoolAttr(true));
    sums.emit(b, pv, rows, shape.lastRows % kRowGranule, shape.valuePanels());
  }

  /// The first key that no row of the block may see.
  Value endOfKeys(Value firstRow, Value rows) {
    if (!shape.causal)
      return b.index(shape.keys);
    Value end = b.add(b.add(firstRow, rows), shape.keys - shape.queries);
    return b.min(arith::MaxSIOp::create(b, end, b.index(0)),
                 b.index(shape.keys));
  }

  void emitItem(Value item) {
    Value rowBlock = b.mod(item, shape.rowBlocks),
          rest = b.divFloor(item, shape.rowBlocks);
    Value head = b.mod(rest, shape.heads),
          image = b.divFloor(rest, shape.heads);
    Value firstRow = b.mul(rowBlock, kRowBlock), rows = b.index(shape.lastRows);
    if (shape.rowBlocks > 1 && shape.lastRows != kRowBlock) {
      Value isLast = arith::CmpIOp::create(
          b, arith::CmpIPredicate::eq, rowBlock, b.index(shape.rowBlocks - 1));
      rows = arith::SelectOp::create(b, isLast, rows, b.index(kRowBlock));
    }
    Value row = b.add(b.mul(image, shape.queries), firstRow);
    Value queryOffset =
        b.mul(b.add(b.mul(row, shape.heads), head), shape.depth);
    Value query = b.offsetPointer(b.pointer(b.input(0)), queryOffset,
                                  getStorageType(queryElement));
    Value kvHead = b.add(b.mul(image, shape.kvHeads),
                         b.divFloor(head, shape.heads / shape.kvHeads));
    Value keyPanels = b.offsetPointer(
        b.pointer(b.input(1)),
        b.mul(kvHead, shape.keyPanels() * shape.depth * kPanelColumns),
        getStorageType(keyElement));
    Value valuePanels = b.offsetPointer(
        b.pointer(b.input(2)),
        b.mul(kvHead, shape.valuePanels() * shape.keys * kPanelColumns),
        getStorageType(valueElement));
    AttentionBlock block;
    block.scores = scoreScratch();
    block.sums = sumScratch();
    block.state = stateScratch();
    block.scoreStride = shape.keyBlock;
    block.sumStride = shape.valueColumns();
    block.maxRows = shape.maxRows;
    block.type = acc;
    block.image = image;
    block.head = head;
    block.firstRow = firstRow;
    block.rows = rows;
    block.scale = shape.scale;
    block.causalShift = shape.causal
                            ? std::optional<int64_t>(shape.keys - shape.queries)
                            : std::nullopt;
    emitAttentionStart(b, block);
    Value end = endOfKeys(firstRow, rows);
    b.loop(b.index(0), end, shape.keyBlock, [&](Value firstKey) {
      block.firstKey = firstKey;
      block.keys = b.min(b.index(shape.keyBlock), b.sub(end, firstKey));
      emitKeyBlock(query, keyPanels, valuePanels, rows, block);
    });
    emitAttentionEnd(b, block);
    EpilogueTile tile;
    tile.accumulators = sumScratch();
    tile.stride = b.index(shape.valueColumns());
    tile.type = acc;
    tile.firstRow = row;
    tile.rows = rows;
    tile.firstColumn = b.mul(head, shape.valueDepth);
    tile.columns = shape.valueColumns();
    tile.totalColumns = shape.heads * shape.valueDepth;
    tile.validColumns = shape.valueDepth;
    emitEpilogueTile(b, epilogue, firstInput, tile);
  }
};
} // namespace

/// One launch that packs [B, T, heads * depth] per head: keys as K^T (a token
/// is a column), values as they are (a token is a row).
static Value packHeads(Value tensor, int64_t heads, bool transposed,
                       OpBuilder &main, DispatchBuilder &dispatches) {
  auto type = cast<RankedTensorType>(tensor.getType());
  int64_t batch = type.getDimSize(0), tokens = type.getDimSize(1),
          width = type.getDimSize(2), depth = width / heads;
  PackSource source;
  source.k = transposed ? depth : tokens;
  source.n = transposed ? tokens : depth;
  source.kStride = transposed ? 1 : width;
  source.nStride = transposed ? width : 1;
  int64_t panels = llvm::divideCeil(source.n, kPanelColumns);
  Type stored = getStorageType(type.getElementType());
  auto packed = RankedTensorType::get(
      {batch * heads, panels, source.k, kPanelColumns}, type.getElementType());
  std::string key = (transposed ? "keys" : "values") + std::to_string(heads);
  Launch launch{main.getInsertionPoint()->getLoc(),
                "pack_heads",
                "attention.pack",
                key,
                {tensor},
                {packed}};
  launch.work = batch * heads * panels;
  return dispatches
      .launch(main, launch,
              [&](KernelBuilder &b) {
                b.forEachWorkItem([&](Value item) {
                  Value panel = b.mod(item, panels),
                        head = b.divFloor(item, panels);
                  Value image = b.divFloor(head, heads);
                  Value offset = b.add(b.mul(image, tokens * width),
                                       b.mul(b.mod(head, heads), depth));
                  emitPackPanel(
                      b, b.offsetPointer(b.pointer(b.input(0)), offset, stored),
                      b.offsetPointer(b.pointer(b.result(0)),
                                      b.mul(item, source.k * kPanelColumns),
                                      stored),
                      panel, source, stored);
                });
              })
      .front();
}

Lowered efc::cpu::lowerAttention(const KernelView &view, OpBuilder &main,
                                 DispatchBuilder &dispatches,
                                 const KernelOptions &) {
  auto op = dyn_cast_or_null<ef::AttentionOp>(view.anchor);
  if (!op)
    return std::nullopt;
  Value query = view.outer(op.getQuery()), key = view.outer(op.getKey()),
        value = view.outer(op.getValue());
  Value maskTensor = op.getMask() ? view.outer(op.getMask()) : Value();
  if (!query || !key || !value || (op.getMask() && !maskTensor))
    return std::nullopt;
  Epilogue epilogue(view);
  if (failed(checkEpilogue(view, epilogue)))
    return FailureOr<SmallVector<Value>>(failure());
  if (epilogue.isGated())
    return FailureOr<SmallVector<Value>>(
        view.root->emitError(
            "the CPU target does not gate attention; compile without fusing '")
        << view.label() << "'");
  if (op.getScoreScale())
    return lowerExactAttention(view, op, main, dispatches);
  AttentionShape shape(op);
  Type queryElement = getElementTypeOrSelf(query.getType()),
       keyElement = getElementTypeOrSelf(key.getType());
  Type valueElement = getElementTypeOrSelf(value.getType());
  Type acc = getComputeType(getElementTypeOrSelf(op.getResult().getType()));
  Microkernel scores(dispatches, queryElement, keyElement, acc),
      sums(dispatches, acc, valueElement, acc);

  Launch launch{view.root->getLoc(), "attention", view.label(),
                view.key(),          {query},     {}};
  launch.inputs.push_back(
      packHeads(key, shape.kvHeads, /*transposed=*/true, main, dispatches));
  launch.inputs.push_back(
      packHeads(value, shape.kvHeads, /*transposed=*/false, main, dispatches));
  AttentionMask mask;
  if (maskTensor) {
    mask = AttentionMask(cast<RankedTensorType>(maskTensor.getType()),
                         launch.inputs.size());
    launch.inputs.push_back(maskTensor);
  }
  size_t firstInput = launch.inputs.size();
  epilogue.collectInputs(launch.inputs);
  llvm::append_range(launch.results, view.root->getResultTypes());
  launch.work = shape.batch * shape.heads * shape.rowBlocks;
  launch.scratch = shape.maxRows * (shape.keyBlock + shape.valueColumns() + 2) *
                   scores.accumulatorBytes();
  launch.macs = shape.batch * shape.heads * shape.queries * shape.keys *
                (shape.depth + shape.valueDepth);
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    AttentionEmitter emitter{
        b,          shape,        epilogue, scores,    sums, mask, queryElement,
        keyElement, valueElement, acc,      firstInput};
    b.forEachWorkItem([&](Value item) { emitter.emitItem(item); });
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
