// Winograd's F(4x4, 3x3) in one launch, without temporaries in memory. A work
// item is a chunk of at most 126 output tiles by a group of panels:
//
//   for each block of input channels
//     V[36][tiles][channels] = input transform of the chunk's tiles
//     for each panel of the group
//       for each sub-block of channels
//         U[36][channels][16] = filter transform           a few percent of the
//         products: no transformed copy of the weights exists M[36][tiles][16]
//         (+)= V U                        36 products by the microkernel
//       output transform, epilogue                         (after the last
//       block of channels)
//
// U and M of a panel stay in the L2 cache, V in the L3 cache. The transforms
// are vectors of channels.
//
// Cost model (in multiply-adds per input channel and output channel, a vector
// of 8 lanes counting 8): the products need 36 a tile where implicit GEMM needs
// 144; the filter transform costs about 100 for each chunk, the input transform
// 200 / (columns of the group) a tile, the output transform 350 / channels a
// tile.
#include "targets/cpu/kernels/Conv.h"
#include "targets/cpu/kernels/Gemm.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/ScalarEmitter.h"
#include "targets/cpu/kernels/WinogradTiles.h"
#include "targets/cpu/kernels/WinogradTransform.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static constexpr int64_t kMaxChannelBlock = 320;
static constexpr int64_t kMaxFilterBlock = 80;
/// Elements between the lines of V and of M beyond their size, so that 36
/// streams do not fall into one set of the cache.
static constexpr int64_t kSkew = 16;

namespace {
struct Blocking : WinogradItems {
  int64_t channelBlock, filterBlock;
  int64_t stepPanels; ///< Panels that the microkernel takes at once.
  bool splitsChannels;

  Blocking(const Conv2d &conv, const CpuVariant &variant)
      : WinogradItems(conv, kWinogradOutput) {
    channelBlock = getEvenBlock(conv.c, kMaxChannelBlock);
    filterBlock = getEvenBlock(channelBlock, kMaxFilterBlock);
    stepPanels = std::max<int64_t>(1, int64_t(variant.tileVectors) *
                                          variant.lanes / kPanelColumns);
    splitsChannels = channelBlock < conv.c;
  }

  // Elements of the scratch arrays, in this order.
  int64_t inputLine() const { return maxTiles * channelBlock + kSkew; }
  int64_t inputElements() const { return kWinogradProducts * inputLine(); }
  int64_t filterElements() const {
    return stepPanels * kWinogradProducts * filterBlock * kPanelColumns;
  }
  int64_t productLine() const {
    return maxTiles * stepPanels * kPanelColumns + kSkew;
  }
  int64_t stepElements() const { return kWinogradProducts * productLine(); }
  int64_t productElements() const {
    return stepElements() * (splitsChannels ? groupPanels / stepPanels : 1);
  }
  int64_t patchElements() const { return kWinogradProducts * channelBlock; }
  int64_t outputElements() const {
    return kWinogradOutput * kWinogradOutput * kPanelColumns;
  }
  int64_t scratchBytes() const {
    return 4 * (inputElements() + filterElements() + productElements() +
                patchElements() + outputElements());
  }
};

struct WinogradEmitter {
  KernelBuilder &b;
  const Conv2d &conv;
  const Blocking &blocking;
  const Epilogue &epilogue;
  const Microkernel &microkernel;
  Type inputElement, filterElement;
  Type f32 = b.getF32Type();
  int64_t lanes = std::min<int64_t>(b.variant.lanes, kPanelColumns);

  Type inputStored() { return getStorageType(inputElement); }
  VectorType vectorOf(Type element) {
    return VectorType::get({lanes}, element);
  }
  Value scratch(int64_t elements) {
    return b.offsetPointer(b.pointer(b.scratch()), b.index(elements), f32);
  }
  Value inputScratch() { return scratch(0); }
  Value filterScratch() { return scratch(blocking.inputElements()); }
  Value productScratch() {
    return scratch(blocking.inputElements() + blocking.filterElements());
  }
  Value patchScratch() {
    return scratch(blocking.inputElements() + blocking.filterElements() +
                   blocking.productElements());
  }
  Value outputScratch() {
    return scratch(blocking.inputElements() + blocking.filterElements() +
                   blocking.productElements() + blocking.patchElements());
  }
  WinogradTiles tiling() {
    return {b,
            conv,
            kWinogradOutput,
            kWinogradInput,
            blocking.tilesY,
            blocking.tilesX,
            inputStored(),
            patchScratch(),
            blocking.channelBlock};
  }

  void emitInput(Value firstTile, Value tiles, Value channel, Value channels) {
    b.loop(b.index(0), tiles, 1, [&](Value t) {
      WinogradTiles patches = tiling();
      WinogradTiles::Patch place = patches.emitPatch(
          patches.locate(b.add(firstTile, t)), channel, channels);
      b.loop(b.index(0), channels, lanes, [&](Value c) {
        SmallVector<Value> patch;
        for (int64_t i = 0; i < kWinogradInput; ++i)
          for (int64_t j = 0; j < kWinogradInput; ++j) {
            Value offset =
                b.add(b.add(b.mul(place.row, i), b.mul(place.pixel, j)), c);
            Value loaded =
                b.load(b.offsetPointer(place.pointer, offset, inputStored()),
                       vectorOf(inputStored()));
            patch.push_back(toCompute(b, loaded, inputElement));
          }
        Value to = b.offsetPointer(
            inputScratch(), b.add(b.mul(t, blocking.channelBlock), c), f32);
        for (auto [i, value] : llvm::enumerate(transformInput(b, patch)))
          b.store(value,
                  b.offsetPointer(
                      to, b.index(int64_t(i) * blocking.inputLine()), f32));
      });
    });
  }

  //===--- Filter
  //-----------------------------------------------------------===//

  /// U of one panel, channels [channel, channel + k).
  void emitFilter(Value panel, Value slot, Value channel, Value k) {
    Type stored = getStorageType(filterElement);
    Value from = b.offsetPointer(
        b.pointer(b.input(1)),
        b.mul(b.add(b.mul(panel, conv.c), channel), kPanelColumns), stored);
    Value to = b.offsetPointer(
        filterScratch(),
        b.mul(slot, kWinogradProducts * blocking.filterBlock * kPanelColumns),
        f32);
    b.loop(b.index(0), b.mul(k, kPanelColumns), lanes, [&](Value i) {
      SmallVector<Value> taps;
      for (int64_t tap = 0; tap < kWinogradFilter * kWinogradFilter; ++tap) {
        Value place = b.offsetPointer(
            from,
            b.add(b.index(tap * blocking.panels * conv.c * kPanelColumns), i),
            stored);
        taps.push_back(
            toCompute(b, b.load(place, vectorOf(stored)), filterElement));
      }
      for (auto [line, value] : llvm::enumerate(transformFilter(b, taps)))
        b.store(value, b.offsetPointer(
                           to,
                           b.add(b.index(int64_t(line) * blocking.filterBlock *
                                         kPanelColumns),
                                 i),
                           f32));
    });
  }

  //===--- Products and output
  //----------------------------------------------===//

  void emitProducts(Value products, Value tiles, Value numPanels,
                    Value channelInBlock, Value k, Value accumulate) {
    b.loop(0, kWinogradProducts, 1, [&](Value line) {
      Product product;
      product.a = b.offsetPointer(
          inputScratch(),
          b.add(b.mul(line, blocking.inputLine()), channelInBlock), f32);
      product.lda = b.index(blocking.channelBlock);
      product.b = b.offsetPointer(
          filterScratch(), b.mul(line, blocking.filterBlock * kPanelColumns),
          f32);
      product.bPanel =
          b.index(kWinogradProducts * blocking.filterBlock * kPanelColumns);
      product.c =
          b.offsetPointer(products, b.mul(line, blocking.productLine()), f32);
      product.ldc = b.index(blocking.stepPanels * kPanelColumns);
      product.k = k;
      product.accumulate = accumulate;
      microkernel.emit(b, product, tiles, blocking.lastTiles % kRowGranule,
                       numPanels);
    });
  }

  void emitOutput(Value products, Value firstTile, Value tiles,
                  Value firstPanel, Value numPanels, size_t firstInput) {
    b.loop(b.index(0), tiles, 1, [&](Value t) {
      WinogradTiles::Tile tile = tiling().locate(b.add(firstTile, t));
      b.loop(
          b.index(0), b.mul(numPanels, kPanelColumns), lanes,
          [&](Value column) {
            Value from = b.offsetPointer(
                products,
                b.add(b.mul(t, blocking.stepPanels * kPanelColumns), column),
                f32);
            SmallVector<Value> lines;
            for (int64_t i = 0; i < kWinogradProducts; ++i)
              lines.push_back(
                  b.load(b.offsetPointer(
                             from, b.index(i * blocking.productLine()), f32),
                         vectorOf(f32)));
            for (auto [i, value] : llvm::enumerate(transformOutput(b, lines)))
              b.store(value, b.offsetPointer(outputScratch(),
                                             b.index(int64_t(i) * lanes), f32));
            emitPixels(tile, b.add(b.mul(firstPanel, kPanelColumns), column),
                       firstInput);
          });
    });
  }

  /// The epilogue on the up to 16 results of a tile, which stand in scratch:
  /// one copy of its code.
  void emitPixels(const WinogradTiles::Tile &tile, Value column,
                  size_t firstInput) {
    tiling().forEachResult(tile, [&](Value index, Value row) {
      Value value =
          b.load(b.offsetPointer(outputScratch(), b.mul(index, lanes), f32),
                 vectorOf(f32));
      epilogue.emitStore(b, firstInput, value, nullptr, row, column, lanes);
    });
  }

  //===--- The work item
  //----------------------------------------------------===//

  Value stepProducts(Value step) {
    Value base = productScratch();
    return blocking.splitsChannels
               ? b.offsetPointer(base, b.mul(step, blocking.stepElements()),
                                 f32)
               : base;
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
      Value products = stepProducts(b.divFloor(panel, blocking.stepPanels));
      b.loop(b.index(0), channels, blocking.filterBlock, [&](Value first) {
        Value k = b.min(b.index(blocking.filterBlock), b.sub(channels, first));
        b.loop(b.index(0), inStep, 1, [&](Value slot) {
          emitFilter(b.add(b.add(firstPanel, panel), slot), slot,
                     b.add(channel, first), k);
        });
        Value absolute = b.add(channel, first);
        Value accumulate = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                                 absolute, b.index(0));
        emitProducts(products, tiles, inStep, first, k, accumulate);
      });
      if (!blocking.splitsChannels)
        emitOutput(products, firstTile, tiles, b.add(firstPanel, panel), inStep,
                   2);
    });
  }

  void emitItem(Value item) {
    auto [firstTile, tiles, firstPanel, numPanels] = blocking.locate(b, item);
    b.loop(0, conv.c, blocking.channelBlock, [&](Value channel) {
      Value channels = conv.c % blocking.channelBlock
                           ? b.min(b.index(blocking.channelBlock),
                                   b.sub(b.index(conv.c), channel))
                           : b.index(blocking.channelBlock);
      emitChannelBlock(firstTile, tiles, firstPanel, numPanels, channel,
                       channels);
    });
    if (!blocking.splitsChannels)
      return;
    b.loop(b.index(0), numPanels, blocking.stepPanels, [&](Value panel) {
      Value inStep =
          b.min(b.index(blocking.stepPanels), b.sub(numPanels, panel));
      emitOutput(stepProducts(b.divFloor(panel, blocking.stepPanels)),
                 firstTile, tiles, b.add(firstPanel, panel), inStep, 2);
    });
  }
};
} // namespace

bool efc::cpu::isWinogradFaster(const Conv2d &conv) {
  bool fits = conv.kernelH == kWinogradFilter &&
              conv.kernelW == kWinogradFilter && conv.strideH == 1 &&
              conv.strideW == 1 && conv.dilationH == 1 && conv.dilationW == 1 &&
              conv.groups == 1;
  if (!fits || conv.c % kPanelColumns || conv.m % kPanelColumns ||
      conv.h < kWinogradInput || conv.w < kWinogradInput)
    return false;
  // Nothing that differs between variants may enter: all share the launches.
  Blocking blocking(conv, CpuVariant());
  double tiles = std::min<double>(blocking.tiles, WinogradItems::kChunk),
         columns =
             std::min<int64_t>(blocking.groupPanels * kPanelColumns, conv.m);
  double winograd =
      blocking.tiles * (36 + 100 / tiles + 200 / columns + 350.0 / conv.c);
  double direct = 9.0 * conv.n * conv.outH * conv.outW;
  return winograd < direct;
}

Lowered efc::cpu::lowerConvWinograd(const KernelView &view, const Conv2d &conv,
                                    OpBuilder &main,
                                    DispatchBuilder &dispatches,
                                    const KernelOptions &options) {
  Epilogue epilogue(view);
  if (failed(checkEpilogue(view, epilogue)))
    return FailureOr<SmallVector<Value>>(failure());
  if (epilogue.isGated())
    return lowerConvDirect(view, conv, main, dispatches, options);
  Value packed = packConstant(conv.filter, packSourceOf(conv), main, options);
  Type inputElement = getElementTypeOrSelf(conv.input.getType()),
       filterElement = getElementTypeOrSelf(packed.getType());
  Type f32 = main.getF32Type();
  Microkernel microkernel(dispatches, f32, f32, f32);
  Blocking blocking(conv, dispatches.variant);

  Launch launch{view.root->getLoc(),
                "conv_winograd",
                labelWith(view, conv.label + ".winograd4"),
                view.key(),
                {conv.input, packed},
                {}};
  epilogue.collectInputs(launch.inputs);
  llvm::append_range(launch.results, view.root->getResultTypes());
  launch.work = blocking.chunks * blocking.groups;
  launch.scratch = blocking.scratchBytes();
  launch.macs = conv.macs();
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    WinogradEmitter emitter{b,           conv,         blocking,     epilogue,
                            microkernel, inputElement, filterElement};
    b.forEachWorkItem([&](Value item) { emitter.emitItem(item); });
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
