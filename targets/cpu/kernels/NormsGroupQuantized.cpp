// Group normalisation of int16 (docs/numerics.md), in three launches as for
// floats: exact sums of q and q^2 over chunks; a and b of each channel; q a + b
// with the epilogue.
#include "targets/cpu/kernels/NormsGroup.h"
#include "targets/cpu/kernels/NormsIntegerSums.h"

#include "targets/cpu/kernels/ScalarEmitter.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

namespace {
struct QuantizedGroupNorm : GroupNormShape {
  ef::GroupNormOp op;
  const KernelView &view;
  Type i16, i64;

  /// Without a limit on the chunks, so that a lane never gets more terms than
  /// its sums hold.
  QuantizedGroupNorm(ef::GroupNormOp op, const KernelView &view)
      : GroupNormShape(op, INT64_MAX), op(op), view(view),
        i16(IntegerType::get(op.getContext(), 16)),
        i64(IntegerType::get(op.getContext(), 64)) {
    if (channelsLast)
      chunks = std::max<int64_t>(
          chunks, llvm::divideCeil(space, PartialSums::kMaxTerms));
  }

  int64_t perGroup() const { return channels / groups; }

  void emitPartialSums(KernelBuilder &b);
  void emitParameters(KernelBuilder &b);
  void emitApply(KernelBuilder &b);

private:
  void emitChannelsLastChunk(KernelBuilder &b, Value item);
  void emitChannelsFirstChunk(KernelBuilder &b, Value item);
  /// Sums of a chunk's rows for each channel, into scratch [3, channels].
  void emitColumnSums(KernelBuilder &b, Value input, Value firstRow,
                      Value lastRow);
  void emitGroup(KernelBuilder &b, Value sample, Value group);
  /// [batch, chunks, groups, 2].
  Value partialPointer(KernelBuilder &b, Value memref, Value sample,
                       Value chunk, Value group) {
    Value index = b.add(b.mul(sample, chunks), chunk);
    index = b.mul(b.add(b.mul(index, groups), group), 2);
    return b.offsetPointer(b.pointer(memref), index, i64);
  }
  Value columnSum(KernelBuilder &b, int64_t which, Value channel) {
    return b.offsetPointer(b.pointer(b.scratch()),
                           b.add(channel, which * channels), b.getI32Type());
  }
  void storeSums(KernelBuilder &b, const IntegerSums &sums, Value to) {
    b.store(sums.sum, to);
    b.store(sums.squares, b.offsetPointer(to, b.index(1), i64));
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

void QuantizedGroupNorm::emitColumnSums(KernelBuilder &b, Value input,
                                        Value firstRow, Value lastRow) {
  auto sumColumns = [&](Value channel, int64_t lanes) {
    Type type = lanes == 1 ? i16 : Type(VectorType::get({lanes}, i16));
    SmallVector<Value> sums = emitReductionLoop(
        b, firstRow, lastRow, 1, PartialSums::zero(b, lanes).values(),
        [&](Value row, ValueRange sums) {
          Value offset = b.add(b.mul(row, channels), channel);
          Value q = b.load(b.offsetPointer(input, offset, i16), type);
          return PartialSums::of(sums).add(b, q).values();
        });
    for (auto [which, sum] : llvm::enumerate(sums))
      b.store(sum, columnSum(b, which, channel));
  };
  // Two vectors of int16 at least: less is not worth a walk down the rows.
  emitVectorLoop(b, b.index(0), b.index(channels), 2 * b.variant.lanes,
                 sumColumns);
}

void QuantizedGroupNorm::emitChannelsLastChunk(KernelBuilder &b, Value item) {
  Value sample = b.divFloor(item, chunks), chunk = b.mod(item, chunks);
  int64_t rowsPerChunk = llvm::divideCeil(space, chunks);
  Value firstRow = b.min(b.mul(chunk, rowsPerChunk), b.index(space));
  Value lastRow = b.min(b.add(firstRow, rowsPerChunk), b.index(space));
  Value input = b.offsetPointer(b.pointer(b.input(0)),
                                b.mul(sample, space * channels), i16);
  emitColumnSums(b, input, firstRow, lastRow);
  b.loop(0, groups, 1, [&](Value group) {
    Value first = b.mul(group, perGroup());
    Value zero = integerConstant(b, i64, 0);
    SmallVector<Value> totals = emitReductionLoop(
        b, first, b.add(first, perGroup()), 1, {zero, zero},
        [&](Value channel, ValueRange totals) {
          SmallVector<Value> loaded;
          for (int64_t which = 0; which < 3; ++which)
            loaded.push_back(
                b.load(columnSum(b, which, channel), b.getI32Type()));
          IntegerSums sums = finishSums(b, PartialSums::of(loaded));
          return SmallVector<Value>{
              arith::AddIOp::create(b, totals[0], sums.sum),
              arith::AddIOp::create(b, totals[1], sums.squares)};
        });
    storeSums(b, {totals[0], totals[1]},
              partialPointer(b, b.result(0), sample, chunk, group));
  });
}

void QuantizedGroupNorm::emitChannelsFirstChunk(KernelBuilder &b, Value item) {
  int64_t length = space * perGroup();
  int64_t perChunk = llvm::divideCeil(length, chunks);
  Value chunk = b.mod(item, chunks), sampleGroup = b.divFloor(item, chunks);
  Value first = b.min(b.mul(chunk, perChunk), b.index(length));
  Value last = b.min(b.add(first, perChunk), b.index(length));
  Value input =
      b.offsetPointer(b.pointer(b.input(0)), b.mul(sampleGroup, length), i16);
  storeSums(b, emitIntegerSums(b, input, first, last, perChunk),
            partialPointer(b, b.result(0), b.divFloor(sampleGroup, groups),
                           chunk, b.mod(sampleGroup, groups)));
}

void QuantizedGroupNorm::emitPartialSums(KernelBuilder &b) {
  b.forEachWorkItem([&](Value item) {
    if (channelsLast)
      emitChannelsLastChunk(b, item);
    else
      emitChannelsFirstChunk(b, item);
  });
}

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

void QuantizedGroupNorm::emitGroup(KernelBuilder &b, Value sample,
                                   Value group) {
  Value zero = integerConstant(b, i64, 0);
  SmallVector<Value> totals = emitReductionLoop(
      b, b.index(0), b.index(chunks), 1, {zero, zero},
      [&](Value chunk, ValueRange totals) {
        Value from = partialPointer(b, b.input(0), sample, chunk, group);
        Value squares = b.load(b.offsetPointer(from, b.index(1), i64), i64);
        return SmallVector<Value>{
            arith::AddIOp::create(b, totals[0], b.load(from, i64)),
            arith::AddIOp::create(b, totals[1], squares)};
      });
  NormStatistics statistics = emitNormStatistics(
      b, {totals[0], totals[1]}, space * perGroup(), loadScalar(b, 3, 0),
      op.getEpsilon().convertToDouble(), /*rms=*/false);
  FloatMath m(b, b.getF64Type());
  Type f32 = b.getF32Type();
  Value meanT = m.mul(statistics.mean, statistics.t);
  KernelTensor gamma{b.pointer(b.input(1)),
                     getElementTypeOrSelf(op.getScale())},
      beta{b.pointer(b.input(2)), getElementTypeOrSelf(op.getBias())};
  Value to =
      b.offsetPointer(b.pointer(b.result(0)), b.mul(sample, 2 * channels), f32);
  Value first = b.mul(group, perGroup());
  b.loop(first, b.add(first, perGroup()), 1, [&](Value channel) {
    Value wide = toDouble(b, gamma.load(b, channel, 1));
    Value shift =
        m.sub(toDouble(b, beta.load(b, channel, 1)), m.mul(meanT, wide));
    b.store(fromDouble(b, m.mul(statistics.t, wide), f32),
            b.offsetPointer(to, channel, f32));
    b.store(fromDouble(b, shift, f32),
            b.offsetPointer(to, b.add(channel, channels), f32));
  });
}

void QuantizedGroupNorm::emitParameters(KernelBuilder &b) {
  b.forEachWorkItem([&](Value item) {
    emitGroup(b, b.divFloor(item, groups), b.mod(item, groups));
  });
}

//===----------------------------------------------------------------------===//
// Result
//===----------------------------------------------------------------------===//

void QuantizedGroupNorm::emitApply(KernelBuilder &b) {
  Value input = b.pointer(b.input(0));
  KernelTensor parameters{b.pointer(b.input(1)), b.getF32Type()};
  Epilogue epilogue(view);
  emitApplyLoops(b, [&](const Place &place) {
    auto [row, column, lanes, channel, parameter, stride] = place;
    Value offset = b.add(b.mul(row, columns()), column);
    Value q = loadElements(b, input, offset, i16, 1, lanes);
    Value a = parameters.load(b, parameter, lanes, stride);
    Value shift = parameters.load(b, b.add(parameter, channels), lanes, stride);
    FloatMath m(b, a.getType());
    epilogue.emitStore(b, 2, m.add(emitDequantize(b, q, a), shift), {}, row,
                       column, lanes);
  });
}

Lowered efc::cpu::lowerQuantizedGroupNorm(const KernelView &view,
                                          OpBuilder &main,
                                          DispatchBuilder &dispatches) {
  auto op = cast<ef::GroupNormOp>(view.anchor);
  QuantizedGroupNorm kernels(op, view);
  Location loc = view.root->getLoc();
  Value input = view.outer(op.getInput());
  // The first two launches do not know of the epilogue.
  std::string shared = llvm::formatv(
      "{0}|{1}|{2}|{3}", kernels.groups, kernels.space, kernels.channelsLast,
      op.getEpsilon().bitcastToAPInt().getZExtValue());
  bool isEmpty = kernels.type.getNumElements() == 0;
  auto emit = [&](Launch &launch, void (QuantizedGroupNorm::*body)(
                                      KernelBuilder &)) -> ResultRange {
    launch.work = std::max<int64_t>(1, launch.work);
    return dispatches.launch(main, launch, [&](KernelBuilder &b) {
      if (!isEmpty)
        (kernels.*body)(b);
    });
  };

  Launch sums{loc, "group_norm_i16_sums", "group_norm.sums", shared, {input},
              {}};
  sums.results.push_back(RankedTensorType::get(
      {kernels.batch, kernels.chunks, kernels.groups, 2}, kernels.i64));
  sums.work = kernels.batch * kernels.chunks *
              (kernels.channelsLast ? 1 : kernels.groups);
  sums.scratch = kernels.channelsLast ? 12 * kernels.channels : 0;
  Value partial = emit(sums, &QuantizedGroupNorm::emitPartialSums).front();

  Value scale = createScalars(main, loc, getScale(input.getType()));
  Launch parameters{
      loc,
      "group_norm_i16_parameters",
      "group_norm.parameters",
      shared,
      {partial, view.outer(op.getScale()), view.outer(op.getBias()), scale},
      {}};
  parameters.results.push_back(RankedTensorType::get(
      {kernels.batch, 2, kernels.channels}, main.getF32Type()));
  parameters.work = kernels.batch * kernels.groups;
  Value perChannel =
      emit(parameters, &QuantizedGroupNorm::emitParameters).front();

  Launch apply{loc,
               "group_norm_i16",
               view.label(),
               view.key(),
               {input, perChannel},
               SmallVector<Type>(view.root->getResultTypes())};
  Epilogue(view).collectInputs(apply.inputs);
  apply.work = llvm::divideCeil(isEmpty ? 0 : kernels.getNumRows(),
                                getRowsPerItem(kernels.columns()));
  ResultRange results = emit(apply, &QuantizedGroupNorm::emitApply);
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
