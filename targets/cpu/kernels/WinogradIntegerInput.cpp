// See WinogradIntegerInput.h.
#include "targets/cpu/kernels/WinogradIntegerInput.h"

#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/ScalarEmitterMath.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace efc::cpu;
using namespace efc::cpu::winograd2;

static constexpr int64_t kTransformLanes =
    IntegerWinogradBlocking::kTransformLanes;

Value IntegerWinogradInput::scratch(int64_t bytes) {
  return b.offsetPointer(b.pointer(b.scratch()), b.index(bytes), b.getI8Type());
}

WinogradTiles IntegerWinogradInput::tiling() {
  return {b,
          conv,
          kOutput,
          kInput,
          blocking.tilesY,
          blocking.tilesX,
          i16,
          scratch(blocking.patchBytes()),
          blocking.channelBlock};
}

/// 16 channels from `channel` on.
SmallVector<Value>
IntegerWinogradInput::loadPatch(const WinogradTiles::Patch &place,
                                Value channel) {
  SmallVector<Value> patch;
  for (int64_t i = 0; i < kInput; ++i)
    for (int64_t j = 0; j < kInput; ++j) {
      Value offset =
          b.add(b.add(b.mul(place.row, i), b.mul(place.pixel, j)), channel);
      patch.push_back(
          b.load(b.offsetPointer(place.pointer, offset, i16), transformed));
    }
  return patch;
}

SmallVector<Value>
IntegerWinogradInput::forEachPatch(Value firstTile, Value tiles, Value channel,
                                   Value channels, ValueRange initial,
                                   PatchBody body) {
  return emitReductionLoop(
      b, b.index(0), tiles, 1, initial, [&](Value t, ValueRange carried) {
        WinogradTiles patches = tiling();
        WinogradTiles::Patch place = patches.emitPatch(
            patches.locate(b.add(firstTile, t)), channel, channels);
        return body(t, place, carried);
      });
}

/// Stores what is transformed at channel `c` of tile `t`, at `bytes`.
void IntegerWinogradInput::storeTransformed(ArrayRef<Value> values,
                                            int64_t bytes, Value t, Value c) {
  Value to = b.offsetPointer(scratch(bytes),
                             b.add(b.mul(t, blocking.channelBlock), c), i16);
  for (auto [i, value] : llvm::enumerate(values))
    b.store(value, b.offsetPointer(
                       to, b.index(int64_t(i) * blocking.inputLine()), i16));
}

/// V; if there are two results, the largest and the smallest of each lane.
SmallVector<Value> IntegerWinogradInput::emitSums(Value firstTile, Value tiles,
                                                  Value channel,
                                                  Value channels) {
  SmallVector<Value> extremes;
  if (blocking.hasRemainders)
    extremes = {integerConstant(b, transformed, 0),
                integerConstant(b, transformed, 0)};
  auto transformPatch = [&](Value t, const WinogradTiles::Patch &place, Value c,
                            ValueRange found) {
    SmallVector<Value> patch = loadPatch(place, c);
    SmallVector<Value> values = blocking.hasRemainders
                                    ? transformInputSaturating(b, patch)
                                    : transformInput(b, patch);
    storeTransformed(values, 0, t, c);
    SmallVector<Value> next(found);
    if (blocking.hasRemainders)
      for (Value value : values) {
        next[0] = arith::MaxSIOp::create(b, next[0], value);
        next[1] = arith::MinSIOp::create(b, next[1], value);
      }
    return next;
  };
  return forEachPatch(
      firstTile, tiles, channel, channels, extremes,
      [&](Value t, const WinogradTiles::Patch &place, ValueRange found) {
        return emitReductionLoop(b, b.index(0), channels, kTransformLanes,
                                 found, [&](Value c, ValueRange found) {
                                   return transformPatch(t, place, c, found);
                                 });
      });
}

Value IntegerWinogradInput::flagPointer(Value position) {
  return b.offsetPointer(scratch(blocking.flagBytes()),
                         b.mul(position, kTransformLanes), i16);
}

/// What V lacks of the sums, and which positions lack anything.
void IntegerWinogradInput::emitRemainders(Value firstTile, Value tiles,
                                          Value channel, Value channels) {
  auto transformPatch = [&](Value t, const WinogradTiles::Patch &place,
                            Value c) {
    SmallVector<Value> patch = loadPatch(place, c);
    SmallVector<Value> remainders;
    for (auto [position, whole, cut] : llvm::enumerate(
             transformInput(b, patch), transformInputSaturating(b, patch))) {
      // The difference fits, so that wrapping around gives it.
      remainders.push_back(arith::SubIOp::create(b, whole, cut));
      Value flags = flagPointer(b.index(int64_t(position)));
      b.store(arith::OrIOp::create(b, b.load(flags, transformed),
                                   remainders.back()),
              flags);
    }
    storeTransformed(remainders, blocking.remainderBytes(), t, c);
  };
  forEachPatch(firstTile, tiles, channel, channels, {},
               [&](Value t, const WinogradTiles::Patch &place, ValueRange) {
                 b.loop(b.index(0), channels, kTransformLanes,
                        [&](Value c) { transformPatch(t, place, c); });
                 return SmallVector<Value>();
               });
}

void IntegerWinogradInput::emit(Value firstTile, Value tiles, Value channel,
                                Value channels) {
  SmallVector<Value> extremes = emitSums(firstTile, tiles, channel, channels);
  if (!blocking.hasRemainders)
    return;
  emitZeroRun(b, flagPointer(b.index(0)), b.index(kProducts * kTransformLanes),
              i16);
  auto reduce = [&](vector::CombiningKind kind, Value lanes) {
    return vector::ReductionOp::create(b, kind, lanes);
  };
  Value isCut = arith::OrIOp::create(
      b,
      compareIntegers(b, arith::CmpIPredicate::eq,
                      reduce(vector::CombiningKind::MAXSI, extremes[0]),
                      INT16_MAX),
      compareIntegers(b, arith::CmpIPredicate::eq,
                      reduce(vector::CombiningKind::MINSI, extremes[1]),
                      INT16_MIN));
  auto branch = scf::IfOp::create(b, isCut, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&branch.getThenRegion().front());
  emitRemainders(firstTile, tiles, channel, channels);
}

Value IntegerWinogradInput::countProducts(Value position) {
  if (!blocking.hasRemainders)
    return b.index(1);
  Value flags = vector::ReductionOp::create(
      b, vector::CombiningKind::OR, b.load(flagPointer(position), transformed));
  return arith::SelectOp::create(
      b, compareIntegers(b, arith::CmpIPredicate::ne, flags, 0), b.index(2),
      b.index(1));
}
