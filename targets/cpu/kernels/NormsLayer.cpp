// Layer and root-mean-square normalisation: a work item is some rows, each done
// in three passes over data that stay in the first-level cache: mean, variance
// about the mean, result with epilogue. On int16 (docs/numerics.md) two: exact
// sums of q and q^2, result.
#include "targets/cpu/kernels/NormsCommon.h"

#include "targets/cpu/kernels/NormsIntegerSums.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

namespace {
struct LayerNormKernel {
  ef::LayerNormOp op;
  const KernelView &view;
  RankedTensorType type;
  int64_t rows = 1, length = 1, columns = 1;
  size_t scaleInput = 0, biasInput = 0, quantizationInput = 0,
         firstEpilogueInput = 0;

  LayerNormKernel(ef::LayerNormOp op, const KernelView &view)
      : op(op), view(view), type(cast<RankedTensorType>(op.getType())) {
    ArrayRef<int64_t> shape = type.getShape();
    rows = countElements(shape.take_front(op.getAxis()));
    length = countElements(shape.drop_front(op.getAxis()));
    columns = shape.empty() ? 1 : shape.back();
  }

  void emit(KernelBuilder &b);

private:
  /// What an element is before scale and bias (scalar or vector).
  using Normalize = llvm::function_ref<Value(Value offset, int64_t lanes)>;
  void emitRow(KernelBuilder &b, const KernelTensor &input, Value row);
  void emitQuantizedRow(KernelBuilder &b, const KernelTensor &input, Value row);
  void emitResult(KernelBuilder &b, Value row, Normalize normalize);
  /// An affine parameter of one row of columns, or null.
  std::function<Value(Value column, int64_t lanes)>
  readParameter(KernelBuilder &b, size_t input, Value tensor, Value row);
};
} // namespace

std::function<Value(Value, int64_t)>
LayerNormKernel::readParameter(KernelBuilder &b, size_t input, Value tensor,
                               Value row) {
  if (!tensor)
    return {};
  auto from = cast<RankedTensorType>(tensor.getType());
  BroadcastRows broadcast(from, type);
  Value base = broadcast.getRowOffset(b, row);
  KernelTensor parameter{b.pointer(b.input(input)), from.getElementType()};
  int64_t stride = broadcast.getColumnStride();
  return [=, &b](Value column, int64_t lanes) {
    return parameter.load(b, b.add(base, b.mul(column, stride)), lanes, stride);
  };
}

void LayerNormKernel::emitRow(KernelBuilder &b, const KernelTensor &input,
                              Value row) {
  Value start = b.mul(row, length), end = b.add(start, length);
  FloatMath f64(b, b.getF64Type());
  Value count = f64.constant(static_cast<double>(length));
  Value mean = f64.constant(0);
  if (!op.getRms()) {
    auto element = [&](Value i, int64_t lanes) {
      return SmallVector<Value>{toDouble(b, input.load(b, i, lanes))};
    };
    mean = f64.div(emitSums(b, start, end, 1, element)[0], count);
  }
  auto square = [&](Value i, int64_t lanes) {
    Value x = toDouble(b, input.load(b, i, lanes));
    Value difference =
        arith::SubFOp::create(b, x, lanes == 1 ? mean : b.splat(mean, lanes));
    return SmallVector<Value>{arith::MulFOp::create(b, difference, difference)};
  };
  Value variance = f64.div(emitSums(b, start, end, 1, square)[0], count);
  double epsilon = op.getEpsilon().convertToDouble();
  Value factor = f64.div(f64.constant(1), f64.sqrt(f64.add(variance, epsilon)));
  Value rowMean = fromDouble(b, mean, type.getElementType());
  Value rowFactor = fromDouble(b, factor, type.getElementType());

  emitResult(b, row, [&](Value offset, int64_t lanes) {
    Value x = input.load(b, offset, lanes);
    FloatMath m(b, x.getType());
    auto spread = [&](Value v) { return lanes == 1 ? v : b.splat(v, lanes); };
    return m.mul(m.sub(x, spread(rowMean)), spread(rowFactor));
  });
}

void LayerNormKernel::emitQuantizedRow(KernelBuilder &b,
                                       const KernelTensor &input, Value row) {
  Value start = b.mul(row, length);
  IntegerSums sums =
      emitIntegerSums(b, input.pointer, start, b.add(start, length), length);
  NormStatistics statistics =
      emitNormStatistics(b, sums, length, loadScalar(b, quantizationInput, 0),
                         op.getEpsilon().convertToDouble(), op.getRms());
  FloatMath f64(b, b.getF64Type());
  Value factor = fromDouble(b, statistics.t, b.getF32Type());
  Value shift = fromDouble(b, f64.neg(f64.mul(statistics.mean, statistics.t)),
                           b.getF32Type());
  emitResult(b, row, [&](Value offset, int64_t lanes) {
    auto spread = [&](Value v) { return lanes == 1 ? v : b.splat(v, lanes); };
    Value y = emitDequantize(b, input.load(b, offset, lanes), spread(factor));
    return op.getRms() ? y : FloatMath(b, y.getType()).add(y, spread(shift));
  });
}

void LayerNormKernel::emitResult(KernelBuilder &b, Value row,
                                 Normalize normalize) {
  Epilogue epilogue(view);
  int64_t segments = length / columns;
  b.loop(0, segments, 1, [&](Value segment) {
    Value matrixRow = b.add(b.mul(row, segments), segment);
    Value base = b.mul(matrixRow, columns);
    auto scale = readParameter(b, scaleInput, op.getScale(), matrixRow);
    auto bias = readParameter(b, biasInput, op.getBias(), matrixRow);
    emitVectorLoop(b, b.index(0), b.index(columns), b.variant.lanes,
                   [&](Value column, int64_t lanes) {
                     Value y = normalize(b.add(base, column), lanes);
                     FloatMath m(b, y.getType());
                     if (scale && bias && !quantizationInput)
                       y = m.fma(y, scale(column, lanes), bias(column, lanes));
                     else if (scale)
                       y = m.mul(y, scale(column, lanes));
                     if (bias && (!scale || quantizationInput))
                       y = m.add(y, bias(column, lanes));
                     epilogue.emitStore(b, firstEpilogueInput, y, {}, matrixRow,
                                        column, lanes);
                   });
  });
}

void LayerNormKernel::emit(KernelBuilder &b) {
  if (type.getNumElements() == 0)
    return;
  KernelTensor input{b.pointer(b.input(0)),
                     getElementTypeOrSelf(op.getInput())};
  int64_t rowsPerItem = getRowsPerItem(length);
  Value first = b.mul(b.begin(), rowsPerItem);
  Value last = b.min(b.mul(b.end(), rowsPerItem), b.index(rows));
  b.loop(first, last, 1, [&](Value row) {
    if (quantizationInput)
      emitQuantizedRow(b, input, row);
    else
      emitRow(b, input, row);
  });
}

Lowered efc::cpu::lowerLayerNorm(const KernelView &view, OpBuilder &main,
                                 DispatchBuilder &dispatches) {
  auto op = cast<ef::LayerNormOp>(view.anchor);
  LayerNormKernel kernel(op, view);
  Launch launch{view.root->getLoc(),
                "layer_norm",
                view.label(),
                view.key(),
                {view.outer(op.getInput())},
                SmallVector<Type>(view.root->getResultTypes())};
  auto addInput = [&](Value inner) {
    launch.inputs.push_back(view.outer(inner));
    return launch.inputs.size() - 1;
  };
  if (op.getScale())
    kernel.scaleInput = addInput(op.getScale());
  if (op.getBias())
    kernel.biasInput = addInput(op.getBias());
  if (getQuantized(op.getInput())) {
    float scale = getScale(op.getInput().getType());
    kernel.quantizationInput = launch.inputs.size();
    launch.inputs.push_back(createScalars(main, launch.loc, scale));
  }
  kernel.firstEpilogueInput = launch.inputs.size();
  Epilogue(view).collectInputs(launch.inputs);
  launch.work = std::max<int64_t>(
      1, llvm::divideCeil(kernel.rows, getRowsPerItem(kernel.length)));
  ResultRange results = dispatches.launch(
      main, launch, [&](KernelBuilder &b) { kernel.emit(b); });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
