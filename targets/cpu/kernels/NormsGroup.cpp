// Group normalisation in three launches:
// 1. sums of x and x^2 of each group over chunks of a fixed size (f64), so that
//    no sum depends on how the chunks are spread over threads;
// 2. mean and scale / sqrt(variance + epsilon), one value a channel;
// 3. (x - mean) * factor + bias with the epilogue, one pass over the tensor.
#include "targets/cpu/kernels/NormsGroup.h"

#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static constexpr int64_t kMaxChunks = 64;

namespace {
struct GroupNormKernels : GroupNormShape {
  ef::GroupNormOp op;
  const KernelView &view;
  Type elementType;

  GroupNormKernels(ef::GroupNormOp op, const KernelView &view)
      : GroupNormShape(op, kMaxChunks), op(op), view(view),
        elementType(type.getElementType()) {}

  RankedTensorType getPartialType();
  RankedTensorType getParameterType();

  void emitPartialSums(KernelBuilder &b);
  void emitParameters(KernelBuilder &b);
  void emitApply(KernelBuilder &b);

private:
  void emitChannelsLastChunk(KernelBuilder &b, const KernelTensor &input,
                             Value item);
  void emitChannelsFirstChunk(KernelBuilder &b, const KernelTensor &input,
                              Value item);
  void emitGroup(KernelBuilder &b, Value sample, Value group);
  /// [batch, chunks, groups, 2].
  Value partialPointer(KernelBuilder &b, Value memref, Value sample,
                       Value chunk, Value group);
};
} // namespace

GroupNormShape::GroupNormShape(ef::GroupNormOp op, int64_t maxChunks)
    : type(cast<RankedTensorType>(op.getType())) {
  ArrayRef<int64_t> shape = type.getShape();
  channelsLast =
      op.getLayout() == ef::Layout::ChannelsLast || type.getRank() == 2;
  batch = shape[0];
  channels = channelsLast ? shape.back() : shape[1];
  groups = op.getGroups();
  space = countElements(shape) / std::max<int64_t>(batch * channels, 1);
  int64_t elements =
      channelsLast ? space * channels : space * (channels / groups);
  int64_t wanted = llvm::divideCeil(elements, kElementsPerChunk);
  chunks = std::clamp<int64_t>(wanted, 1, maxChunks);
}

RankedTensorType GroupNormKernels::getPartialType() {
  return RankedTensorType::get({batch, chunks, groups, 2},
                               Float64Type::get(type.getContext()));
}
RankedTensorType GroupNormKernels::getParameterType() {
  return RankedTensorType::get({batch, 2, channels},
                               getComputeType(elementType));
}

Value GroupNormKernels::partialPointer(KernelBuilder &b, Value memref,
                                       Value sample, Value chunk, Value group) {
  Value index = b.add(b.mul(sample, chunks), chunk);
  index = b.mul(b.add(b.mul(index, groups), group), 2);
  return b.offsetPointer(b.pointer(memref), index, b.getF64Type());
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

/// Sums of each channel over the chunk's rows go to scratch; then each group
/// adds up its channels.
void GroupNormKernels::emitChannelsLastChunk(KernelBuilder &b,
                                             const KernelTensor &input,
                                             Value item) {
  Type f64 = b.getF64Type();
  Value sample = b.divFloor(item, chunks), chunk = b.mod(item, chunks);
  int64_t rowsPerChunk = llvm::divideCeil(space, chunks);
  Value firstRow = b.mul(chunk, rowsPerChunk);
  Value lastRow = b.min(b.add(firstRow, rowsPerChunk), b.index(space));
  Value base = b.mul(sample, space * channels);
  Value sums = b.pointer(b.scratch());
  Value squares = b.offsetPointer(sums, b.index(channels), f64);
  auto sumColumns = [&](Value channel, int64_t lanes) {
    FloatMath m(b, lanes == 1 ? f64 : Type(VectorType::get({lanes}, f64)));
    auto addRow = [&](Value row, ValueRange totals) {
      Value offset = b.add(base, b.add(b.mul(row, channels), channel));
      Value x = toDouble(b, input.load(b, offset, lanes));
      return SmallVector<Value>{m.add(totals[0], x), m.fma(x, x, totals[1])};
    };
    SmallVector<Value> totals = emitReductionLoop(
        b, firstRow, lastRow, 1, {m.constant(0), m.constant(0)}, addRow);
    b.store(totals[0], b.offsetPointer(sums, channel, f64));
    b.store(totals[1], b.offsetPointer(squares, channel, f64));
  };
  // Two vectors are a cache line.
  emitVectorLoop(b, b.index(0), b.index(channels), 2 * b.variant.lanes,
                 sumColumns);
  int64_t perGroup = channels / groups;
  b.loop(0, groups, 1, [&](Value group) {
    FloatMath m(b, f64);
    Value first = b.mul(group, perGroup);
    SmallVector<Value> totals = emitReductionLoop(
        b, first, b.add(first, perGroup), 1, {m.constant(0), m.constant(0)},
        [&](Value channel, ValueRange totals) {
          Value sum = b.load(b.offsetPointer(sums, channel, f64), f64);
          Value square = b.load(b.offsetPointer(squares, channel, f64), f64);
          return SmallVector<Value>{m.add(totals[0], sum),
                                    m.add(totals[1], square)};
        });
    Value to = partialPointer(b, b.result(0), sample, chunk, group);
    b.store(totals[0], to);
    b.store(totals[1], b.offsetPointer(to, b.index(1), f64));
  });
}

void GroupNormKernels::emitChannelsFirstChunk(KernelBuilder &b,
                                              const KernelTensor &input,
                                              Value item) {
  Type f64 = b.getF64Type();
  int64_t length = space * (channels / groups);
  int64_t perChunk = llvm::divideCeil(length, chunks);
  Value chunk = b.mod(item, chunks), sampleGroup = b.divFloor(item, chunks);
  Value first = b.mul(chunk, perChunk);
  Value last = b.min(b.add(first, perChunk), b.index(length));
  Value base = b.mul(sampleGroup, length);
  auto terms = [&](Value i, int64_t lanes) {
    Value x = toDouble(b, input.load(b, b.add(base, i), lanes));
    return SmallVector<Value>{x, arith::MulFOp::create(b, x, x)};
  };
  SmallVector<Value> totals = emitSums(b, first, last, 2, terms);
  Value to = partialPointer(b, b.result(0), b.divFloor(sampleGroup, groups),
                            chunk, b.mod(sampleGroup, groups));
  b.store(totals[0], to);
  b.store(totals[1], b.offsetPointer(to, b.index(1), f64));
}

void GroupNormKernels::emitPartialSums(KernelBuilder &b) {
  KernelTensor input{b.pointer(b.input(0)), elementType};
  b.forEachWorkItem([&](Value item) {
    if (channelsLast)
      emitChannelsLastChunk(b, input, item);
    else
      emitChannelsFirstChunk(b, input, item);
  });
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

void GroupNormKernels::emitGroup(KernelBuilder &b, Value sample, Value group) {
  Type f64 = b.getF64Type(), computeType = getComputeType(elementType);
  FloatMath m(b, f64);
  SmallVector<Value> totals = emitReductionLoop(
      b, b.index(0), b.index(chunks), 1, {m.constant(0), m.constant(0)},
      [&](Value chunk, ValueRange totals) {
        Value from = partialPointer(b, b.input(0), sample, chunk, group);
        Value square = b.load(b.offsetPointer(from, b.index(1), f64), f64);
        return SmallVector<Value>{m.add(totals[0], b.load(from, f64)),
                                  m.add(totals[1], square)};
      });
  int64_t perGroup = channels / groups;
  double inverseCount = 1.0 / static_cast<double>(space * perGroup);
  Value mean = m.mul(totals[0], inverseCount);
  Value meanSquare = m.mul(totals[1], inverseCount);
  Value variance = m.clampBelow(m.sub(meanSquare, m.mul(mean, mean)), 0);
  double epsilon = op.getEpsilon().convertToDouble();
  Value factor = m.div(m.constant(1), m.sqrt(m.add(variance, epsilon)));
  KernelTensor scale{b.pointer(b.input(1)),
                     getElementTypeOrSelf(op.getScale())};
  Value to = b.offsetPointer(b.pointer(b.result(0)),
                             b.mul(sample, 2 * channels), computeType);
  Value first = b.mul(group, perGroup);
  b.loop(first, b.add(first, perGroup), 1, [&](Value channel) {
    Value scaled = m.mul(factor, toDouble(b, scale.load(b, channel, 1)));
    b.store(fromDouble(b, mean, elementType),
            b.offsetPointer(to, channel, computeType));
    b.store(fromDouble(b, scaled, elementType),
            b.offsetPointer(to, b.add(channel, channels), computeType));
  });
}

void GroupNormKernels::emitParameters(KernelBuilder &b) {
  b.forEachWorkItem([&](Value sample) {
    b.loop(0, groups, 1, [&](Value group) { emitGroup(b, sample, group); });
  });
}

//===----------------------------------------------------------------------===//
// Result
//===----------------------------------------------------------------------===//

void GroupNormShape::emitApplyLoops(
    KernelBuilder &b, llvm::function_ref<void(const Place &)> body) const {
  int64_t rowsPerChannel = channelsLast ? space : space / columns();
  int64_t rowsPerItem = getRowsPerItem(columns());
  Value first = b.mul(b.begin(), rowsPerItem);
  Value last = b.min(b.mul(b.end(), rowsPerItem), b.index(getNumRows()));
  int64_t stride = channelsLast ? 1 : 0;
  b.loop(first, last, 1, [&](Value row) {
    // The row's sample, or its sample and channel.
    Value outer = b.divFloor(row, rowsPerChannel);
    Value sample = channelsLast ? outer : b.divFloor(outer, channels);
    Value fixedChannel = channelsLast ? b.index(0) : b.mod(outer, channels);
    Value base = b.add(b.mul(sample, 2 * channels), fixedChannel);
    emitVectorLoop(b, b.index(0), b.index(columns()), b.variant.lanes,
                   [&](Value column, int64_t lanes) {
                     Value channel = b.mul(column, stride);
                     body({row, column, lanes, b.add(fixedChannel, channel),
                           b.add(base, channel), stride});
                   });
  });
}

void GroupNormKernels::emitApply(KernelBuilder &b) {
  KernelTensor input{b.pointer(b.input(0)), elementType};
  KernelTensor parameters{b.pointer(b.input(1)), getComputeType(elementType)};
  KernelTensor bias{b.pointer(b.input(2)), getElementTypeOrSelf(op.getBias())};
  Epilogue epilogue(view);
  emitApplyLoops(b, [&](const Place &place) {
    auto [row, column, lanes, channel, parameter, stride] = place;
    Value x = input.load(b, b.add(b.mul(row, columns()), column), lanes);
    Value mean = parameters.load(b, parameter, lanes, stride);
    Value factor =
        parameters.load(b, b.add(parameter, channels), lanes, stride);
    Value shift = bias.load(b, channel, lanes, stride);
    FloatMath m(b, x.getType());
    Value y = m.fma(m.sub(x, mean), factor, shift);
    epilogue.emitStore(b, 3, y, {}, row, column, lanes);
  });
}

Lowered efc::cpu::lowerGroupNorm(const KernelView &view, OpBuilder &main,
                                 DispatchBuilder &dispatches) {
  auto op = cast<ef::GroupNormOp>(view.anchor);
  if (getQuantized(op.getInput()))
    return lowerQuantizedGroupNorm(view, main, dispatches);
  GroupNormKernels kernels(op, view);
  Location loc = view.root->getLoc();
  Value input = view.outer(op.getInput());
  // The first two launches do not know of the epilogue.
  std::string shared = llvm::formatv(
      "{0}|{1}|{2}|{3}", kernels.groups, kernels.space, kernels.channelsLast,
      op.getEpsilon().bitcastToAPInt().getZExtValue());

  bool isEmpty = kernels.type.getNumElements() == 0;
  Launch sums{loc, "group_norm_sums", "group_norm.sums", shared, {input}, {}};
  sums.results.push_back(kernels.getPartialType());
  sums.work =
      std::max<int64_t>(1, kernels.batch * kernels.chunks *
                               (kernels.channelsLast ? 1 : kernels.groups));
  sums.scratch = kernels.channelsLast ? 16 * kernels.channels : 0;
  Value partial = dispatches
                      .launch(main, sums,
                              [&](KernelBuilder &b) {
                                if (!isEmpty)
                                  kernels.emitPartialSums(b);
                              })
                      .front();

  Launch parameters{loc,
                    "group_norm_parameters",
                    "group_norm.parameters",
                    shared,
                    {partial, view.outer(op.getScale())},
                    {}};
  parameters.results.push_back(kernels.getParameterType());
  parameters.work = std::max<int64_t>(1, kernels.batch);
  Value perChannel = dispatches
                         .launch(main, parameters,
                                 [&](KernelBuilder &b) {
                                   if (!isEmpty)
                                     kernels.emitParameters(b);
                                 })
                         .front();

  Launch apply{loc,
               "group_norm",
               view.label(),
               view.key(),
               {input, perChannel, view.outer(op.getBias())},
               SmallVector<Type>(view.root->getResultTypes())};
  Epilogue(view).collectInputs(apply.inputs);
  apply.work =
      std::max<int64_t>(1, llvm::divideCeil(isEmpty ? 0 : kernels.getNumRows(),
                                            getRowsPerItem(kernels.columns())));
  ResultRange results = dispatches.launch(main, apply, [&](KernelBuilder &b) {
    if (!isEmpty)
      kernels.emitApply(b);
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
