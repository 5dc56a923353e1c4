// Operations along one axis whose steps depend on each other: arg_reduce,
// cumsum, top_k. A work item is some of the lines along the axis.
//
// top_k inserts into a sorted list of k elements in the result itself: extent *
// k steps at worst, few for the small k of practice.
#include "targets/cpu/kernels/NormsCommon.h"
#include "targets/cpu/kernels/ReductionsCommon.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

AxisShape::AxisShape(ArrayRef<int64_t> shape, int64_t axis)
    : outer(countElements(shape.take_front(axis))), extent(shape[axis]),
      inner(countElements(shape.drop_front(axis + 1))) {}

/// x stands before y among the largest; NaN is larger than everything.
static Value emitIsLarger(KernelBuilder &b, Value x, Value y,
                          Type elementType) {
  Value larger =
      emitBinary(b, ef::BinaryKind::Gt, x, y, elementType, elementType);
  if (!isa<FloatType>(elementType))
    return larger;
  FloatMath m(b, x.getType());
  Value isNan = m.compare(arith::CmpFPredicate::UNO, x, x);
  Value isNumber = m.compare(arith::CmpFPredicate::ORD, y, y);
  return arith::OrIOp::create(b, larger,
                              arith::AndIOp::create(b, isNan, isNumber));
}

/// Calls `body` with the offset of the first element of each line of this
/// call's work items, in a tensor with `extent` elements along the axis, and
/// the line's outer and inner index.
static void forEachLine(KernelBuilder &b, const AxisShape &shape,
                        function_ref<void(Value outer, Value inner)> body) {
  int64_t perItem = getRowsPerItem(shape.extent);
  Value first = b.mul(b.begin(), perItem);
  Value last =
      b.min(b.mul(b.end(), perItem), b.index(shape.outer * shape.inner));
  b.loop(first, last, 1, [&](Value line) {
    body(b.divFloor(line, shape.inner), b.mod(line, shape.inner));
  });
}

static int64_t getNumLineItems(const AxisShape &shape) {
  return std::max<int64_t>(1, llvm::divideCeil(shape.outer * shape.inner,
                                               getRowsPerItem(shape.extent)));
}

/// Offset of element `i` of a line.
static Value getOffset(KernelBuilder &b, const AxisShape &shape, Value outer,
                       Value inner, Value i) {
  Value position = b.add(b.mul(outer, shape.extent), i);
  return b.add(b.mul(position, shape.inner), inner);
}

//===----------------------------------------------------------------------===//
// arg_reduce
//===----------------------------------------------------------------------===//

static void emitArgReduce(KernelBuilder &b, ef::ArgReduceOp op,
                          const AxisShape &shape) {
  Type elementType = getElementTypeOrSelf(op.getInput());
  KernelTensor input{b.pointer(b.input(0)), elementType};
  Value result = b.pointer(b.result(0));
  forEachLine(b, shape, [&](Value outer, Value inner) {
    auto at = [&](Value i) {
      return input.load(b, getOffset(b, shape, outer, inner, i), 1);
    };
    SmallVector<Value> best = emitReductionLoop(
        b, b.index(1), b.index(shape.extent), 1, {at(b.index(0)), b.index(0)},
        [&](Value i, ValueRange best) {
          Value x = at(i);
          Value first = op.getMinimum() ? best[0] : x,
                second = op.getMinimum() ? x : best[0];
          Value takes = emitIsLarger(b, first, second, elementType);
          if (op.getSelectLast()) {
            Value worse = emitIsLarger(b, second, first, elementType);
            Value isTrue = integerConstant(b, b.getI1Type(), 1);
            takes = arith::XOrIOp::create(b, worse, isTrue);
          }
          return SmallVector<Value>{
              arith::SelectOp::create(b, takes, x, best[0]),
              arith::SelectOp::create(b, takes, i, best[1])};
        });
    Value index = arith::IndexCastOp::create(b, b.getI64Type(), best[1]);
    Value to = b.add(b.mul(outer, shape.inner), inner);
    b.store(index, b.offsetPointer(result, to, b.getI64Type()));
  });
}

//===----------------------------------------------------------------------===//
// cumsum
//===----------------------------------------------------------------------===//

/// Lanes are neighbouring lines.
static void emitCumSum(KernelBuilder &b, ef::CumSumOp op,
                       const AxisShape &shape) {
  Type elementType = getElementTypeOrSelf(op.getInput());
  Accumulator accumulator(ef::ReduceKind::Sum, elementType);
  KernelTensor input{b.pointer(b.input(0)), elementType};
  Value result = b.pointer(b.result(0));
  b.forEachWorkItem([&](Value outer) {
    emitVectorLoop(
        b, b.index(0), b.index(shape.inner), b.variant.lanes,
        [&](Value inner, int64_t lanes) {
          emitReductionLoop(
              b, b.index(0), b.index(shape.extent), 1,
              accumulator.getInitial(b, lanes),
              [&](Value step, ValueRange sum) {
                Value i = op.getReverse()
                              ? b.sub(b.index(shape.extent - 1), step)
                              : step;
                Value offset = getOffset(b, shape, outer, inner, i);
                Value x = accumulator.widen(b, input.load(b, offset, lanes));
                Value next = accumulator.combine(b, sum[0], x);
                Value stored = accumulator.finish(
                    b, op.getExclusive() ? Value(sum[0]) : next, {});
                storeElements(b, stored, result, offset, elementType);
                return SmallVector<Value>{next};
              });
        });
  });
}

//===----------------------------------------------------------------------===//
// top_k
//===----------------------------------------------------------------------===//

namespace {
/// The sorted list of one line, in the results.
struct SortedLine {
  KernelBuilder &b;
  const AxisShape &shape; ///< With extent k.
  Type elementType;
  Value values, indices, outer, inner;

  Value offset(Value j) { return getOffset(b, shape, outer, inner, j); }
  Value load(Value j) {
    return loadElements(b, values, offset(j), elementType, 1, 1);
  }
  void store(Value j, Value value, Value index) {
    storeElements(b, value, values, offset(j), elementType);
    b.store(index, b.offsetPointer(indices, offset(j), b.getI64Type()));
  }
  /// Element j - 1 moves to j, if the list is that long.
  void moveDown(Value j, Value previous) {
    Value index =
        b.load(b.offsetPointer(indices, offset(previous), b.getI64Type()),
               b.getI64Type());
    storeIfInside(j, load(previous), index);
  }
  void storeIfInside(Value j, Value value, Value index) {
    Value isInside = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, j,
                                           b.index(shape.extent));
    auto branch = scf::IfOp::create(b, isInside, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    store(j, value, index);
  }
};
} // namespace

/// Moves smaller elements down from the list's end and puts `x` in their place.
static void emitInsertion(SortedLine &line, Value x, Value i, bool smallest) {
  KernelBuilder &b = line.b;
  Value start = b.min(i, b.index(line.shape.extent));
  auto previousOf = [&](Value j) {
    return Value(arith::MaxSIOp::create(b, b.sub(j, b.index(1)), b.index(0)));
  };
  auto loop = scf::WhileOp::create(
      b, TypeRange{b.getIndexType()}, ValueRange{start},
      [&](OpBuilder &, Location, ValueRange arguments) {
        Value other = line.load(previousOf(arguments[0]));
        Value goesBefore = smallest
                               ? emitIsLarger(b, other, x, line.elementType)
                               : emitIsLarger(b, x, other, line.elementType);
        Value isInside = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt,
                                               arguments[0], b.index(0));
        scf::ConditionOp::create(
            b, arith::AndIOp::create(b, isInside, goesBefore), arguments);
      },
      [&](OpBuilder &, Location, ValueRange arguments) {
        Value previous = previousOf(arguments[0]);
        line.moveDown(arguments[0], previous);
        scf::YieldOp::create(b, previous);
      });
  Value index = arith::IndexCastOp::create(b, b.getI64Type(), i);
  line.storeIfInside(loop.getResult(0), x, index);
}

static void emitTopK(KernelBuilder &b, ef::TopKOp op, const AxisShape &shape) {
  AxisShape listShape = shape;
  listShape.extent = op.getK();
  if (listShape.extent == 0)
    return;
  Type elementType = getElementTypeOrSelf(op.getInput());
  KernelTensor input{b.pointer(b.input(0)), elementType};
  forEachLine(b, shape, [&](Value outer, Value inner) {
    SortedLine line{b,
                    listShape,
                    elementType,
                    b.pointer(b.result(0)),
                    b.pointer(b.result(1)),
                    outer,
                    inner};
    b.loop(0, shape.extent, 1, [&](Value i) {
      Value x = input.load(b, getOffset(b, shape, outer, inner, i), 1);
      emitInsertion(line, x, i, op.getSmallest());
    });
  });
}

FailureOr<SmallVector<Value>>
efc::cpu::lowerAxisOperation(const KernelView &view, OpBuilder &main,
                             DispatchBuilder &dispatches) {
  Operation *op = view.anchor;
  Value input = op->getOperand(0);
  auto axis = [&] {
    if (auto argReduce = dyn_cast<ef::ArgReduceOp>(op))
      return argReduce.getAxis();
    if (auto cumSum = dyn_cast<ef::CumSumOp>(op))
      return cumSum.getAxis();
    return cast<ef::TopKOp>(op).getAxis();
  }();
  AxisShape shape(cast<RankedTensorType>(input.getType()).getShape(),
                  static_cast<int64_t>(axis));
  Launch launch{
      view.root->getLoc(), op->getName().stripDialect().str(),
      view.label(),        view.key(),
      {view.outer(input)}, SmallVector<Type>(view.root->getResultTypes())};
  launch.work = isa<ef::CumSumOp>(op) ? std::max<int64_t>(1, shape.outer)
                                      : getNumLineItems(shape);
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    if (shape.outer * shape.extent * shape.inner == 0)
      return;
    if (auto argReduce = dyn_cast<ef::ArgReduceOp>(op))
      emitArgReduce(b, argReduce, shape);
    else if (auto cumSum = dyn_cast<ef::CumSumOp>(op))
      emitCumSum(b, cumSum, shape);
    else
      emitTopK(b, cast<ef::TopKOp>(op), shape);
  });
  return SmallVector<Value>(results);
}
