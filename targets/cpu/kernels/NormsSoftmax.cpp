// Softmax and its logarithm. Along the last dimension, a row is done in three
// passes with the exponentials kept in scratch; along any other one, lanes are
// neighbouring columns, each with its own maximum and sum.
#include "targets/cpu/kernels/NormsCommon.h"

#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

namespace {
struct SoftmaxKernel {
  ef::SoftmaxOp op;
  const KernelView &view;
  RankedTensorType type;
  Type computeType;
  /// The tensor is [outer, length, innerRows, columns] (inner dimensions are
  /// absent along the last one).
  int64_t outer = 1, length = 1, innerRows = 1, columns = 1;
  bool isLast;

  SoftmaxKernel(ef::SoftmaxOp op, const KernelView &view)
      : op(op), view(view), type(cast<RankedTensorType>(op.getType())),
        computeType(getComputeType(type.getElementType())) {
    ArrayRef<int64_t> shape = type.getShape();
    isLast = static_cast<int64_t>(op.getAxis()) + 1 == type.getRank();
    outer = countElements(shape.take_front(op.getAxis()));
    length = shape[op.getAxis()];
    columns = shape.back();
    if (!isLast)
      innerRows = countElements(shape.drop_front(op.getAxis() + 1).drop_back());
  }

  int64_t getRowsPerItem() {
    return efc::cpu::getRowsPerItem(isLast ? length : length * columns);
  }
  int64_t getNumRows() { return isLast ? outer : outer * innerRows; }
  int64_t getScratchBytes() { return isLast && !op.getLog() ? length * 8 : 0; }
  void emit(KernelBuilder &b);

private:
  void emitLastRow(KernelBuilder &b, Value row);
  void emitColumns(KernelBuilder &b, Value row, Value column, int64_t lanes);
  Value emitRowMaximum(KernelBuilder &b, Value start);

  KernelTensor input;
};
} // namespace

static Value maximum(KernelBuilder &b, Value x, Value y) {
  return arith::MaximumFOp::create(b, x, y);
}

Value SoftmaxKernel::emitRowMaximum(KernelBuilder &b, Value start) {
  int64_t lanes = b.variant.lanes;
  Value lowest = FloatMath(b, computeType)
                     .constant(-std::numeric_limits<double>::infinity());
  auto step = [&](int64_t width) {
    return [&, width](Value i, ValueRange best) {
      Value x = input.load(b, b.add(start, i), width);
      return SmallVector<Value>{maximum(b, best[0], x)};
    };
  };
  Value end = b.index(length / lanes * lanes);
  Value vector = emitReductionLoop(b, b.index(0), end, lanes,
                                   b.splat(lowest, lanes), step(lanes))[0];
  Value best =
      vector::ReductionOp::create(b, vector::CombiningKind::MAXIMUMF, vector);
  return emitReductionLoop(b, end, b.index(length), 1, best, step(1))[0];
}

void SoftmaxKernel::emitLastRow(KernelBuilder &b, Value row) {
  Value start = b.mul(row, length), best = emitRowMaximum(b, start);
  Value scratch = b.pointer(b.scratch());
  auto shifted = [&](Value i, int64_t lanes) -> Value {
    Value x = input.load(b, b.add(start, i), lanes);
    return arith::SubFOp::create(b, x,
                                 lanes == 1 ? best : b.splat(best, lanes));
  };
  auto term = [&](Value i, int64_t lanes) {
    Value x = shifted(i, lanes);
    Value power = FloatMath(b, x.getType()).exp(x);
    if (!op.getLog())
      b.store(power, b.offsetPointer(scratch, i, computeType));
    return SmallVector<Value>{toDouble(b, power)};
  };
  Value sum = emitSums(b, b.index(0), b.index(length), 1, term)[0];
  FloatMath f64(b, b.getF64Type());
  Value last = op.getLog() ? f64.log(sum) : f64.div(f64.constant(1), sum);
  last = fromDouble(b, last, type.getElementType());
  Epilogue epilogue(view);
  emitVectorLoop(b, b.index(0), b.index(length), b.variant.lanes,
                 [&](Value i, int64_t lanes) {
                   Value spread = lanes == 1 ? last : b.splat(last, lanes), y;
                   if (op.getLog())
                     y = arith::SubFOp::create(b, shifted(i, lanes), spread);
                   else
                     y = arith::MulFOp::create(
                         b,
                         b.load(b.offsetPointer(scratch, i, computeType),
                                spread.getType()),
                         spread);
                   epilogue.emitStore(b, 1, y, {}, row, i, lanes);
                 });
}

void SoftmaxKernel::emitColumns(KernelBuilder &b, Value row, Value column,
                                int64_t lanes) {
  Value outerIndex = b.divFloor(row, innerRows),
        innerRow = b.mod(row, innerRows);
  auto matrixRow = [&](Value i) {
    Value position = b.add(b.mul(outerIndex, length), i);
    return b.add(b.mul(position, innerRows), innerRow);
  };
  auto load = [&](Value i) {
    return input.load(b, b.add(b.mul(matrixRow(i), columns), column), lanes);
  };
  Value zero = b.index(0), end = b.index(length);
  Type valueType = load(zero).getType();
  FloatMath m(b, valueType);
  Value lowest = m.constant(-std::numeric_limits<double>::infinity());
  Value best =
      emitReductionLoop(b, zero, end, 1, lowest, [&](Value i, ValueRange best) {
        return SmallVector<Value>{maximum(b, best[0], load(i))};
      })[0];
  FloatMath f64(b, withShapeOf(valueType, b.getF64Type()));
  auto power = [&](Value i) { return m.exp(m.sub(load(i), best)); };
  Value sum = emitReductionLoop(
      b, zero, end, 1, f64.constant(0), [&](Value i, ValueRange sums) {
        return SmallVector<Value>{f64.add(sums[0], toDouble(b, power(i)))};
      })[0];
  Value last = op.getLog() ? f64.log(sum) : f64.div(f64.constant(1), sum);
  last = fromDouble(b, last, type.getElementType());
  Epilogue epilogue(view);
  b.loop(zero, end, 1, [&](Value i) {
    Value y =
        op.getLog() ? m.sub(m.sub(load(i), best), last) : m.mul(power(i), last);
    epilogue.emitStore(b, 1, y, {}, matrixRow(i), column, lanes);
  });
}

void SoftmaxKernel::emit(KernelBuilder &b) {
  if (type.getNumElements() == 0)
    return;
  input = {b.pointer(b.input(0)), type.getElementType()};
  int64_t rowsPerItem = getRowsPerItem();
  Value first = b.mul(b.begin(), rowsPerItem);
  Value last = b.min(b.mul(b.end(), rowsPerItem), b.index(getNumRows()));
  b.loop(first, last, 1, [&](Value row) {
    if (isLast)
      return emitLastRow(b, row);
    emitVectorLoop(b, b.index(0), b.index(columns), b.variant.lanes,
                   [&](Value column, int64_t lanes) {
                     emitColumns(b, row, column, lanes);
                   });
  });
}

Lowered efc::cpu::lowerSoftmax(const KernelView &view, OpBuilder &main,
                               DispatchBuilder &dispatches) {
  auto op = cast<ef::SoftmaxOp>(view.anchor);
  SoftmaxKernel kernel(op, view);
  Launch launch{view.root->getLoc(),
                "softmax",
                view.label(),
                view.key(),
                {view.outer(op.getInput())},
                SmallVector<Type>(view.root->getResultTypes())};
  Epilogue(view).collectInputs(launch.inputs);
  launch.scratch = kernel.getScratchBytes();
  launch.work = std::max<int64_t>(
      1, llvm::divideCeil(kernel.getNumRows(), kernel.getRowsPerItem()));
  ResultRange results = dispatches.launch(
      main, launch, [&](KernelBuilder &b) { kernel.emit(b); });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
