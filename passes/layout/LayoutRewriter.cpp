// The frame of the layout pass: pending values, the transposes at the borders,
// and the operations that need a layout; see LayoutRewriter.h.
#include "passes/layout/LayoutRewriter.h"

#include "dialects/ef/WeightStore.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace efc;
using namespace efc::ef;

static RankedTensorType getType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Layouts differ from three dimensions on.
static bool hasSpace(Value value) { return getType(value).getRank() >= 3; }

//===--- Pending values
//-----------------------------------------------------------------------------------------------------------------===//

Value LayoutRewriter::getPending(Value value) const {
  if (!hasSpace(value))
    return nullptr;
  RankedTensorType type = getType(value);
  if (auto transpose = value.getDefiningOp<TransposeOp>())
    return transpose.getPermutation() ==
                   ArrayRef<int64_t>(getToChannelsFirst(type.getRank()))
               ? transpose.getInput()
               : Value();
  Permutation toLast = getToChannelsLast(type.getRank());
  auto reshape = value.getDefiningOp<ReshapeOp>();
  if (reshape && movesNothing(type.getShape(), toLast) &&
      reshape.getInput().getType() ==
          type.clone(permute(type.getShape(), toLast)))
    return reshape.getInput();
  return nullptr;
}

Value LayoutRewriter::createReshape(Location loc, Value value,
                                    ArrayRef<int64_t> shape) {
  // A reshape of a reshape is one of the first input.
  if (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getInput();
  RankedTensorType type = getType(value).clone(shape);
  return value.getType() == type
             ? value
             : ReshapeOp::create(builder, loc, type, value).getResult();
}

Value LayoutRewriter::createTranspose(Location loc, Value value,
                                      ArrayRef<int64_t> permutation) {
  if (isIdentity(permutation))
    return value;
  ArrayRef<int64_t> shape = getType(value).getShape();
  if (movesNothing(shape, permutation))
    return createReshape(loc, value, permute(shape, permutation));
  return TransposeOp::create(builder, loc, value, permutation);
}

Value LayoutRewriter::getChannelsLast(Value value) {
  if (Value pending = getPending(value))
    return pending;
  if (Value known = channelsLastOf.lookup(value))
    return known;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(value);
  Value result = createTranspose(value.getLoc(), value,
                                 getToChannelsLast(getType(value).getRank()));
  channelsLastOf[value] = result;
  return result;
}

void LayoutRewriter::replaceByPending(Operation *op, Value channelsLast) {
  Value pending =
      createTranspose(op->getLoc(), channelsLast,
                      getToChannelsFirst(getType(channelsLast).getRank()));
  op->getResult(0).replaceAllUsesWith(pending);
  op->erase();
}

Operation *LayoutRewriter::cloneChannelsLast(Operation *op,
                                             ArrayRef<Value> operands) {
  Operation *clone = builder.clone(*op);
  clone->setOperands(operands);
  RankedTensorType type = getType(op->getResult(0));
  clone->getResult(0).setType(
      type.clone(permute(type.getShape(), getToChannelsLast(type.getRank()))));
  return clone;
}

//===--- Costs
//--------------------------------------------------------------------------------------------------------------------------===//

/// `shape` with ones in front, up to `rank` dimensions.
static SmallVector<int64_t> padToRank(ArrayRef<int64_t> shape, int64_t rank) {
  SmallVector<int64_t> padded(rank - shape.size(), 1);
  padded.append(shape.begin(), shape.end());
  return padded;
}

bool LayoutRewriter::isFree(Value value, int64_t rank) const {
  return channelsLastOf.contains(value) || isConstantExpression(value) ||
         movesNothing(padToRank(getType(value).getShape(), rank),
                      getToChannelsLast(rank));
}

bool LayoutRewriter::isWorthMoving(ArrayRef<Value> operands,
                                   int64_t rank) const {
  int64_t pendingElements = 0, newElements = 0;
  for (Value operand : operands) {
    RankedTensorType type = getType(operand);
    if (type.getRank() == rank && getPending(operand))
      pendingElements += type.getNumElements();
    else if (!isFree(operand, rank))
      newElements += type.getNumElements();
  }
  // A transpose of something new is accepted where it is small beside those
  // that move on.
  return pendingElements > 0 && 2 * newElements <= pendingElements;
}

Value LayoutRewriter::getBroadcastOperand(Value value, int64_t rank) {
  RankedTensorType type = getType(value);
  if (type.getNumElements() == 1)
    return value;
  if (type.getRank() == rank)
    if (Value pending = getPending(value))
      return pending;
  SmallVector<int64_t> padded = padToRank(type.getShape(), rank);
  Permutation toLast = getToChannelsLast(rank);
  if (!movesNothing(padded, toLast))
    return getChannelsLast(type.getRank() == rank
                               ? value
                               : createReshape(value.getLoc(), value, padded));
  SmallVector<int64_t> shape = permute(padded, toLast);
  // [1, 1, 1, C] is [C], which often undoes the reshape that made a bias [C, 1,
  // 1].
  ArrayRef<int64_t> stripped = ArrayRef<int64_t>(shape).drop_while(
      [](int64_t extent) { return extent == 1; });
  return createReshape(value.getLoc(), value, stripped);
}

//===--- Operations that need a layout
//----------------------------------------------------------------------------------------------------===//

template <typename OpT> void LayoutRewriter::convertWindowed(OpT op) {
  if (op.getLayout() == Layout::ChannelsLast || !hasSpace(op.getInput()))
    return;
  SmallVector<Value> operands(op->getOperands());
  operands.front() = getChannelsLast(op.getInput());
  auto converted = cast<OpT>(cloneChannelsLast(op, operands));
  converted.setLayout(Layout::ChannelsLast);
  ++numConverted;
  replaceByPending(op, converted.getResult());
}

void LayoutRewriter::convertGroupNorm(GroupNormOp op) {
  // Unlike a convolution it is as good in either layout: it follows its
  // surroundings.
  auto wantsChannelsLast = [](Operation *user) {
    auto transpose = dyn_cast<TransposeOp>(user);
    return transpose &&
           transpose.getPermutation() == ArrayRef<int64_t>(getToChannelsLast(
                                             transpose.getType().getRank()));
  };
  if (getPending(op.getInput()) || channelsLastOf.contains(op.getInput()) ||
      llvm::any_of(op->getUsers(), wantsChannelsLast))
    convertWindowed(op);
}

//===--- The walk
//-----------------------------------------------------------------------------------------------------------------------===//

void LayoutRewriter::composeTransposes(TransposeOp op) {
  Value input = op.getInput();
  Permutation permutation(op.getPermutation());
  while (auto inner = input.getDefiningOp<TransposeOp>()) {
    permutation = compose(inner.getPermutation(), permutation);
    input = inner.getInput();
  }
  bool isUnchanged = input == op.getInput() && !isIdentity(permutation) &&
                     !movesNothing(getType(input).getShape(), permutation);
  if (isUnchanged)
    return;
  op.replaceAllUsesWith(createTranspose(op.getLoc(), input, permutation));
  op.erase();
}

void LayoutRewriter::visit(Operation *op) {
  builder.setInsertionPoint(op);
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](TransposeOp transpose) { composeTransposes(transpose); })
      .Case<ConvOp, ConvTransposeOp, PoolOp>(
          [&](auto windowed) { convertWindowed(windowed); })
      .Case([&](GroupNormOp norm) { convertGroupNorm(norm); })
      .Case<UnaryOp, BinaryOp, SelectOp, CastOp>(
          [&](auto) { moveElementwise(op); })
      .Case([&](ConcatOp concat) { moveConcat(concat); })
      .Case([&](PadOp pad) { movePad(pad); })
      .Case([&](SliceOp slice) { moveSlice(slice); })
      .Case([&](ResizeOp resize) { moveResize(resize); })
      .Case([&](ReshapeOp reshape) { moveReshape(reshape); })
      .Case([&](BroadcastOp broadcast) { moveBroadcast(broadcast); })
      .Case<SoftmaxOp, CumSumOp>([&](auto along) { moveAlongAxis(along); })
      .Case<QuantizeOp, DequantizeOp>(
          [&](auto quantization) { moveAlongAxis(quantization); })
      .Case([&](ReduceOp reduce) { moveReduce(reduce); })
      .Case([&](MatmulOp matmul) { absorbTransposes(matmul); });
}

void LayoutRewriter::run() {
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  for (Operation *op : ops)
    visit(op);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

//===--- Operations that do not care
//------------------------------------------------------------------------------------------------------===//

void LayoutRewriter::moveElementwise(Operation *op) {
  int64_t rank = getType(op->getResult(0)).getRank();
  SmallVector<Value> operands(op->getOperands());
  if (rank < 3 || !isWorthMoving(operands, rank))
    return;
  for (Value &operand : operands)
    operand = getBroadcastOperand(operand, rank);
  ++numMoved;
  replaceByPending(op, cloneChannelsLast(op, operands)->getResult(0));
}

void LayoutRewriter::moveConcat(ConcatOp op) {
  int64_t rank = op.getType().getRank();
  SmallVector<Value> operands(op.getInputs());
  if (rank < 3 || !isWorthMoving(operands, rank))
    return;
  for (Value &operand : operands)
    operand = getChannelsLast(operand);
  auto moved = cast<ConcatOp>(cloneChannelsLast(op, operands));
  moved.setAxis(getToChannelsFirst(rank)[op.getAxis()]);
  ++numMoved;
  replaceByPending(op, moved);
}

void LayoutRewriter::movePad(PadOp op) {
  Value input = getPending(op.getInput());
  if (!input)
    return;
  int64_t rank = op.getType().getRank();
  SmallVector<Value> operands(op->getOperands());
  operands.front() = input;
  auto moved = cast<PadOp>(cloneChannelsLast(op, operands));
  Permutation toLast = getToChannelsLast(rank);
  SmallVector<int64_t> pads = permute(op.getPads().take_front(rank), toLast);
  pads.append(permute(op.getPads().drop_front(rank), toLast));
  moved.setPads(pads);
  ++numMoved;
  replaceByPending(op, moved);
}

void LayoutRewriter::moveSlice(SliceOp op) {
  Value input = getPending(op.getInput());
  if (!input)
    return;
  Permutation toLast = getToChannelsLast(op.getType().getRank());
  auto moved = cast<SliceOp>(cloneChannelsLast(op, input));
  moved.setStarts(permute(op.getStarts(), toLast));
  moved.setSteps(permute(op.getSteps(), toLast));
  ++numMoved;
  replaceByPending(op, moved);
}

void LayoutRewriter::moveResize(ResizeOp op) {
  Value input = getPending(op.getInput());
  if (!input)
    return;
  Permutation toLast = getToChannelsLast(op.getType().getRank());
  auto permuteFloats = [&](ArrayRef<double> values,
                           SmallVectorImpl<double> &result) {
    for (int64_t dim : toLast)
      result.push_back(values[dim]);
  };
  SmallVector<double> scales, roi;
  permuteFloats(op.getScales(), scales);
  // Empty, or all starts and then all ends.
  if (size_t rank = toLast.size(); op.getRoi().size() == 2 * rank) {
    permuteFloats(op.getRoi().take_front(rank), roi);
    permuteFloats(op.getRoi().drop_front(rank), roi);
  }
  auto moved = cast<ResizeOp>(cloneChannelsLast(op, input));
  moved.setScales(scales);
  moved.setRoi(roi);
  ++numMoved;
  replaceByPending(op, moved);
}

void LayoutRewriter::moveReshape(ReshapeOp op) {
  Value input = getPending(op.getInput());
  if (!input)
    return;
  ArrayRef<int64_t> from = op.getInput().getType().getShape(),
                    to = op.getType().getShape();
  // Only the spatial dimensions are merged or split: [N, C, H, W] <-> [N, C,
  // H*W].
  if (to.size() < 2 || from[0] != to[0] || from[1] != to[1])
    return;
  SmallVector<int64_t> shape = permute(to, getToChannelsLast(to.size()));
  ++numMoved;
  replaceByPending(op, createReshape(op.getLoc(), input, shape));
}

void LayoutRewriter::moveBroadcast(BroadcastOp op) {
  Value input = getPending(op.getInput());
  if (!input || op.getInput().getType().getRank() != op.getType().getRank())
    return;
  ++numMoved;
  replaceByPending(op, cloneChannelsLast(op, input)->getResult(0));
}

template <typename OpT> void LayoutRewriter::moveAlongAxis(OpT op) {
  Value input = getPending(op.getInput());
  if (!input)
    return;
  // A blocked scale has the input's own dimensions.
  if constexpr (std::is_same_v<OpT, QuantizeOp> ||
                std::is_same_v<OpT, DequantizeOp>)
    if (op.getScale().getType().getRank() > 1)
      return;
  SmallVector<Value> operands(op->getOperands());
  operands.front() = input;
  auto moved = cast<OpT>(cloneChannelsLast(op, operands));
  moved.setAxis(getToChannelsFirst(getType(input).getRank())[op.getAxis()]);
  ++numMoved;
  replaceByPending(op, moved.getResult());
}

void LayoutRewriter::moveReduce(ReduceOp op) {
  Value input = getPending(op.getInput());
  if (!input)
    return;
  int64_t rank = getType(input).getRank();
  Permutation toFirst = getToChannelsFirst(rank);
  SmallVector<int64_t> axes = llvm::map_to_vector(
      op.getAxes(), [&](int64_t axis) { return toFirst[axis]; });
  llvm::sort(axes);
  Value moved = ReduceOp::create(builder, op.getLoc(), op.getKind(), input,
                                 axes, op.getKeepDims());
  ++numMoved;
  if (op.getKeepDims())
    return replaceByPending(op, moved);
  // The dimensions that stay, in the order of channels-last, and where the old
  // result's dimensions are among them.
  SmallVector<int64_t> kept, permutation;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (!llvm::is_contained(axes, dim))
      kept.push_back(dim);
  for (int64_t dim : toFirst)
    if (auto *it = llvm::find(kept, dim); it != kept.end())
      permutation.push_back(it - kept.begin());
  op.replaceAllUsesWith(createTranspose(op.getLoc(), moved, permutation));
  op.erase();
}

void LayoutRewriter::absorbTransposes(MatmulOp op) {
  auto swapsMatrix = [](TransposeOp transpose) {
    Permutation swapped(transpose.getPermutation());
    std::swap(swapped[swapped.size() - 1], swapped[swapped.size() - 2]);
    return isIdentity(swapped);
  };
  bool transposed[] = {op.getTransposeA(), op.getTransposeB()};
  bool isChanged = false;
  for (OpOperand &operand : op->getOpOperands()) {
    auto transpose = operand.get().getDefiningOp<TransposeOp>();
    if (!transpose || !swapsMatrix(transpose))
      continue;
    operand.set(transpose.getInput());
    transposed[operand.getOperandNumber()] ^= true;
    isChanged = true;
  }
  op.setTransposeA(transposed[0]);
  op.setTransposeB(transposed[1]);
  numMoved += isChanged;
}
