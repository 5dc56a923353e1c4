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
/// The position that adds four neighbours up; all others take differences. A
/// channel that is large everywhere is cut off there and nowhere else.
static constexpr size_t kSum = kInput + 1;

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

/// Where channel `c` of tile `t` stands at a position of V or its remainders,
/// which begin at `bytes`.
Value IntegerWinogradInput::place16(int64_t bytes, int64_t position, Value t,
                                    Value c) {
  Value offset = b.add(b.mul(t, blocking.channelBlock), c);
  return b.offsetPointer(scratch(bytes),
                         b.add(offset, position * blocking.inputLine()), i16);
}

/// V; of inputs with one guard bit, the largest and the smallest of each lane,
/// first of kSum and then of all other positions.
SmallVector<Value> IntegerWinogradInput::emitSums(Value firstTile, Value tiles,
                                                  Value channel,
                                                  Value channels) {
  SmallVector<Value> extremes;
  if (blocking.hasRemainders)
    extremes.assign(4, integerConstant(b, transformed, 0));
  auto transformPatch = [&](Value t, const WinogradTiles::Patch &place, Value c,
                            ValueRange found) {
    SmallVector<Value> patch = loadPatch(place, c);
    SmallVector<Value> values = blocking.hasRemainders
                                    ? transformInputSaturating(b, patch)
                                    : transformInput(b, patch);
    for (auto [position, value] : llvm::enumerate(values))
      b.store(value, place16(0, int64_t(position), t, c));
    SmallVector<Value> next(found);
    if (blocking.hasRemainders)
      for (auto [position, value] : llvm::enumerate(values)) {
        size_t first = position == kSum ? 0 : 2;
        next[first] = arith::MaxSIOp::create(b, next[first], value);
        next[first + 1] = arith::MinSIOp::create(b, next[first + 1], value);
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

/// What V lacks of the sums at kSum or at all other positions, and which
/// positions lack anything.
void IntegerWinogradInput::emitRemainders(Value firstTile, Value tiles,
                                          Value channel, Value channels,
                                          bool ofSum) {
  auto transformPatch = [&](Value t, const WinogradTiles::Patch &place,
                            Value c) {
    SmallVector<Value> patch = loadPatch(place, c);
    for (auto [position, whole, cut] : llvm::enumerate(
             transformInput(b, patch), transformInputSaturating(b, patch))) {
      if ((position == kSum) != ofSum)
        continue;
      // The difference fits, so that wrapping around gives it.
      Value remainder = arith::SubIOp::create(b, whole, cut);
      Value flags = flagPointer(b.index(int64_t(position)));
      b.store(arith::OrIOp::create(b, b.load(flags, transformed), remainder),
              flags);
      b.store(remainder,
              place16(blocking.remainderBytes(), int64_t(position), t, c));
    }
  };
  forEachPatch(firstTile, tiles, channel, channels, {},
               [&](Value t, const WinogradTiles::Patch &place, ValueRange) {
                 b.loop(b.index(0), channels, kTransformLanes,
                        [&](Value c) { transformPatch(t, place, c); });
                 return SmallVector<Value>();
               });
}

/// Whether a lane of the largest or smallest values is at a limit of int16.
static Value emitIsCut(KernelBuilder &b, Value largest, Value smallest) {
  auto reaches = [&](vector::CombiningKind kind, Value lanes, int64_t limit) {
    return compareIntegers(b, arith::CmpIPredicate::eq,
                           vector::ReductionOp::create(b, kind, lanes), limit);
  };
  return arith::OrIOp::create(
      b, reaches(vector::CombiningKind::MAXSI, largest, INT16_MAX),
      reaches(vector::CombiningKind::MINSI, smallest, INT16_MIN));
}

void IntegerWinogradInput::emit(Value firstTile, Value tiles, Value channel,
                                Value channels) {
  SmallVector<Value> extremes = emitSums(firstTile, tiles, channel, channels);
  if (!blocking.hasRemainders)
    return;
  emitZeroRun(b, flagPointer(b.index(0)), b.index(kProducts * kTransformLanes),
              i16);
  for (bool ofSum : {true, false}) {
    size_t first = ofSum ? 0 : 2;
    auto branch =
        scf::IfOp::create(b, emitIsCut(b, extremes[first], extremes[first + 1]),
                          /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&branch.getThenRegion().front());
    emitRemainders(firstTile, tiles, channel, channels, ofSum);
  }
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
