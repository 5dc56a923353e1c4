// Random convolutional graphs; see RandomGraph.h.
#include "test/unit/passes/RandomGraph.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace efc::ef;
using namespace efc::test;

static ArrayRef<int64_t> getShape(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

static Value transpose(OpBuilder &builder, Value value,
                       ArrayRef<int64_t> permutation) {
  return TransposeOp::create(builder, builder.getUnknownLoc(), value,
                             permutation);
}

static Value reshape(OpBuilder &builder, Value value, ArrayRef<int64_t> shape) {
  return ReshapeOp::create(builder, builder.getUnknownLoc(),
                           cast<RankedTensorType>(value.getType()).clone(shape),
                           value);
}

Value RandomGraph::pickValue(int64_t rank) {
  SmallVector<Value> candidates =
      llvm::filter_to_vector(values, [&](Value value) {
        return static_cast<int64_t>(getShape(value).size()) == rank;
      });
  if (candidates.empty() || pick(0, 9) == 0)
    return rank == 4
               ? addArgument({pick(1, 2), pick(1, 4), pick(1, 4), pick(1, 4)})
               : addArgument({pick(1, 2), pick(1, 4), pick(1, 4)});
  return candidates[pick(0, candidates.size() - 1)];
}

Value RandomGraph::addArgument(ArrayRef<int64_t> shape) {
  return block->addArgument(RankedTensorType::get(shape, builder.getF32Type()),
                            builder.getUnknownLoc());
}

Value RandomGraph::addConv(Value picture) {
  ArrayRef<int64_t> shape = getShape(picture);
  bool depthwise = pick(0, 4) == 0;
  int64_t kernel = pick(0, 1) ? 3 : 1, pad = kernel / 2;
  Value filter = depthwise
                     ? addArgument({shape[1], 1, kernel, kernel})
                     : addArgument({pick(1, 4), shape[1], kernel, kernel});
  int64_t stride = pick(1, 2);
  return ConvOp::create(
      builder, builder.getUnknownLoc(), picture, filter,
      ArrayRef<int64_t>{stride, stride}, ArrayRef<int64_t>{pad, pad, pad, pad},
      ArrayRef<int64_t>{1, 1}, depthwise ? shape[1] : 1, Layout::ChannelsFirst);
}

Value RandomGraph::addPool(Value picture) {
  return PoolOp::create(builder, builder.getUnknownLoc(),
                        pick(0, 1) ? PoolKind::Max : PoolKind::Avg, picture,
                        ArrayRef<int64_t>{2, 2}, ArrayRef<int64_t>{1, 2},
                        ArrayRef<int64_t>{1, 0, 0, 1},
                        ArrayRef<int64_t>{1, 0, 0, 1}, ArrayRef<int64_t>{1, 1},
                        /*count_include_pad=*/pick(0, 1) == 1,
                        Layout::ChannelsFirst);
}

Value RandomGraph::addNorm(Value picture) {
  int64_t channels = getShape(picture)[1];
  Value scale = addArgument({channels}), bias = addArgument({channels});
  return GroupNormOp::create(
      builder, builder.getUnknownLoc(), picture.getType(), picture, scale, bias,
      channels % 2 == 0 ? 2 : 1, APFloat(0.1), Layout::ChannelsFirst);
}

Value RandomGraph::addUnary(Value value) {
  constexpr UnaryKind kinds[] = {UnaryKind::Silu, UnaryKind::Gelu,
                                 UnaryKind::Tanh, UnaryKind::Neg,
                                 UnaryKind::Abs};
  return UnaryOp::create(builder, builder.getUnknownLoc(), kinds[pick(0, 4)],
                         value);
}

Value RandomGraph::addBinary(Value value) {
  // The other operand: a value of the same shape if there is one, or a new one
  // that broadcasts.
  SmallVector<int64_t> shape(getShape(value));
  SmallVector<Value> same = llvm::filter_to_vector(
      values, [&](Value other) { return other.getType() == value.getType(); });
  Value other;
  if (!same.empty() && pick(0, 1)) {
    other = same[pick(0, same.size() - 1)];
  } else {
    SmallVector<int64_t> broadcast(shape);
    for (int64_t &extent : broadcast)
      if (pick(0, 1))
        extent = 1;
    size_t dropped = pick(0, broadcast.size());
    other = addArgument(ArrayRef<int64_t>(broadcast).drop_front(dropped));
  }
  constexpr BinaryKind kinds[] = {BinaryKind::Add, BinaryKind::Mul,
                                  BinaryKind::Sub, BinaryKind::Max};
  return pick(0, 1) ? BinaryOp::create(builder, builder.getUnknownLoc(),
                                       kinds[pick(0, 3)], value, other)
                    : BinaryOp::create(builder, builder.getUnknownLoc(),
                                       kinds[pick(0, 3)], other, value);
}

Value RandomGraph::addMovement(Value picture) {
  Location loc = builder.getUnknownLoc();
  auto type = cast<RankedTensorType>(picture.getType());
  SmallVector<int64_t> shape(type.getShape());
  switch (pick(0, 3)) {
  case 0: {
    int64_t axis = pick(0, 3);
    return ConcatOp::create(
        builder, loc, ValueRange{picture, addArgument(shape), picture}, axis);
  }
  case 1:
    return PadOp::create(builder, loc, picture, Value(),
                         ArrayRef<int64_t>{0, pick(0, 1), pick(0, 2),
                                           pick(0, 1), 0, pick(0, 1), 0,
                                           pick(0, 2)},
                         PadMode::Constant);
  case 2: {
    SmallVector<int64_t> starts(4, 0), steps(4, 1);
    int64_t dim = pick(1, 3);
    starts[dim] = shape[dim] - 1;
    steps[dim] = -2;
    shape[dim] = (shape[dim] + 1) / 2;
    return SliceOp::create(builder, loc, type.clone(shape), picture, starts,
                           steps);
  }
  default:
    shape[2] *= 2;
    shape[3] *= 2;
    return ResizeOp::create(
        builder, loc, type.clone(shape), picture, ResizeMode::Linear,
        ResizeCoordinates::HalfPixel, ResizeNearest::RoundPreferFloor,
        ArrayRef<double>{1, 1, 2, 2}, ArrayRef<double>{}, APFloat(-0.75),
        /*exclude_outside=*/false, APFloat(0.0), /*antialias=*/false);
  }
}

Value RandomGraph::addReduction(Value value) {
  Location loc = builder.getUnknownLoc();
  int64_t rank = getShape(value).size();
  if (pick(0, 1))
    return SoftmaxOp::create(builder, loc, value.getType(), value,
                             pick(0, rank - 1), false);
  bool keepDims = pick(0, 2) != 0;
  SmallVector<int64_t> axes;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (pick(0, 1))
      axes.push_back(dim);
  return ReduceOp::create(builder, loc, ReduceKind::Mean, value, axes,
                          keepDims);
}

Value RandomGraph::addTokens(Value picture) {
  SmallVector<int64_t> shape(getShape(picture));
  int64_t space = shape[2] * shape[3];
  switch (pick(0, 3)) {
  case 0:
    return reshape(builder, transpose(builder, picture, {0, 2, 3, 1}),
                   {shape[0], space, shape[1]});
  case 1:
    return transpose(builder,
                     reshape(builder, picture, {shape[0], shape[1], space}),
                     {0, 2, 1});
  case 2: {
    // There and back.
    Value tokens = reshape(builder, transpose(builder, picture, {0, 2, 3, 1}),
                           {shape[0], space, shape[1]});
    Value changed = addMatmul(tokens);
    return transpose(
        builder,
        reshape(builder, changed,
                {shape[0], shape[2], shape[3], getShape(changed)[2]}),
        {0, 3, 1, 2});
  }
  default:
    return reshape(builder, picture, {shape[0], space, shape[1]});
  }
}

Value RandomGraph::addMatmul(Value tokens) {
  int64_t columns = getShape(tokens)[2], newColumns = pick(1, 4);
  return MatmulOp::create(builder, builder.getUnknownLoc(), tokens,
                          addArgument({columns, newColumns}), false, false);
}

void RandomGraph::addOperation() {
  Value result;
  switch (pick(0, 9)) {
  case 0:
  case 1:
    result = addConv(pickValue(4));
    break;
  case 2:
    result = addNorm(pickValue(4));
    break;
  case 3:
    result = addUnary(pickValue(pick(3, 4)));
    break;
  case 4:
  case 5:
    result = addBinary(pickValue(pick(3, 4)));
    break;
  case 6:
    result = addMovement(pickValue(4));
    break;
  case 7:
    result = pick(0, 2) ? addReduction(pickValue(pick(3, 4)))
                        : addPool(pickValue(4));
    break;
  case 8:
    result = addTokens(pickValue(4));
    break;
  default:
    result = addMatmul(pickValue(3));
    break;
  }
  // Keeps the evaluation cheap.
  if (cast<RankedTensorType>(result.getType()).getNumElements() <= 4096)
    values.push_back(result);
}

OwningOpRef<ModuleOp> RandomGraph::build(int numOperations) {
  Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToStart(module->getBody());
  auto function = func::FuncOp::create(builder, loc, "main",
                                       builder.getFunctionType({}, {}));
  block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  for (int i = 0; i < numOperations; ++i)
    addOperation();
  SmallVector<Value> results = llvm::filter_to_vector(
      values, [](Value value) { return value.use_empty(); });
  func::ReturnOp::create(builder, loc, results);
  function.setType(builder.getFunctionType(block->getArgumentTypes(),
                                           ValueRange(results).getTypes()));
  return module;
}
