// Kernels that move elements without looking at them: transpose, broadcast,
// slice, concat, pad. A reshape is an alias and needs none. A concat of
// quantised parts is an ef.fused that casts them to the result's scale.
#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/MovementTable.h"
#include "targets/cpu/kernels/MovementTranspose.h"
#include "targets/cpu/kernels/QuantizedOperands.h"

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
  bool isCast = false; ///< From another scale than the result's.
};

/// Copies one piece; a cast has two factors from `slot` of input `factors` on.
struct PieceCopy {
  KernelBuilder &b;
  const Piece &piece;
  const StridedLoop &loop;
  Type type; ///< Element type of the result.
  size_t factors = 0;
  unsigned slot = 0;

  void emit(Value first, Value last) {
    Value from = b.pointer(b.input(piece.input)), to = b.pointer(b.result(0));
    loop.emit(b, first, last, b.variant.lanes,
              [&](ArrayRef<Value> offsets, int64_t lanes) {
                if (piece.isCast)
                  return emitCast(from, offsets[0], to, offsets[1], lanes);
                copyElements(b, from, offsets[0], loop.getInnerStride(0), to,
                             offsets[1], type, lanes);
              });
  }

private:
  Value factor(unsigned index, int64_t lanes) {
    Value scalar = loadScalar(b, factors, slot + index);
    return lanes == 1 ? scalar : b.splat(scalar, lanes);
  }
  void emitCast(Value from, Value fromOffset, Value to, Value toOffset,
                int64_t lanes) {
    Value q =
        loadElements(b, from, fromOffset, type, loop.getInnerStride(0), lanes);
    Value real = emitDequantize(b, q, factor(0, lanes));
    storeElements(b,
                  emitQuantize(b, real, factor(1, lanes), getQuantized(type)),
                  to, toOffset, type);
  }
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
  SmallVector<float> factors;
  launch.work = 0;
  for (const Piece &piece : pieces) {
    loops.emplace_back(piece.shape,
                       ArrayRef<StridedAccess>{piece.from, piece.to});
    launch.work += loops.back().getNumWorkItems();
    launch.key += piece.isCast ? "|cast" : "|copy";
    if (piece.isCast)
      factors.append({getScale(inputs[piece.input].getType()),
                      getReciprocalScale(view.resultType())});
  }
  if (Value scalars = createScalars(main, view.root->getLoc(), factors))
    launch.inputs.push_back(scalars);
  launch.work = std::max<int64_t>(launch.work, 1);
  auto body = [&](KernelBuilder &b) {
    int64_t base = 0;
    unsigned slot = 0;
    for (auto [piece, loop] : llvm::zip_equal(pieces, loops)) {
      int64_t count = loop.getNumWorkItems();
      Value start = arith::MaxSIOp::create(b, b.begin(), b.index(base));
      Value first = b.sub(start, b.index(base));
      Value last = b.sub(b.min(b.end(), b.index(base + count)), b.index(base));
      PieceCopy{
          b,   piece, loop, view.resultType().getElementType(), inputs.size(),
          slot}
          .emit(first, last);
      slot += piece.isCast ? 2 : 0;
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

static Value lowerConcat(ef::ConcatOp op, ArrayRef<Value> inputs,
                         const KernelView &view, OpBuilder &main,
                         DispatchBuilder &dispatches) {
  SmallVector<int64_t> strides =
      getRowMajorStrides(view.resultType().getShape());
  SmallVector<Piece> pieces;
  int64_t position = 0;
  for (auto [index, input] : llvm::enumerate(inputs)) {
    ArrayRef<int64_t> shape = typeOf(input).getShape();
    if (countElements(shape) == 0)
      continue;
    pieces.push_back(
        {index,
         SmallVector<int64_t>(shape),
         {getRowMajorStrides(shape), 0},
         {strides, position * strides[op.getAxis()]},
         getElementTypeOrSelf(input) != view.resultType().getElementType()});
    position += shape[op.getAxis()];
  }
  return emitPieces(view, inputs, pieces, main, dispatches);
}

/// An ef.fused of quant.dcast of each part, ef.concat and quant.qcast: its
/// parts. (A part of the result's type is copied: casting it to and fro changes
/// nothing.)
static std::optional<SmallVector<Value>>
matchQuantizedConcat(const KernelView &view, ef::ConcatOp &concat) {
  auto fused = dyn_cast<ef::FusedOp>(view.root);
  if (!fused || view.results.size() != 1)
    return std::nullopt;
  auto store = view.results.front().getDefiningOp<quant::QuantizeCastOp>();
  concat = store ? store.getInput().getDefiningOp<ef::ConcatOp>() : nullptr;
  if (!concat)
    return std::nullopt;
  SmallVector<Value> parts;
  for (Value input : concat.getInputs()) {
    auto load = input.getDefiningOp<quant::DequantizeCastOp>();
    Value part = load ? view.outer(load.getInput()) : Value();
    if (!part)
      return std::nullopt;
    parts.push_back(part);
  }
  return parts;
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
  Value result;
  ef::ConcatOp quantizedConcat;
  if (auto parts = matchQuantizedConcat(view, quantizedConcat)) {
    result = lowerConcat(quantizedConcat, *parts, view, main, dispatches);
    return FailureOr<SmallVector<Value>>(SmallVector<Value>{result});
  }
  if (!view.anchor || view.anchor != view.root)
    return std::nullopt;
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
    result = lowerConcat(concat, SmallVector<Value>(concat.getInputs()), view,
                         main, dispatches);
  } else if (auto pad = dyn_cast<ef::PadOp>(view.anchor)) {
    result = lowerPad(pad, view, main, dispatches);
  } else {
    return std::nullopt;
  }
  return FailureOr<SmallVector<Value>>(SmallVector<Value>{result});
}
