// ef.resize. Positions and weights are tables that are computed here, by the
// functions that define the operation (ef/IndexTables.h), so that every
// combination of options is the same kernel: nearest copies by table; linear
// and cubic sum weighted taps over the dimensions that change. Behind the last
// of these, elements are contiguous and done lane by lane (channels-last).
#include "targets/cpu/kernels/MovementTable.h"
#include "targets/cpu/kernels/NormsCommon.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "dialects/ef/IndexTables.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

static Value lowerNearest(ef::ResizeOp op, const KernelView &view,
                          OpBuilder &main, DispatchBuilder &dispatches) {
  TableCopy copy;
  copy.input = op.getInput();
  copy.fillValue = op.getExtrapolationValue().convertToDouble();
  for (auto [dim, extent] : llvm::enumerate(shapeOf(op.getInput()))) {
    std::vector<int64_t> &sources = copy.sources.emplace_back();
    if (ef::isResizeUntouched(op, dim))
      continue;
    for (const ef::ResizeSample &sample : ef::makeResizeSamples(op, dim))
      sources.push_back(sample.extrapolated
                            ? -1
                            : std::clamp<int64_t>(sample.first, 0, extent - 1));
  }
  return emitTableCopy(copy, view, main, dispatches);
}

namespace {
/// A dimension that changes: `taps` entries of both tables for each index.
struct InterpolatedDim {
  size_t dim;
  int64_t taps;
  std::vector<int32_t> sources; ///< -1: extrapolated.
  std::vector<double> weights;
  size_t sourceInput = 0, weightInput = 0;
};

struct InterpolationKernel {
  ef::ResizeOp op;
  Type elementType;
  Type weightType; ///< f32, or f64 for f64 and integers.
  SmallVector<int64_t> inputStrides, shape;
  SmallVector<InterpolatedDim> dims;
  bool extrapolates = false;
  int64_t run = 1; ///< Contiguous elements behind the last changing dimension.

  explicit InterpolationKernel(ef::ResizeOp op);
  /// One row is one run.
  int64_t getNumRows() const { return countElements(shape) / run; }
  void emit(KernelBuilder &b);

private:
  Value emitTaps(KernelBuilder &b, size_t which, ArrayRef<Value> firstTaps,
                 Value offset, Value weight, Value total, int64_t lanes);
  Value finish(KernelBuilder &b, Value total, Value isExtrapolated);
  KernelTensor input;
};
} // namespace

InterpolationKernel::InterpolationKernel(ef::ResizeOp op)
    : op(op), elementType(getElementTypeOrSelf(op.getInput())),
      inputStrides(getRowMajorStrides(shapeOf(op.getInput()))),
      shape(cast<RankedTensorType>(op.getType()).getShape()) {
  bool isNarrow = isa<FloatType>(elementType) && !elementType.isF64();
  MLIRContext *context = op.getContext();
  weightType = isNarrow ? Type(Float32Type::get(context))
                        : Type(Float64Type::get(context));
  for (auto [dim, extent] : llvm::enumerate(shapeOf(op.getInput()))) {
    if (ef::isResizeUntouched(op, dim))
      continue;
    std::vector<ef::ResizeSample> samples = ef::makeResizeSamples(op, dim);
    if (samples.empty())
      continue;
    InterpolatedDim &entry = dims.emplace_back();
    entry.dim = dim;
    entry.taps = samples.front().weights.size();
    for (const ef::ResizeSample &sample : samples)
      for (auto [k, weight] : llvm::enumerate(sample.weights)) {
        int64_t source = std::clamp<int64_t>(sample.first + k, 0, extent - 1);
        entry.sources.push_back(sample.extrapolated ? -1 : source);
        entry.weights.push_back(weight);
        extrapolates |= sample.extrapolated;
      }
  }
  size_t last = dims.empty() ? 0 : dims.back().dim + 1;
  run = countElements(ArrayRef(shape).drop_front(last));
}

/// The weighted sum over the taps of dims[which], dims[which + 1], ...
Value InterpolationKernel::emitTaps(KernelBuilder &b, size_t which,
                                    ArrayRef<Value> firstTaps, Value offset,
                                    Value weight, Value total, int64_t lanes) {
  if (which == dims.size()) {
    Value x = input.load(b, offset, lanes);
    x = emitCast(b, x, elementType, weightType);
    FloatMath m(b, x.getType());
    if (!weight)
      return m.add(total, x);
    return m.fma(x, lanes == 1 ? weight : b.splat(weight, lanes), total);
  }
  const InterpolatedDim &dim = dims[which];
  Value sources = b.pointer(b.input(dim.sourceInput)),
        weights = b.pointer(b.input(dim.weightInput));
  return emitReductionLoop(
      b, b.index(0), b.index(dim.taps), 1, total,
      [&](Value tap, ValueRange totals) {
        Value entry = b.add(firstTaps[which], tap);
        Value source = b.load(b.offsetPointer(sources, entry, b.getI32Type()),
                              b.getI32Type());
        if (extrapolates)
          source = arith::MaxSIOp::create(
              b, source, integerConstant(b, b.getI32Type(), 0));
        Value index = arith::IndexCastOp::create(b, b.getIndexType(), source);
        Value factor =
            b.load(b.offsetPointer(weights, entry, weightType), weightType);
        if (weight)
          factor = arith::MulFOp::create(b, weight, factor);
        Value next = b.add(offset, b.mul(index, inputStrides[dim.dim]));
        return SmallVector<Value>{
            emitTaps(b, which + 1, firstTaps, next, factor, totals[0], lanes)};
      })[0];
}

/// Rounds and saturates for integers; takes the value for what is outside.
Value InterpolationKernel::finish(KernelBuilder &b, Value total,
                                  Value isExtrapolated) {
  FloatMath m(b, total.getType());
  if (isExtrapolated)
    total = m.select(isExtrapolated,
                     m.constant(op.getExtrapolationValue().convertToDouble()),
                     total);
  if (auto integer = dyn_cast<IntegerType>(elementType)) {
    int width = integer.getWidth();
    bool noSign = integer.isUnsigned();
    double low = noSign ? 0 : -std::ldexp(1, width - 1);
    double high = std::ldexp(1, noSign ? width : width - 1) - 1;
    total = m.clampAbove(m.clampBelow(m.roundEven(total), low), high);
  }
  return emitCast(b, total, weightType, elementType);
}

void InterpolationKernel::emit(KernelBuilder &b) {
  input = {b.pointer(b.input(0)), elementType};
  Value result = b.pointer(b.result(0));
  int64_t perItem = getRowsPerItem(run);
  Value first = b.mul(b.begin(), perItem);
  Value last = b.min(b.mul(b.end(), perItem), b.index(getNumRows()));
  size_t numDims = dims.empty() ? 0 : dims.back().dim + 1;
  b.loop(first, last, 1, [&](Value row) {
    Value rest = row, base = b.index(0), isExtrapolated;
    SmallVector<Value> firstTaps(dims.size());
    size_t which = dims.size();
    for (size_t d = numDims; d-- > 0;) {
      Value position = d == 0 ? rest : b.mod(rest, shape[d]);
      rest = b.divFloor(rest, shape[d]);
      if (which == 0 || dims[which - 1].dim != d) {
        base = b.add(base, b.mul(position, inputStrides[d]));
        continue;
      }
      const InterpolatedDim &dim = dims[--which];
      firstTaps[which] = b.mul(position, dim.taps);
      if (!extrapolates)
        continue;
      Value source = b.load(b.offsetPointer(b.pointer(b.input(dim.sourceInput)),
                                            firstTaps[which], b.getI32Type()),
                            b.getI32Type());
      Value outside = compareIntegers(b, arith::CmpIPredicate::slt, source, 0);
      isExtrapolated =
          isExtrapolated
              ? Value(arith::OrIOp::create(b, isExtrapolated, outside))
              : outside;
    }
    emitVectorLoop(
        b, b.index(0), b.index(run),
        run < b.variant.lanes ? 1 : b.variant.lanes,
        [&](Value i, int64_t lanes) {
          Type type = lanes == 1 ? weightType
                                 : Type(VectorType::get({lanes}, weightType));
          Value zero = FloatMath(b, type).constant(0);
          Value total =
              emitTaps(b, 0, firstTaps, b.add(base, i), {}, zero, lanes);
          Value outside = isExtrapolated && lanes > 1
                              ? b.splat(isExtrapolated, lanes)
                              : isExtrapolated;
          storeElements(b, finish(b, total, outside), result,
                        b.add(b.mul(row, run), i), elementType);
        });
  });
}

static Value createWeights(OpBuilder &main, Location loc,
                           ArrayRef<double> weights, Type type) {
  auto tableType =
      RankedTensorType::get({static_cast<int64_t>(weights.size())}, type);
  SmallVector<Attribute> values;
  for (double weight : weights)
    values.push_back(FloatAttr::get(type, weight));
  return ef::ConstantOp::create(main, loc, tableType,
                                DenseElementsAttr::get(tableType, values));
}

static Value lowerInterpolation(ef::ResizeOp op, const KernelView &view,
                                OpBuilder &main, DispatchBuilder &dispatches) {
  InterpolationKernel kernel(op);
  Location loc = view.root->getLoc();
  Launch launch{loc, "resize", view.label(), view.key(), {op.getInput()}, {}};
  launch.results.push_back(view.resultType());
  for (InterpolatedDim &dim : kernel.dims) {
    dim.sourceInput = launch.inputs.size();
    launch.inputs.push_back(createTable(main, loc, ArrayRef(dim.sources)));
    dim.weightInput = launch.inputs.size();
    launch.inputs.push_back(
        createWeights(main, loc, dim.weights, kernel.weightType));
  }
  bool isEmpty = view.resultType().getNumElements() == 0;
  launch.work =
      isEmpty
          ? 1
          : std::max<int64_t>(1, llvm::divideCeil(kernel.getNumRows(),
                                                  getRowsPerItem(kernel.run)));
  return dispatches
      .launch(main, launch,
              [&](KernelBuilder &b) {
                if (!isEmpty)
                  kernel.emit(b);
              })
      .front();
}

Lowered efc::cpu::lowerResize(const KernelView &view, OpBuilder &main,
                              DispatchBuilder &dispatches,
                              const KernelOptions &) {
  auto op = dyn_cast_or_null<ef::ResizeOp>(view.anchor);
  if (!op || view.anchor != view.root)
    return std::nullopt;
  Value result = op.getMode() == ef::ResizeMode::Nearest
                     ? lowerNearest(op, view, main, dispatches)
                     : lowerInterpolation(op, view, main, dispatches);
  return FailureOr<SmallVector<Value>>(SmallVector<Value>{result});
}
