// Kernels that move elements without looking at them: transpose, broadcast,
// slice, concat, pad. A reshape is an alias and needs none.
#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/MovementTable.h"
#include "targets/cpu/kernels/MovementTranspose.h"

#include "dialects/ef/IndexTables.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

namespace {
/// One input and the place of its elements in the result.
struct Piece {
  size_t input;
  SmallVector<int64_t> shape;
  StridedAccess from, to;
};
} // namespace

/// Copies all pieces, which together make up the result; the work items of one
/// piece follow those of the one before.
static Value emitPieces(const KernelView &view, ArrayRef<Value> inputs,
                        ArrayRef<Piece> pieces, OpBuilder &main,
                        DispatchBuilder &dispatches) {
  Launch launch{
      view.root->getLoc(), "copy_" + view.label(),     view.label(),
      view.key(),          SmallVector<Value>(inputs), {view.resultType()}};
  SmallVector<StridedLoop> loops;
  launch.work = 0;
  for (const Piece &piece : pieces) {
    loops.emplace_back(piece.shape,
                       ArrayRef<StridedAccess>{piece.from, piece.to});
    launch.work += loops.back().getNumWorkItems();
  }
  launch.work = std::max<int64_t>(launch.work, 1);
  auto body = [&](KernelBuilder &b) {
    Type elementType = view.resultType().getElementType();
    Value to = b.pointer(b.result(0));
    int64_t base = 0;
    for (auto [piece, loop] : llvm::zip_equal(pieces, loops)) {
      int64_t count = loop.getNumWorkItems();
      Value from = b.pointer(b.input(piece.input));
      Value start = arith::MaxSIOp::create(b, b.begin(), b.index(base));
      Value first = b.sub(start, b.index(base));
      Value last = b.sub(b.min(b.end(), b.index(base + count)), b.index(base));
      const StridedLoop &nest = loop;
      nest.emit(b, first, last, b.variant.lanes,
                [&](ArrayRef<Value> offsets, int64_t lanes) {
                  copyElements(b, from, offsets[0], nest.getInnerStride(0), to,
                               offsets[1], elementType, lanes);
                });
      base += count;
    }
  };
  return dispatches.launch(main, launch, body).front();
}

static Value emitStridedCopy(const KernelView &view, Value input,
                             const StridedAccess &from, OpBuilder &main,
                             DispatchBuilder &dispatches) {
  ArrayRef<int64_t> shape = view.resultType().getShape();
  Piece piece{
      0, SmallVector<int64_t>(shape), from, {getRowMajorStrides(shape), 0}};
  return emitPieces(view, input, piece, main, dispatches);
}

static Value lowerTranspose(ef::TransposeOp op, const KernelView &view,
                            OpBuilder &main, DispatchBuilder &dispatches) {
  SmallVector<int64_t> strides =
      getRowMajorStrides(typeOf(op.getInput()).getShape());
  StridedAccess from;
  for (int64_t dim : op.getPermutation())
    from.strides.push_back(strides[dim]);
  if (Value result =
          emitTiledTranspose(view, op.getInput(), from, main, dispatches))
    return result;
  return emitStridedCopy(view, op.getInput(), from, main, dispatches);
}

static Value lowerSlice(ef::SliceOp op, const KernelView &view, OpBuilder &main,
                        DispatchBuilder &dispatches) {
  SmallVector<int64_t> strides =
      getRowMajorStrides(typeOf(op.getInput()).getShape());
  StridedAccess from;
  for (auto [stride, start, step] :
       llvm::zip_equal(strides, op.getStarts(), op.getSteps())) {
    from.offset += start * stride;
    from.strides.push_back(step * stride);
  }
  return emitStridedCopy(view, op.getInput(), from, main, dispatches);
}

static Value lowerConcat(ef::ConcatOp op, const KernelView &view,
                         OpBuilder &main, DispatchBuilder &dispatches) {
  SmallVector<int64_t> strides =
      getRowMajorStrides(view.resultType().getShape());
  SmallVector<Value> inputs(op.getInputs());
  SmallVector<Piece> pieces;
  int64_t position = 0;
  for (auto [index, input] : llvm::enumerate(inputs)) {
    ArrayRef<int64_t> shape = typeOf(input).getShape();
    if (countElements(shape) == 0)
      continue;
    pieces.push_back({index,
                      SmallVector<int64_t>(shape),
                      {getRowMajorStrides(shape), 0},
                      {strides, position * strides[op.getAxis()]}});
    position += shape[op.getAxis()];
  }
  return emitPieces(view, inputs, pieces, main, dispatches);
}

static Value lowerPad(ef::PadOp op, const KernelView &view, OpBuilder &main,
                      DispatchBuilder &dispatches) {
  TableCopy copy;
  copy.input = op.getInput();
  copy.fill = op.getValue();
  int64_t rank = typeOf(op.getInput()).getRank();
  if (rank == 0)
    return emitStridedCopy(view, op.getInput(), {}, main, dispatches);
  for (int64_t dim = 0; dim < rank; ++dim) {
    bool isPadded = op.getPads()[dim] != 0 || op.getPads()[dim + rank] != 0;
    copy.sources.push_back(isPadded ? ef::makePadSources(op, dim)
                                    : std::vector<int64_t>());
  }
  return emitTableCopy(copy, view, main, dispatches);
}

Lowered efc::cpu::lowerMovement(const KernelView &view, OpBuilder &main,
                                DispatchBuilder &dispatches,
                                const KernelOptions &) {
  if (!view.anchor || view.anchor != view.root)
    return std::nullopt;
  Value result;
  if (auto transpose = dyn_cast<ef::TransposeOp>(view.anchor)) {
    result = lowerTranspose(transpose, view, main, dispatches);
  } else if (auto broadcast = dyn_cast<ef::BroadcastOp>(view.anchor)) {
    StridedAccess from{
        getBroadcastStrides(typeOf(broadcast.getInput()).getShape(),
                            view.resultType().getShape()),
        0};
    result =
        emitStridedCopy(view, broadcast.getInput(), from, main, dispatches);
  } else if (auto slice = dyn_cast<ef::SliceOp>(view.anchor)) {
    result = lowerSlice(slice, view, main, dispatches);
  } else if (auto concat = dyn_cast<ef::ConcatOp>(view.anchor)) {
    result = lowerConcat(concat, view, main, dispatches);
  } else if (auto pad = dyn_cast<ef::PadOp>(view.anchor)) {
    result = lowerPad(pad, view, main, dispatches);
  } else {
    return std::nullopt;
  }
  return FailureOr<SmallVector<Value>>(SmallVector<Value>{result});
}
