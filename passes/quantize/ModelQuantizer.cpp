// The rewrite of a function into its quantised form. See ModelQuantizer.h.
#include "passes/quantize/ModelQuantizer.h"

#include "passes/quantize/WeightScales.h"

#include "dialects/ef/Locations.h"
#include "dialects/ef/Quantized.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace efc;
using namespace efc::ef;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// A kernel of one cast of `value` to `type`, behind the value's definition.
template <typename CastOpT>
static Value createCastKernel(Value value, Type type) {
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  Location loc = value.getLoc();
  auto fused = FusedOp::create(builder, loc, type, value);
  Block *body = builder.createBlock(&fused.getBody());
  Value argument = body->addArgument(value.getType(), loc);
  Value cast = CastOpT::create(builder, loc, type, argument);
  YieldOp::create(builder, loc, cast);
  return fused.getResult(0);
}

std::string efc::getTableName(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    if (auto function =
            dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()))
      if (auto name = function.getArgAttrOfType<StringAttr>(
              argument.getArgNumber(), "ef.name"))
        return name.str();
  return getTensorName(value.getLoc()).str();
}

std::string efc::getScoresName(AttentionOp attention) {
  return "scores:" + getTensorName(attention.getLoc()).str();
}

//===--- Weights ---===//

FailureOr<Value> WeightQuantizer::quantize(Value value, int32_t axis,
                                           Operation *user) {
  Value &cast = casts[{value, axis}];
  if (cast)
    return cast;
  llvm::Expected<HostTensor> tensor = store.evaluate(value);
  if (!tensor)
    return user->emitOpError()
           << "cannot be quantised: " << llvm::toString(tensor.takeError());
  std::vector<float> scales =
      computeWeightScales(value.getContext(), *tensor, axis);
  if (scales.empty())
    return user->emitOpError()
           << "cannot be quantised: its weights '"
           << getTensorName(value.getLoc())
           << "' hold NaN or infinities; keep the node in float with "
              "--keep-float, or repair the model";
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  Type type =
      typeOf(value).clone(makeWeightType(value.getContext(), scales, axis));
  cast = quant::QuantizeCastOp::create(builder, value.getLoc(), type, value);
  return cast;
}

FailureOr<Value> WeightQuantizer::quantizeDequantize(Value value, int32_t axis,
                                                     Operation *user) {
  FailureOr<Value> cast = quantize(value, axis, user);
  if (failed(cast))
    return failure();
  Value &result = floats[{value, axis}];
  if (!result)
    result = createCastKernel<quant::DequantizeCastOp>(*cast, value.getType());
  return result;
}

//===--- Values in both forms ---===//

Type ModelQuantizer::getResultType(Value root) {
  int32_t limit = plan.getLimit(root);
  float largest = *table.getLargest(getTableName(root));
  return typeOf(root).clone(
      makeActivationType(root.getContext(), makeScale(largest, limit), limit));
}

Value ModelQuantizer::quantizeMovement(Operation *op) {
  Value input = getQuantized(op->getOperand(0));
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  if (op->isBeforeInBlock(input.getDefiningOp()))
    builder.setInsertionPointAfterValue(input);
  IRMapping mapping;
  mapping.map(op->getOperand(0), input);
  Operation *clone = builder.clone(*op, mapping);
  Value result = clone->getResult(0);
  result.setType(typeOf(result).clone(typeOf(input).getElementType()));
  return result;
}

Value ModelQuantizer::getQuantized(Value value) {
  if (Value known = quantized.lookup(value))
    return known;
  Value result;
  if (isMovement(value.getDefiningOp())) {
    result = quantizeMovement(value.getDefiningOp());
  } else {
    result =
        createCastKernel<quant::QuantizeCastOp>(value, getResultType(value));
    ++numBorderCasts;
  }
  return quantized[value] = result;
}

Value ModelQuantizer::getFloat(Value value) {
  if (!replaced.contains(value.getDefiningOp()))
    return value;
  Value &result = floats[value];
  if (!result) {
    result = createCastKernel<quant::DequantizeCastOp>(quantized.lookup(value),
                                                       value.getType());
    ++numBorderCasts;
  }
  return result;
}

//===--- Kernels ---===//

/// `op` as the only operation of an ef.fused in its place.
static FusedOp wrapKernel(Operation *op) {
  if (auto fused = dyn_cast<FusedOp>(op))
    return fused;
  llvm::SetVector<Value> inputs(op->operand_begin(), op->operand_end());
  OpBuilder builder(op);
  auto fused = FusedOp::create(builder, op->getLoc(), op->getResultTypes(),
                               inputs.getArrayRef());
  Block *body = builder.createBlock(&fused.getBody());
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, body->addArgument(input.getType(), input.getLoc()));
  Operation *clone = builder.clone(*op, mapping);
  YieldOp::create(builder, op->getLoc(), clone->getResults());
  return fused;
}

namespace {
/// Fills the body of a quantised kernel from that of a float one.
class KernelBody {
public:
  KernelBody(Block &from, Block &to, const CalibrationTable &table)
      : builder(OpBuilder::atBlockEnd(&to)), table(table) {
    for (auto [before, after] :
         llvm::zip_equal(from.getArguments(), to.getArguments()))
      arguments[before] = after;
  }

  void add(Operation &op) {
    IRMapping mapping;
    for (auto [index, operand] : llvm::enumerate(op.getOperands()))
      if (!isQuantizedOperand(op, index))
        mapping.map(operand, getFloat(operand));
    Operation *clone = builder.clone(op, mapping);
    for (auto [index, operand] : llvm::enumerate(op.getOperands()))
      if (isQuantizedOperand(op, index))
        clone->setOperand(index, getQuantized(operand));
    if (auto attention = dyn_cast<AttentionOp>(clone))
      attention.setScoreScaleAttr(builder.getF64FloatAttr(makeScale(
          *table.getLargest(getScoresName(attention)), kActivationLimit)));
    for (auto [before, after] :
         llvm::zip_equal(op.getResults(), clone->getResults()))
      values[before] = after;
  }

  void yield(Value value, Type type) {
    Location loc = value.getLoc();
    Value cast =
        quant::QuantizeCastOp::create(builder, loc, type, getFloat(value));
    YieldOp::create(builder, loc, cast);
  }

private:
  static bool isQuantizedOperand(Operation &op, unsigned index) {
    return FusedOp::isAnchor(&op) &&
           (llvm::is_contained(getActivationOperands(&op), index) ||
            getWeightOperand(&op) == static_cast<int>(index));
  }

  /// The stored form of an argument, or of what only moves its elements.
  Value getQuantized(Value value) {
    if (Value argument = arguments.lookup(value))
      return argument;
    Operation *op = value.getDefiningOp();
    Value input = getQuantized(op->getOperand(0));
    IRMapping mapping;
    mapping.map(op->getOperand(0), input);
    Value result = builder.clone(*op, mapping)->getResult(0);
    result.setType(typeOf(result).clone(typeOf(input).getElementType()));
    return result;
  }

  /// The binary32 form: arguments are cast where they are first needed.
  Value getFloat(Value value) {
    Value &result = values[value];
    if (result)
      return result;
    Value argument = arguments.lookup(value);
    result = argument;
    if (isQuantized(argument.getType()))
      result = quant::DequantizeCastOp::create(builder, value.getLoc(),
                                               value.getType(), argument);
    return result;
  }

  OpBuilder builder;
  const CalibrationTable &table;
  llvm::DenseMap<Value, Value> arguments, values;
};
} // namespace

/// The anchor that reads `argument` as its weights, or null.
static Operation *getWeightUser(BlockArgument argument) {
  for (OpOperand &use : argument.getUses()) {
    Operation *user = use.getOwner();
    if (FusedOp::isAnchor(user) &&
        getWeightOperand(user) == static_cast<int>(use.getOperandNumber()))
      return user;
  }
  return nullptr;
}

LogicalResult ModelQuantizer::rewriteKernel(Operation *kernel) {
  FusedOp before = wrapKernel(kernel);
  SmallVector<Value> operands;
  for (auto [argument, operand] :
       llvm::zip_equal(before.getBlock().getArguments(), before.getInputs())) {
    if (Operation *user = getWeightUser(argument)) {
      FailureOr<Value> cast =
          weights.quantize(operand, getWeightAxis(user), kernel);
      if (failed(cast))
        return failure();
      operands.push_back(*cast);
    } else {
      operands.push_back(isConstantExpression(operand) ? operand
                                                       : getQuantized(operand));
    }
  }
  Value result = kernel->getResult(0);
  Type type = getResultType(result);
  OpBuilder builder(kernel);
  auto after = FusedOp::create(builder, kernel->getLoc(), type, operands);
  Block *body = builder.createBlock(&after.getBody());
  for (auto [operand, argument] :
       llvm::zip_equal(operands, before.getBlock().getArguments()))
    body->addArgument(operand.getType(), argument.getLoc());
  KernelBody contents(before.getBlock(), *body, table);
  for (Operation &op : before.getBlock().without_terminator())
    contents.add(op);
  contents.yield(before.getBlock().getTerminator()->getOperand(0), type);
  quantized[result] = after.getResult(0);
  replaced.insert(kernel);
  if (before != kernel)
    before.erase();
  return success();
}

/// Removes movements inside kernels that only their float form used, and
/// whatever else has become unused.
static void eraseUnused(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (op.use_empty() && isa<ReshapeOp, TransposeOp, SliceOp,
                              quant::DequantizeCastOp, ConstantOp>(op))
      op.erase();
}

LogicalResult ModelQuantizer::run(func::FuncOp function) {
  Block &block = function.getBody().front();
  SmallVector<Operation *> ops;
  for (Operation &op : block)
    ops.push_back(&op);
  for (Operation *op : ops) {
    if (plan.isQuantized(op)) {
      if (failed(rewriteKernel(op)))
        return failure();
    } else if (isMovement(op) && quantized.contains(op->getOperand(0)) &&
               replaced.contains(op->getOperand(0).getDefiningOp())) {
      getQuantized(op->getResult(0));
      replaced.insert(op);
    } else {
      for (OpOperand &operand : op->getOpOperands())
        operand.set(getFloat(operand.get()));
    }
  }
  for (Operation *op : llvm::reverse(replaced.getArrayRef()))
    op->erase();
  for (FusedOp fused : block.getOps<FusedOp>())
    eraseUnused(fused.getBlock());
  eraseUnused(block);
  return success();
}
