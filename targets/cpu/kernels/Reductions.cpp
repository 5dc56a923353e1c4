// ef.reduce over any axes, with an epilogue, and the entry for the operations
// along one axis. Where the innermost dimension is reduced, lanes are
// neighbouring elements of the sum; where it is kept, neighbouring results.
#include "targets/cpu/kernels/NormsCommon.h"
#include "targets/cpu/kernels/ReductionsCommon.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;
using ef::BinaryKind;
using ef::ReduceKind;

//===----------------------------------------------------------------------===//
// Accumulator
//===----------------------------------------------------------------------===//

static bool isExtreme(ReduceKind kind) {
  return kind == ReduceKind::Max || kind == ReduceKind::Min;
}

Accumulator::Accumulator(ReduceKind kind, Type elementType)
    : kind(kind), elementType(elementType) {
  MLIRContext *context = elementType.getContext();
  if (isExtreme(kind))
    accumulationType = getComputeType(elementType);
  else if (isa<FloatType>(elementType))
    accumulationType = Float64Type::get(context);
  else
    accumulationType =
        IntegerType::get(context, 64,
                         isUnsigned(elementType) ? IntegerType::Unsigned
                                                 : IntegerType::Signless);
  // The compute type forgets signs; comparisons need them.
  if (isExtreme(kind) && elementType.isUnsignedInteger())
    accumulationType = elementType;
}

Value Accumulator::getInitial(KernelBuilder &b, int64_t lanes) const {
  Type type = getComputeType(accumulationType);
  if (lanes > 1)
    type = VectorType::get({lanes}, type);
  bool isMax = kind == ReduceKind::Max;
  double infinity = std::numeric_limits<double>::infinity();
  if (isa<FloatType>(accumulationType))
    return FloatMath(b, type).constant(kind == ReduceKind::Prod ? 1
                                       : !isExtreme(kind)       ? 0
                                       : isMax                  ? -infinity
                                                                : infinity);
  if (!isExtreme(kind))
    return integerConstant(b, type, kind == ReduceKind::Prod);
  unsigned width = accumulationType.getIntOrFloatBitWidth();
  if (isUnsigned(accumulationType))
    return integerConstant(b, type, isMax ? 0 : -1);
  APInt extreme =
      isMax ? APInt::getSignedMinValue(width) : APInt::getSignedMaxValue(width);
  return integerConstant(b, type, extreme.getSExtValue());
}

Value Accumulator::widen(KernelBuilder &b, Value value) const {
  return emitCast(b, value, elementType, accumulationType);
}

Value Accumulator::combine(KernelBuilder &b, Value x, Value y) const {
  BinaryKind binary = kind == ReduceKind::Max    ? BinaryKind::Max
                      : kind == ReduceKind::Min  ? BinaryKind::Min
                      : kind == ReduceKind::Prod ? BinaryKind::Mul
                                                 : BinaryKind::Add;
  return emitBinary(b, binary, x, y, accumulationType, accumulationType);
}

Value Accumulator::combineLanes(KernelBuilder &b, Value value) const {
  int64_t lanes = cast<VectorType>(value.getType()).getNumElements();
  for (; lanes > 1; lanes /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < lanes / 2; ++i) {
      low.push_back(i);
      high.push_back(lanes / 2 + i);
    }
    value = combine(b, vector::ShuffleOp::create(b, value, value, low),
                    vector::ShuffleOp::create(b, value, value, high));
  }
  return vector::ExtractOp::create(b, value, 0);
}

Value Accumulator::finish(KernelBuilder &b, Value total, Value count) const {
  if (kind == ReduceKind::Mean) {
    Value divisor = arith::IndexCastOp::create(b, b.getI64Type(), count);
    divisor = emitCast(b, divisor, b.getI64Type(), accumulationType);
    if (auto vector = dyn_cast<VectorType>(total.getType()))
      divisor = b.splat(divisor, vector.getNumElements());
    total = emitBinary(b, BinaryKind::Div, total, divisor, accumulationType,
                       accumulationType);
  }
  return emitCast(b, total, accumulationType, elementType);
}

//===----------------------------------------------------------------------===//
// ef.reduce
//===----------------------------------------------------------------------===//

namespace {
struct ReduceKernel {
  const KernelView &view;
  Accumulator accumulator;
  Type elementType;
  /// Dimensions that are kept, with the input's strides; the last one is the
  /// result's last dimension.
  SmallVector<int64_t> keptShape, keptStrides;
  SmallVector<int64_t> reducedShape;
  StridedAccess reduced;
  bool lanesAreResults;
  int64_t rows, columns, count;

  ReduceKernel(ef::ReduceOp op, const KernelView &view);

  static constexpr int64_t kColumnBlock = 64;
  int64_t getColumnBlock() const { return std::min(columns, kColumnBlock); }
  int64_t getColumnBlocks() const {
    return llvm::divideCeil(columns, std::max<int64_t>(getColumnBlock(), 1));
  }
  /// Pairs of a row and a column block that one work item does.
  int64_t getBlocksPerItem() const {
    int64_t elements = std::max<int64_t>(count * getColumnBlock(), 1);
    return std::max<int64_t>(1, StridedLoop::kElementsPerItem / elements);
  }
  int64_t getNumWorkItems() const {
    return std::max<int64_t>(
        1, llvm::divideCeil(rows * getColumnBlocks(), getBlocksPerItem()));
  }
  void emit(KernelBuilder &b);

private:
  Value getRowOffset(KernelBuilder &b, Value row);
  Value emitElement(KernelBuilder &b, Value base);
  Value emitLanes(KernelBuilder &b, Value base, int64_t lanes);
  /// Loops over the reduced dimensions but the last `keep`; `body` gets the
  /// offset and the values of the step.
  SmallVector<Value>
  emitOuterLoops(KernelBuilder &b, size_t dim, size_t keep, Value offset,
                 ValueRange values,
                 function_ref<SmallVector<Value>(Value, ValueRange)> body);

  KernelTensor input;
};
} // namespace

ReduceKernel::ReduceKernel(ef::ReduceOp op, const KernelView &view)
    : view(view),
      accumulator(op.getKind(), getElementTypeOrSelf(op.getInput())),
      elementType(getElementTypeOrSelf(op.getInput())) {
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(op.getInput().getType()).getShape();
  SmallVector<int64_t> strides = getRowMajorStrides(shape);
  for (size_t d = 0; d < shape.size(); ++d) {
    bool isReduced = llvm::is_contained(op.getAxes(), static_cast<int64_t>(d));
    if (isReduced) {
      reducedShape.push_back(shape[d]);
      reduced.strides.push_back(strides[d]);
    }
    if (!isReduced || op.getKeepDims()) {
      keptShape.push_back(isReduced ? 1 : shape[d]);
      keptStrides.push_back(isReduced ? 0 : strides[d]);
    }
  }
  if (keptShape.empty()) {
    keptShape.push_back(1);
    keptStrides.push_back(0);
  }
  mergeDimensions(reducedShape, MutableArrayRef(reduced));
  count = countElements(reducedShape);
  columns = keptShape.back();
  rows = countElements(ArrayRef(keptShape).drop_back());
  lanesAreResults = keptStrides.back() == 1;
}

Value ReduceKernel::getRowOffset(KernelBuilder &b, Value row) {
  Value offset = b.index(0), rest = row;
  for (size_t d = keptShape.size() - 1; d-- > 0;) {
    Value position = d == 0 ? rest : b.mod(rest, keptShape[d]);
    rest = b.divFloor(rest, keptShape[d]);
    offset = b.add(offset, b.mul(position, keptStrides[d]));
  }
  return offset;
}

SmallVector<Value> ReduceKernel::emitOuterLoops(
    KernelBuilder &b, size_t dim, size_t keep, Value offset, ValueRange values,
    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  if (dim + keep == reducedShape.size())
    return body(offset, values);
  return emitReductionLoop(
      b, b.index(0), b.index(reducedShape[dim]), 1, values,
      [&](Value i, ValueRange current) {
        Value inner = b.add(offset, b.mul(i, reduced.strides[dim]));
        return emitOuterLoops(b, dim + 1, keep, inner, current, body);
      });
}

/// One result: a vector of partial results and one for the rest of each run.
Value ReduceKernel::emitElement(KernelBuilder &b, Value base) {
  int64_t length = reducedShape.back(), stride = reduced.strides.back();
  int64_t lanes =
      stride == 1 && length >= b.variant.lanes ? b.variant.lanes : 1;
  int64_t end = length / lanes * lanes;
  Value partial = accumulator.getInitial(b, lanes),
        rest = accumulator.getInitial(b, 1);
  auto add = [&](Value offset, int64_t width) {
    return [&, offset, width](Value i, ValueRange sums) {
      Value x = input.load(b, b.add(offset, b.mul(i, stride)), width);
      return SmallVector<Value>{
          accumulator.combine(b, sums[0], accumulator.widen(b, x))};
    };
  };
  SmallVector<Value> totals = emitOuterLoops(
      b, 0, /*keep=*/1, base, {partial, rest},
      [&](Value offset, ValueRange sums) {
        Value vector = emitReductionLoop(b, b.index(0), b.index(end), lanes,
                                         sums[0], add(offset, lanes))[0];
        Value scalar = sums[1];
        if (end != length)
          scalar = emitReductionLoop(b, b.index(end), b.index(length), 1,
                                     sums[1], add(offset, 1))[0];
        return SmallVector<Value>{vector, scalar};
      });
  if (lanes == 1)
    return totals[0];
  return accumulator.combine(b, accumulator.combineLanes(b, totals[0]),
                             totals[1]);
}

/// Neighbouring results, one a lane.
Value ReduceKernel::emitLanes(KernelBuilder &b, Value base, int64_t lanes) {
  return emitOuterLoops(b, 0, /*keep=*/0, base,
                        accumulator.getInitial(b, lanes),
                        [&](Value offset, ValueRange sums) {
                          Value x = input.load(b, offset, lanes);
                          return SmallVector<Value>{accumulator.combine(
                              b, sums[0], accumulator.widen(b, x))};
                        })[0];
}

void ReduceKernel::emit(KernelBuilder &b) {
  if (rows * columns == 0)
    return;
  input = {b.pointer(b.input(0)), elementType};
  Epilogue epilogue(view);
  Value size = b.index(count);
  auto store = [&](Value total, Value row, Value column, int64_t lanes) {
    epilogue.emitStore(b, 1, accumulator.finish(b, total, size), {}, row,
                       column, lanes);
  };
  int64_t blocks = getColumnBlocks(), perItem = getBlocksPerItem();
  Value first = b.mul(b.begin(), perItem);
  Value last = b.min(b.mul(b.end(), perItem), b.index(rows * blocks));
  b.loop(first, last, 1, [&](Value block) {
    Value row = b.divFloor(block, blocks);
    Value lower = b.mul(b.mod(block, blocks), getColumnBlock());
    Value upper = b.min(b.add(lower, getColumnBlock()), b.index(columns));
    Value base = getRowOffset(b, row);
    emitVectorLoop(b, lower, upper, lanesAreResults ? b.variant.lanes : 1,
                   [&](Value column, int64_t lanes) {
                     Value offset =
                         b.add(base, b.mul(column, keptStrides.back()));
                     Value total = lanesAreResults ? emitLanes(b, offset, lanes)
                                                   : emitElement(b, offset);
                     store(total, row, column, lanes);
                   });
  });
}

Lowered efc::cpu::lowerReduction(const KernelView &view, OpBuilder &main,
                                 DispatchBuilder &dispatches,
                                 const KernelOptions &) {
  if (isa_and_nonnull<ef::ArgReduceOp, ef::CumSumOp, ef::TopKOp>(view.anchor))
    return lowerAxisOperation(view, main, dispatches);
  auto op = dyn_cast_or_null<ef::ReduceOp>(view.anchor);
  if (!op)
    return std::nullopt;
  if (failed(checkFusion(view)))
    return FailureOr<SmallVector<Value>>(failure());
  ReduceKernel kernel(op, view);
  Launch launch{view.root->getLoc(),
                "reduce",
                view.label(),
                view.key(),
                {view.outer(op.getInput())},
                SmallVector<Type>(view.root->getResultTypes())};
  Epilogue(view).collectInputs(launch.inputs);
  launch.work = kernel.getNumWorkItems();
  ResultRange results = dispatches.launch(
      main, launch, [&](KernelBuilder &b) { kernel.emit(b); });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
