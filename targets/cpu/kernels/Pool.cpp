// Max and average pooling over any number of spatial dimensions. The window is
// clipped to the input before its loops, so that no tap needs a test. In
// channels-last layout lanes are channels; channels-first goes element by
// element. Averages of int16 (docs/numerics.md) are exact sums of a whole
// window, times a factor that is data of the launch.
#include "targets/cpu/kernels/NormsCommon.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ReductionsCommon.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

namespace {
/// Taps [lower, upper) of one dimension's window that are inside.
struct Taps {
  Value lower, upper;
};

struct PoolKernel {
  ef::PoolOp op;
  const KernelView &view;
  std::optional<Accumulator> accumulator; ///< None: sums of integers.
  Type elementType;
  bool channelsLast;
  SmallVector<int64_t> inputShape, inputStrides, resultShape;
  size_t spatial, firstSpatial;

  PoolKernel(ef::PoolOp op, const KernelView &view);
  int64_t getNumRows() const {
    return countElements(ArrayRef(resultShape).drop_back());
  }
  int64_t columns() const { return resultShape.back(); }
  int64_t getRowsPerItem() const {
    return efc::cpu::getRowsPerItem(columns() * countElements(kernelShape));
  }
  void emit(KernelBuilder &b);
  /// RN(s * RN(1 / taps)), what an integer sum is multiplied by.
  float getSumFactor() const {
    return getScale(elementType) *
           (1.0f / static_cast<float>(countElements(kernelShape)));
  }

private:
  SmallVector<int64_t> kernelShape;

  Value getInitial(KernelBuilder &b, int64_t lanes);
  Value combine(KernelBuilder &b, Value total, Value x);
  Value finish(KernelBuilder &b, Value total, Value count);

  Taps clip(KernelBuilder &b, size_t dim, Value start, int64_t before,
            int64_t after);
  Value emitWindow(KernelBuilder &b, Value base, ArrayRef<Value> position,
                   int64_t lanes);
  Value emitTaps(KernelBuilder &b, size_t dim, Value offset,
                 ArrayRef<Value> starts, ArrayRef<Taps> taps, Value total,
                 int64_t lanes);
  KernelTensor input;
};
} // namespace

static ef::ReduceKind getReduceKind(ef::PoolKind kind) {
  return kind == ef::PoolKind::Max ? ef::ReduceKind::Max : ef::ReduceKind::Mean;
}

PoolKernel::PoolKernel(ef::PoolOp op, const KernelView &view)
    : op(op), view(view), elementType(getElementTypeOrSelf(op.getInput())),
      channelsLast(op.getLayout() == ef::Layout::ChannelsLast),
      inputShape(cast<RankedTensorType>(op.getInput().getType()).getShape()),
      inputStrides(getRowMajorStrides(inputShape)),
      resultShape(cast<RankedTensorType>(op.getType()).getShape()),
      spatial(op.getKernel().size()), firstSpatial(channelsLast ? 1 : 2),
      kernelShape(op.getKernel()) {
  if (!getQuantized(elementType))
    accumulator.emplace(getReduceKind(op.getKind()), elementType);
}

Value PoolKernel::getInitial(KernelBuilder &b, int64_t lanes) {
  if (accumulator)
    return accumulator->getInitial(b, lanes);
  // 65536 taps of int16 fit 32 bits.
  Type type =
      countElements(kernelShape) <= 65536 ? b.getI32Type() : b.getI64Type();
  return integerConstant(
      b, lanes == 1 ? type : Type(VectorType::get({lanes}, type)), 0);
}

Value PoolKernel::combine(KernelBuilder &b, Value total, Value x) {
  if (accumulator)
    return accumulator->combine(b, total, accumulator->widen(b, x));
  return arith::AddIOp::create(b, total,
                               arith::ExtSIOp::create(b, total.getType(), x));
}

Value PoolKernel::finish(KernelBuilder &b, Value total, Value count) {
  if (accumulator)
    return accumulator->finish(b, total, count);
  auto type = dyn_cast<VectorType>(total.getType());
  Value factor = loadScalar(b, 1, 0);
  return emitDequantize(b, total,
                        type ? b.splat(factor, type.getNumElements()) : factor);
}

/// The taps t with -before <= start + t * dilation < extent + after.
Taps PoolKernel::clip(KernelBuilder &b, size_t dim, Value start, int64_t before,
                      int64_t after) {
  int64_t dilation = op.getDilations()[dim];
  int64_t extent = inputShape[firstSpatial + dim];
  auto stepsTo = [&](int64_t limit) {
    Value distance = b.sub(b.index(limit), start);
    distance = arith::MaxSIOp::create(b, distance, b.index(0));
    Value steps = b.divFloor(b.add(distance, dilation - 1), dilation);
    return b.min(steps, b.index(op.getKernel()[dim]));
  };
  return {stepsTo(-before), stepsTo(extent + after)};
}

Value PoolKernel::emitTaps(KernelBuilder &b, size_t dim, Value offset,
                           ArrayRef<Value> starts, ArrayRef<Taps> taps,
                           Value total, int64_t lanes) {
  if (dim == spatial)
    return combine(b, total, input.load(b, offset, lanes));
  return emitReductionLoop(
      b, taps[dim].lower, taps[dim].upper, 1, total,
      [&](Value tap, ValueRange totals) {
        Value at = b.add(starts[dim], b.mul(tap, op.getDilations()[dim]));
        Value next = b.add(offset, b.mul(at, inputStrides[firstSpatial + dim]));
        return SmallVector<Value>{
            emitTaps(b, dim + 1, next, starts, taps, totals[0], lanes)};
      })[0];
}

Value PoolKernel::emitWindow(KernelBuilder &b, Value base,
                             ArrayRef<Value> position, int64_t lanes) {
  SmallVector<Value> starts;
  SmallVector<Taps> taps;
  Value count = b.index(1);
  for (size_t d = 0; d < spatial; ++d) {
    Value start =
        b.sub(b.mul(position[d], op.getStrides()[d]), b.index(op.getPads()[d]));
    starts.push_back(start);
    taps.push_back(clip(b, d, start, 0, 0));
    Taps counted = taps.back();
    if (op.getCountIncludePad())
      counted = clip(b, d, start, op.getCountedPads()[d],
                     op.getCountedPads()[spatial + d]);
    count = b.mul(count, b.sub(counted.upper, counted.lower));
  }
  Value total = emitTaps(b, 0, base, starts, taps, getInitial(b, lanes), lanes);
  return finish(b, total, count);
}

void PoolKernel::emit(KernelBuilder &b) {
  if (countElements(resultShape) == 0)
    return;
  input = {b.pointer(b.input(0)), elementType};
  Epilogue epilogue(view);
  int64_t perItem = getRowsPerItem();
  Value first = b.mul(b.begin(), perItem);
  Value last = b.min(b.mul(b.end(), perItem), b.index(getNumRows()));
  b.loop(first, last, 1, [&](Value row) {
    SmallVector<Value> index(resultShape.size());
    Value rest = row;
    for (size_t d = resultShape.size() - 1; d-- > 0;) {
      index[d] = d == 0 ? rest : b.mod(rest, resultShape[d]);
      rest = b.divFloor(rest, resultShape[d]);
    }
    emitVectorLoop(
        b, b.index(0), b.index(columns()), channelsLast ? b.variant.lanes : 1,
        [&](Value column, int64_t lanes) {
          index.back() = column;
          size_t channelDim = channelsLast ? index.size() - 1 : 1;
          Value base =
              b.add(b.mul(index[0], inputStrides[0]),
                    b.mul(index[channelDim], inputStrides[channelDim]));
          ArrayRef<Value> position =
              ArrayRef(index).slice(firstSpatial, spatial);
          Value value = emitWindow(b, base, position, lanes);
          epilogue.emitStore(b, accumulator ? 1 : 2, value, {}, row, column,
                             lanes);
        });
  });
}

Lowered efc::cpu::lowerPool(const KernelView &view, OpBuilder &main,
                            DispatchBuilder &dispatches,
                            const KernelOptions &) {
  auto op = dyn_cast_or_null<ef::PoolOp>(view.anchor);
  if (!op)
    return std::nullopt;
  if (failed(checkFusion(view)))
    return FailureOr<SmallVector<Value>>(failure());
  PoolKernel kernel(op, view);
  Launch launch{view.root->getLoc(),
                "pool",
                view.label(),
                view.key(),
                {view.outer(op.getInput())},
                SmallVector<Type>(view.root->getResultTypes())};
  if (!kernel.accumulator)
    launch.inputs.push_back(
        createScalars(main, launch.loc, kernel.getSumFactor()));
  Epilogue(view).collectInputs(launch.inputs);
  launch.work = std::max<int64_t>(
      1, llvm::divideCeil(kernel.getNumRows(), kernel.getRowsPerItem()));
  ResultRange results = dispatches.launch(
      main, launch, [&](KernelBuilder &b) { kernel.emit(b); });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
