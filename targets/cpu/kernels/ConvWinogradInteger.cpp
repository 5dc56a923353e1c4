// Winograd's F(2x2, 3x3) on int16 by int8, exact: the very sums of the direct
// algorithm with 2.25 times fewer multiplications.
//
// |U| <= 9 * 127 has 11 bits and a sign. V = B^T d B adds four inputs: it is
// cut off at the limits of int16 and, where inputs have one guard bit and not
// two, the rare remainders stand in a second V, whose products are added for
// those of the 16 positions that have any. How many channels an int32 takes:
// WinogradSteps.h. Steps are added in int32 or, where their sum may not fit, in
// binary64.
//
// A work item is a chunk of at most 126 tiles of 2x2 results by a group of
// panels:
//
//   for each block of input channels
//     V[16][tiles][channels] = input transform of the chunk's tiles
//     for each panel of the group
//       for each step of channels
//         for each sub-block of them
//           U[16][channels / 2][16][2] = filter transform
//           M[16][tiles][16] (+)= V U      16 products by the microkernel
//         Y[tiles][4][16] (+)= output transform
//   epilogue
//
// Cost model (in multiply-adds per input channel and output channel): the
// products need 16 a tile where implicit GEMM needs 36; the filter transform
// costs about 32 for each chunk, the input transform 48 / (columns of the
// group) a tile, the output transform 52 / (channels of a step) a tile.
#include "targets/cpu/kernels/Conv.h"
#include "targets/cpu/kernels/Gemm.h"
#include "targets/cpu/kernels/IntegerSums.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/WinogradIntegerInput.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;
using namespace efc::cpu::winograd2;
using Blocking = IntegerWinogradBlocking;

static constexpr int64_t kMaxChannelBlock = 160;
static constexpr int64_t kTransformLanes = Blocking::kTransformLanes;

namespace {
struct Emitter {
  KernelBuilder &b;
  const Conv2d &conv;
  const Blocking &blocking;
  const Epilogue &epilogue;
  const Microkernel &microkernel;
  IntegerWinogradInput input;
  size_t factorsInput; ///< Then energies and their limits, if any.
  int64_t lanes = std::min<int64_t>(b.variant.lanes, kPanelColumns);
  Type i8 = b.getI8Type(), i16 = b.getI16Type(), i32 = b.getI32Type();
  Type sumType = blocking.isWide ? Type(b.getF64Type()) : i32;
  VectorType transformed = VectorType::get({kTransformLanes}, i16);

  Value isZero(Value index) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, index,
                                 b.index(0));
  }
  Value scratch(int64_t bytes) {
    return b.offsetPointer(b.pointer(b.scratch()), b.index(bytes), i8);
  }
  /// U of one panel, channels [channel, channel + k): element by element, so
  /// that the pairs stay where they are.
  void emitFilter(Value panel, Value slot, Value channel, Value k) {
    VectorType packed = VectorType::get({kTransformLanes}, i8);
    int64_t line = blocking.filterBlock * kPanelColumns;
    Value from = b.offsetPointer(
        b.pointer(b.input(1)),
        b.mul(b.add(b.mul(panel, conv.c), channel), kPanelColumns), i8);
    Value to = b.offsetPointer(scratch(blocking.filterBytes()),
                               b.mul(slot, kProducts * line), i16);
    b.loop(b.index(0), b.mul(k, kPanelColumns), kTransformLanes, [&](Value i) {
      SmallVector<Value> taps;
      for (int64_t tap = 0; tap < kFilter * kFilter; ++tap) {
        Value place =
            b.add(b.index(tap * blocking.panels * conv.c * kPanelColumns), i);
        taps.push_back(arith::ExtSIOp::create(
            b, transformed, b.load(b.offsetPointer(from, place, i8), packed)));
      }
      for (auto [index, value] : llvm::enumerate(transformFilter(b, taps)))
        b.store(value, b.offsetPointer(
                           to, b.add(b.index(int64_t(index) * line), i), i16));
    });
  }

  /// M (+)= V U: channels [channel, channel + k) of the block, added to M
  /// unless they are the first of their step.
  void emitProducts(Value tiles, Value numPanels, Value channel, Value isFirst,
                    Value k) {
    int64_t line = blocking.filterBlock * kPanelColumns;
    auto emitProduct = [&](Value position, Value part) {
      Product product;
      Value from = b.add(b.mul(position, blocking.inputLine()), channel);
      product.a = b.offsetPointer(
          scratch(0), b.add(from, b.mul(part, blocking.inputElements())), i16);
      product.lda = b.index(blocking.channelBlock);
      product.b = b.offsetPointer(scratch(blocking.filterBytes()),
                                  b.mul(position, line), i16);
      product.bPanel = b.index(kProducts * line);
      product.c = b.offsetPointer(scratch(blocking.productBytes()),
                                  b.mul(position, blocking.productLine()), i32);
      product.ldc = b.index(blocking.stepPanels * kPanelColumns);
      product.k = k;
      Value overwrites = arith::AndIOp::create(b, isFirst, isZero(part));
      product.accumulate = arith::XOrIOp::create(
          b, overwrites, arith::ConstantOp::create(b, b.getBoolAttr(true)));
      microkernel.emit(b, product, tiles, blocking.lastTiles % kRowGranule,
                       numPanels);
    };
    b.loop(0, kProducts, 1, [&](Value position) {
      b.loop(b.index(0), input.countProducts(position), 1,
             [&](Value part) { emitProduct(position, part); });
    });
  }

  /// Four results of a tile: a quarter of what the transform gives.
  SmallVector<Value> loadResults(Value tile, Value column) {
    Value from = b.offsetPointer(
        scratch(blocking.productBytes()),
        b.add(b.mul(tile, blocking.stepPanels * kPanelColumns), column), i32);
    VectorType type = VectorType::get({lanes}, i32);
    SmallVector<Value> lines;
    for (int64_t i = 0; i < kProducts; ++i)
      lines.push_back(b.load(
          b.offsetPointer(from, b.index(i * blocking.productLine()), i32),
          type));
    Value two = arith::ConstantOp::create(
        b, DenseElementsAttr::get(type, b.getI32IntegerAttr(2)));
    SmallVector<Value> results;
    for (Value value : transformOutput(b, lines)) {
      Value quarter = arith::ShRSIOp::create(b, value, two);
      results.push_back(blocking.isWide
                            ? arith::SIToFPOp::create(
                                  b, VectorType::get({lanes}, sumType), quarter)
                            : quarter);
    }
    return results;
  }

  Value sumPointer(Value tile, Value result, Value column) {
    Value row = b.add(b.mul(tile, kResults), result);
    return b.offsetPointer(scratch(blocking.sumBytes()),
                           b.add(b.mul(row, blocking.sumColumns()), column),
                           sumType);
  }

  /// Y (+)= the results of a step, whose columns stand at `firstColumn` of Y.
  void emitSums(Value tiles, Value numPanels, Value firstColumn) {
    VectorType type = VectorType::get({lanes}, sumType);
    b.loop(b.index(0), tiles, 1, [&](Value t) {
      b.loop(b.index(0), b.mul(numPanels, kPanelColumns), lanes,
             [&](Value column) {
               for (auto [i, value] : llvm::enumerate(loadResults(t, column))) {
                 Value place = sumPointer(t, b.index(int64_t(i)),
                                          b.add(firstColumn, column));
                 if (blocking.splitsChannels)
                   value = add(b.load(place, type), value);
                 b.store(value, place);
               }
             });
    });
  }

  Value add(Value x, Value y) {
    if (blocking.isWide)
      return arith::AddFOp::create(b, x, y);
    return arith::AddIOp::create(b, x, y);
  }

  /// The epilogue on columns [firstColumn, ...) of the result, which stand
  /// first in Y.
  void emitStore(Value firstTile, Value tiles, Value firstColumn,
                 Value columns) {
    b.loop(b.index(0), tiles, 1, [&](Value t) {
      WinogradTiles places = input.tiling();
      WinogradTiles::Tile tile = places.locate(b.add(firstTile, t));
      places.forEachResult(tile, [&](Value index, Value row) {
        b.loop(b.index(0), columns, lanes, [&](Value column) {
          Value sums = b.load(sumPointer(t, index, column),
                              VectorType::get({lanes}, sumType));
          Value absolute = b.add(firstColumn, column);
          Value factors =
              b.load(b.offsetPointer(b.pointer(b.input(factorsInput)), absolute,
                                     b.getF32Type()),
                     VectorType::get({lanes}, b.getF32Type()));
          epilogue.emitStore(b, 2, emitScaledSum(b, sums, factors), nullptr,
                             row, absolute, lanes);
        });
      });
    });
  }

  /// The channels of a step, for the block at `channel`.
  Value emitStep(Value firstTile, Value tiles, Value channel) {
    if (!blocking.steps.isDynamic())
      return b.index(blocking.steps.channels.front());
    // All rows from the first tile's patch to the last one's.
    WinogradTiles places = input.tiling();
    auto rowOf = [&](Value tile, int64_t below) {
      WinogradTiles::Tile place = places.locate(tile);
      Value y = b.add(place.y, below - conv.padTop);
      y = b.min(arith::MaxSIOp::create(b, y, b.index(0)), b.index(conv.h));
      return b.add(b.mul(place.image, conv.h), y);
    };
    Value lastTile = b.add(b.add(firstTile, tiles), -1);
    return emitChooseStep(b, blocking.steps, conv, factorsInput + 1,
                          factorsInput + 2,
                          b.divFloor(channel, blocking.channelBlock),
                          b.mul(rowOf(firstTile, 0), conv.w),
                          b.mul(rowOf(lastTile, kInput), conv.w));
  }

  /// One panel step over the channels [first, first + count) of the block at
  /// `channel`: M, then Y.
  void emitChannelStep(Value tiles, Value panel, Value inStep, Value absolute,
                       Value channel, Value first, Value count) {
    b.loop(b.index(0), count, blocking.filterBlock, [&](Value done) {
      Value k = b.min(b.index(blocking.filterBlock), b.sub(count, done));
      Value place = b.add(first, done);
      b.loop(b.index(0), inStep, 1, [&](Value slot) {
        emitFilter(b.add(absolute, slot), slot, b.add(channel, place), k);
      });
      emitProducts(tiles, inStep, place, isZero(done), k);
    });
    Value firstColumn =
        blocking.splitsChannels ? b.mul(panel, kPanelColumns) : b.index(0);
    emitSums(tiles, inStep, firstColumn);
  }

  /// All panels of the group over one block of channels.
  void emitChannelBlock(Value firstTile, Value tiles, Value firstPanel,
                        Value numPanels, Value channel, Value channels) {
    input.emit(firstTile, tiles, channel, channels);
    Value step = emitStep(firstTile, tiles, channel);
    b.loop(b.index(0), numPanels, blocking.stepPanels, [&](Value panel) {
      Value inStep =
          blocking.panels % blocking.stepPanels
              ? b.min(b.index(blocking.stepPanels), b.sub(numPanels, panel))
              : b.index(blocking.stepPanels);
      Value absolute = b.add(firstPanel, panel);
      auto loop = scf::ForOp::create(b, b.index(0), channels, step);
      {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(loop.getBody());
        Value first = loop.getInductionVar();
        emitChannelStep(tiles, panel, inStep, absolute, channel, first,
                        b.min(step, b.sub(channels, first)));
      }
      if (!blocking.splitsChannels)
        emitStore(firstTile, tiles, b.mul(absolute, kPanelColumns),
                  b.mul(inStep, kPanelColumns));
    });
  }

  void emitItem(Value item) {
    auto [firstTile, tiles, firstPanel, numPanels] = blocking.locate(b, item);
    if (blocking.splitsChannels)
      emitZeroRun(b, scratch(blocking.sumBytes()),
                  b.mul(tiles, kResults * blocking.sumColumns()), sumType);
    b.loop(0, conv.c, blocking.channelBlock, [&](Value channel) {
      Value channels = b.min(b.index(blocking.channelBlock),
                             b.sub(b.index(conv.c), channel));
      emitChannelBlock(firstTile, tiles, firstPanel, numPanels, channel,
                       channels);
    });
    if (blocking.splitsChannels)
      emitStore(firstTile, tiles, b.mul(firstPanel, kPanelColumns),
                b.mul(numPanels, kPanelColumns));
  }
};
} // namespace

bool efc::cpu::isIntegerWinogradFaster(const Conv2d &conv) {
  bool fits = conv.kernelH == kFilter && conv.kernelW == kFilter &&
              conv.strideH == 1 && conv.strideW == 1 && conv.dilationH == 1 &&
              conv.dilationW == 1 && conv.groups == 1;
  if (!fits || conv.c % kTransformLanes || conv.m % kPanelColumns ||
      conv.h < kInput || conv.w < kInput || !isPairWeight(conv.filter) ||
      getLimit(conv.input.getType()) > kMaxLimit)
    return false;
  WinogradItems items(conv, kOutput);
  double tiles = std::min<double>(items.tiles, WinogradItems::kChunk),
         columns = std::min<int64_t>(items.groupPanels * kPanelColumns, conv.m);
  double channels = std::min<int64_t>(conv.c, kMaxChannelBlock / 2);
  double winograd =
      items.tiles * (16 + 32 / tiles + 48 / columns + 52 / channels);
  double direct = 9.0 * conv.n * conv.outH * conv.outW;
  return winograd < direct;
}

/// What the launch says of its sums, to people and in its key.
static void setSteps(Launch &launch, const WinogradSteps &steps,
                     const Conv2d &conv) {
  Accumulation accumulation{steps.accumulation.bound,
                            steps.splitsChannels(conv)};
  setAccumulation(launch, accumulation, steps.channels.front() * conv.taps());
  launch.key += llvm::formatv(
      "|steps {0}{1}",
      llvm::make_range(steps.channels.begin(), steps.channels.end()),
      steps.accumulation.bound > INT32_MAX ? " wide" : "");
}

Lowered efc::cpu::lowerConvIntegerWinograd(const KernelView &view,
                                           const Conv2d &conv, OpBuilder &main,
                                           DispatchBuilder &dispatches,
                                           const KernelOptions &options) {
  Epilogue epilogue(view);
  if (failed(checkEpilogue(view, epilogue)))
    return FailureOr<SmallVector<Value>>(failure());
  std::optional<WinogradSteps> steps =
      WinogradSteps::choose(conv, kMaxChannelBlock, *options.bounds);
  if (epilogue.isGated() || !steps)
    return lowerConvDirect(view, conv, main, dispatches, options);
  Value packed = packConstant(conv.filter, packSourceOf(conv), main, options);
  Microkernel microkernel = Microkernel::pairs(dispatches, main.getI16Type());
  Blocking blocking(conv, dispatches.variant, *steps);

  Launch launch{view.root->getLoc(),
                "conv_winograd2",
                labelWith(view, conv.label + ".winograd2"),
                view.key(),
                {conv.input, packed},
                {}};
  epilogue.collectInputs(launch.inputs);
  launch.inputs.push_back(
      createChannelFactors(main, view.root->getLoc(), conv.input.getType(),
                           conv.filter.getType(), conv.m, conv.m));
  size_t factorsInput = launch.inputs.size() - 1;
  if (steps->isDynamic()) {
    launch.inputs.push_back(
        computeEnergies(conv, steps->block, main, dispatches));
    launch.inputs.push_back(createScalars(main, launch.loc, steps->energies));
  }
  llvm::append_range(launch.results, view.root->getResultTypes());
  setSteps(launch, *steps, conv);
  launch.work = blocking.chunks * blocking.groups;
  launch.scratch = blocking.scratchBytes();
  launch.macs = conv.macs();
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    Emitter emitter{b,           conv,        blocking,
                    epilogue,    microkernel, {b, conv, blocking},
                    factorsInput};
    b.forEachWorkItem([&](Value item) { emitter.emitItem(item); });
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
