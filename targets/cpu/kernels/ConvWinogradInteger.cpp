// Winograd's F(2x2, 3x3) on int16 by int8, exact: the very sums of the direct
// algorithm with 2.25 times fewer multiplications.
//
// With the filter transform scaled by 4, U = (2G) g (2G)^T, all transforms are
// sums of integers; |x| <= 8191 leaves V = B^T d B in int16, |U| <= 9 * 127 in
// 11 bits. Four times the convolution comes out of A^T (U . V) A. int32 wraps
// around, which is exact modulo 2^32, so that the products themselves may
// overflow: it is enough that four times the *result* of a block of channels
// fits. The block is as large as the weights allow (Accumulators.h); blocks are
// added in int32 or, where their sum may not fit, in binary64.
//
// A work item is a chunk of at most 126 tiles of 2x2 results by a group of
// panels:
//
//   for each block of input channels
//     V[16][tiles][channels] = input transform of the chunk's tiles
//     for each panel of the group
//       for each sub-block of channels
//         U[16][channels / 2][16][2] = filter transform
//         M[16][tiles][16] (+)= V U      16 products by the microkernel
//       Y[tiles][4][16] (+)= output transform
//   epilogue
//
// Cost model (in multiply-adds per input channel and output channel): the
// products need 16 a tile where implicit GEMM needs 36; the filter transform
// costs about 32 for each chunk, the input transform 32 / (columns of the
// group) a tile, the output transform 52 / (channels of a block) a tile.
#include "targets/cpu/kernels/Accumulators.h"
#include "targets/cpu/kernels/Conv.h"
#include "targets/cpu/kernels/Gemm.h"
#include "targets/cpu/kernels/IntegerSums.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/WinogradTiles.h"
#include "targets/cpu/kernels/WinogradTransform.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static constexpr int64_t kOutput = 2, kInput = 4, kFilter = 3, kProducts = 16,
                         kResults = 4;
static constexpr int64_t kMaxChannelBlock = 320;
static constexpr int64_t kMaxFilterBlock = 160;
/// Elements of int16 that the transforms of input and filter take at once.
static constexpr int64_t kTransformLanes = 16;
/// Elements between the lines of V and of M beyond their size, so that 16
/// streams do not fall into one set of the cache.
static constexpr int64_t kSkew = 32;

//===----------------------------------------------------------------------===//
// Transforms of one line (Lavin and Gray, 2015)
//===----------------------------------------------------------------------===//

static Value sum(KernelBuilder &b, Value x, Value y) {
  return arith::AddIOp::create(b, x, y);
}
static Value difference(KernelBuilder &b, Value x, Value y) {
  return arith::SubIOp::create(b, x, y);
}

static SmallVector<Value> inputLine(KernelBuilder &b, ArrayRef<Value> d) {
  return {difference(b, d[0], d[2]), sum(b, d[1], d[2]),
          difference(b, d[2], d[1]), difference(b, d[1], d[3])};
}
/// Twice the transform.
static SmallVector<Value> filterLine(KernelBuilder &b, ArrayRef<Value> g) {
  Value outer = sum(b, g[0], g[2]);
  return {sum(b, g[0], g[0]), sum(b, outer, g[1]), difference(b, outer, g[1]),
          sum(b, g[2], g[2])};
}
static SmallVector<Value> outputLine(KernelBuilder &b, ArrayRef<Value> m) {
  return {sum(b, sum(b, m[0], m[1]), m[2]),
          difference(b, difference(b, m[1], m[2]), m[3])};
}

/// `line` on every column of a square matrix, then on every row of the result.
static SmallVector<Value>
transform(KernelBuilder &b, ArrayRef<Value> matrix, int64_t size,
          int64_t resultSize,
          SmallVector<Value> (*line)(KernelBuilder &, ArrayRef<Value>)) {
  return transformSquare(matrix, size, resultSize, [&](ArrayRef<Value> values) {
    return line(b, values);
  });
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

namespace {
/// How one item computes.
struct Blocking : WinogradItems {
  int64_t channelBlock, filterBlock;
  int64_t stepPanels; ///< Panels that the microkernel takes at once.
  bool splitsChannels;
  bool isWide = false; ///< Y is binary64.

  Blocking(const Conv2d &conv, const CpuVariant &variant, int64_t block)
      : WinogradItems(conv, kOutput), channelBlock(block),
        filterBlock(getEvenBlock(block, kMaxFilterBlock)),
        stepPanels(std::max<int64_t>(1, int64_t(variant.tileVectors) *
                                            variant.lanes / kPanelColumns)),
        splitsChannels(block < conv.c) {}

  // Elements of the scratch arrays, in this order: V, U (int16), M (int32), a
  // patch (int16), Y.
  int64_t inputLine() const { return maxTiles * channelBlock + kSkew; }
  int64_t inputElements() const { return kProducts * inputLine(); }
  int64_t filterElements() const {
    return stepPanels * kProducts * filterBlock * kPanelColumns;
  }
  int64_t productLine() const {
    return maxTiles * stepPanels * kPanelColumns + kSkew;
  }
  int64_t productElements() const { return kProducts * productLine(); }
  int64_t patchElements() const { return kProducts * channelBlock; }
  /// Columns of Y: those of a step if it is stored at once.
  int64_t sumColumns() const {
    return (splitsChannels ? groupPanels : stepPanels) * kPanelColumns;
  }
  int64_t sumElements() const { return maxTiles * kResults * sumColumns(); }

  int64_t filterBytes() const { return 2 * inputElements(); }
  int64_t productBytes() const { return filterBytes() + 2 * filterElements(); }
  int64_t patchBytes() const { return productBytes() + 4 * productElements(); }
  int64_t sumBytes() const { return patchBytes() + 2 * patchElements(); }
  int64_t scratchBytes() const {
    return sumBytes() + (isWide ? 8 : 4) * sumElements();
  }
};

struct Emitter {
  KernelBuilder &b;
  const Conv2d &conv;
  const Blocking &blocking;
  const Epilogue &epilogue;
  const Microkernel &microkernel;
  size_t factorsInput;
  int64_t lanes = std::min<int64_t>(b.variant.lanes, kPanelColumns);
  Type i8 = b.getI8Type(), i16 = b.getI16Type(), i32 = b.getI32Type();
  Type sumType = blocking.isWide ? Type(b.getF64Type()) : i32;
  VectorType transformed = VectorType::get({kTransformLanes}, i16);

  Value scratch(int64_t bytes) {
    return b.offsetPointer(b.pointer(b.scratch()), b.index(bytes), i8);
  }
  WinogradTiles tiling() {
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

  void emitInput(Value firstTile, Value tiles, Value channel, Value channels) {
    b.loop(b.index(0), tiles, 1, [&](Value t) {
      WinogradTiles patches = tiling();
      WinogradTiles::Patch place = patches.emitPatch(
          patches.locate(b.add(firstTile, t)), channel, channels);
      b.loop(b.index(0), channels, kTransformLanes, [&](Value c) {
        SmallVector<Value> patch;
        for (int64_t i = 0; i < kInput; ++i)
          for (int64_t j = 0; j < kInput; ++j) {
            Value offset =
                b.add(b.add(b.mul(place.row, i), b.mul(place.pixel, j)), c);
            patch.push_back(b.load(b.offsetPointer(place.pointer, offset, i16),
                                   transformed));
          }
        Value to = b.offsetPointer(
            scratch(0), b.add(b.mul(t, blocking.channelBlock), c), i16);
        for (auto [i, value] :
             llvm::enumerate(transform(b, patch, kInput, kInput, inputLine)))
          b.store(value,
                  b.offsetPointer(
                      to, b.index(int64_t(i) * blocking.inputLine()), i16));
      });
    });
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
      for (auto [index, value] :
           llvm::enumerate(transform(b, taps, kFilter, kInput, filterLine)))
        b.store(value, b.offsetPointer(
                           to, b.add(b.index(int64_t(index) * line), i), i16));
    });
  }

  void emitProducts(Value tiles, Value numPanels, Value channelInBlock,
                    Value k) {
    int64_t line = blocking.filterBlock * kPanelColumns;
    b.loop(0, kProducts, 1, [&](Value index) {
      Product product;
      product.a = b.offsetPointer(
          scratch(0), b.add(b.mul(index, blocking.inputLine()), channelInBlock),
          i16);
      product.lda = b.index(blocking.channelBlock);
      product.b = b.offsetPointer(scratch(blocking.filterBytes()),
                                  b.mul(index, line), i16);
      product.bPanel = b.index(kProducts * line);
      product.c = b.offsetPointer(scratch(blocking.productBytes()),
                                  b.mul(index, blocking.productLine()), i32);
      product.ldc = b.index(blocking.stepPanels * kPanelColumns);
      product.k = k;
      product.accumulate = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                                 channelInBlock, b.index(0));
      microkernel.emit(b, product, tiles, blocking.lastTiles % kRowGranule,
                       numPanels);
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
    for (Value value : transform(b, lines, kInput, kOutput, outputLine)) {
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
      WinogradTiles places = tiling();
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

  /// All panels of the group over one block of channels.
  void emitChannelBlock(Value firstTile, Value tiles, Value firstPanel,
                        Value numPanels, Value channel, Value channels) {
    emitInput(firstTile, tiles, channel, channels);
    b.loop(b.index(0), numPanels, blocking.stepPanels, [&](Value panel) {
      Value inStep =
          blocking.panels % blocking.stepPanels
              ? b.min(b.index(blocking.stepPanels), b.sub(numPanels, panel))
              : b.index(blocking.stepPanels);
      Value absolute = b.add(firstPanel, panel);
      b.loop(b.index(0), channels, blocking.filterBlock, [&](Value first) {
        Value k = b.min(b.index(blocking.filterBlock), b.sub(channels, first));
        b.loop(b.index(0), inStep, 1, [&](Value slot) {
          emitFilter(b.add(absolute, slot), slot, b.add(channel, first), k);
        });
        emitProducts(tiles, inStep, first, k);
      });
      Value firstColumn =
          blocking.splitsChannels ? b.mul(panel, kPanelColumns) : b.index(0);
      emitSums(tiles, inStep, firstColumn);
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

/// The largest block of channels whose four-fold sums fit, and the bound of the
/// whole sum; nothing if the blocks would be too small to be worth it.
static std::optional<std::pair<int64_t, Accumulation>>
chooseBlock(const Conv2d &conv, AccumulatorBounds &bounds) {
  SummationOrder order{conv.filter,
                       packSourceOf(conv),
                       0,
                       conv.taps(),
                       getLimit(conv.input.getType()),
                       kResults};
  for (int64_t most : {kMaxChannelBlock, kMaxChannelBlock / 2,
                       kMaxChannelBlock / 4, kMaxChannelBlock / 10}) {
    order.kBlock = getEvenBlock(conv.c, most);
    if (std::optional<Accumulation> proved = bounds.prove(order))
      return std::make_pair(order.kBlock, *proved);
  }
  return std::nullopt;
}

bool efc::cpu::isIntegerWinogradFaster(const Conv2d &conv) {
  bool fits = conv.kernelH == kFilter && conv.kernelW == kFilter &&
              conv.strideH == 1 && conv.strideW == 1 && conv.dilationH == 1 &&
              conv.dilationW == 1 && conv.groups == 1;
  if (!fits || conv.c % kTransformLanes || conv.m % kPanelColumns ||
      conv.h < kInput || conv.w < kInput || !isPairWeight(conv.filter) ||
      4 * getLimit(conv.input.getType()) > INT16_MAX)
    return false;
  WinogradItems items(conv, kOutput);
  double tiles = std::min<double>(items.tiles, WinogradItems::kChunk),
         columns = std::min<int64_t>(items.groupPanels * kPanelColumns, conv.m);
  double channels = std::min<int64_t>(conv.c, kMaxChannelBlock / 2);
  double winograd =
      items.tiles * (16 + 32 / tiles + 32 / columns + 52 / channels);
  double direct = 9.0 * conv.n * conv.outH * conv.outW;
  return winograd < direct;
}

Lowered efc::cpu::lowerConvIntegerWinograd(const KernelView &view,
                                           const Conv2d &conv, OpBuilder &main,
                                           DispatchBuilder &dispatches,
                                           const KernelOptions &options) {
  Epilogue epilogue(view);
  if (failed(checkEpilogue(view, epilogue)))
    return FailureOr<SmallVector<Value>>(failure());
  auto block = chooseBlock(conv, *options.bounds);
  if (epilogue.isGated() || !block)
    return lowerConvDirect(view, conv, main, dispatches, options);
  Value packed = packConstant(conv.filter, packSourceOf(conv), main, options);
  Microkernel microkernel = Microkernel::pairs(dispatches, main.getI16Type());
  Blocking blocking(conv, dispatches.variant, block->first);
  blocking.isWide = block->second.bound > INT32_MAX;

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
  llvm::append_range(launch.results, view.root->getResultTypes());
  Accumulation accumulation{block->second.bound, blocking.splitsChannels};
  setAccumulation(launch, accumulation, blocking.channelBlock * conv.taps());
  launch.key += "|block " + std::to_string(blocking.channelBlock) +
                (blocking.isWide ? " wide" : "");
  launch.work = blocking.chunks * blocking.groups;
  launch.scratch = blocking.scratchBytes();
  launch.macs = conv.macs();
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    Emitter emitter{b,        conv,        blocking,
                    epilogue, microkernel, launch.inputs.size() - 1};
    b.forEachWorkItem([&](Value item) { emitter.emitItem(item); });
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
