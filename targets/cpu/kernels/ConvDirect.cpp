// Convolution as implicit GEMM: no im2col buffer. A work item makes `rows`
// output rows by a segment of at most 126 columns by a group of panels:
//
//   copy the input strip that they need into scratch, with the padding as
//   zeros: then the pixels of an output row stand at one stride for each block
//   of input channels, each filter row
//     for each panel, each output row         the microkernel walks the
//     filter's columns (its taps) and the channels
//   epilogue
//
// Integer products sum chunks of these blocks (Accumulators.h).
//
// Filters stand as [tap][panel][channel][16] (cpu.pack). A filter row's block
// of a panel (kernelW x channels x 16) stays in the L1 cache.
#include "targets/cpu/kernels/Conv.h"
#include "targets/cpu/kernels/EpilogueTile.h"
#include "targets/cpu/kernels/Gemm.h"
#include "targets/cpu/kernels/IntegerSums.h"
#include "targets/cpu/kernels/Microkernel.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "dialects/ef/WeightStore.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static constexpr int64_t kSegment = 2 * kRowGranule;
static constexpr int64_t kMaxKBlock = 320;
static constexpr int64_t kMaxGroupPanels = 10;
static constexpr int64_t kWantedItems = 32;

namespace {
struct Blocking {
  int64_t segments, lastWidth,
      maxWidth; ///< All segments but the last are kSegment wide.
  int64_t rows, rowBlocks;
  int64_t groupPanels, groups;
  int64_t channelBlock;
  int64_t stripH, stripW; ///< Of the input, for a whole item.

  explicit Blocking(const Conv2d &conv) {
    segments = std::max<int64_t>(1, (conv.outW + kSegment / 2 - 1) / kSegment);
    lastWidth = conv.outW - (segments - 1) * kSegment;
    maxWidth = segments > 1 ? std::max(lastWidth, kSegment) : lastWidth;
    rows = std::clamp<int64_t>(kSegment / std::max<int64_t>(conv.outW, 1), 1,
                               std::max<int64_t>(conv.outH, 1));
    rowBlocks = llvm::divideCeil(conv.outH, rows);
    int64_t panels =
        std::max<int64_t>(1, llvm::divideCeil(conv.m, kPanelColumns));
    groups = llvm::divideCeil(panels, kMaxGroupPanels);
    while (conv.n * rowBlocks * segments * groups < kWantedItems &&
           panels / (groups + 1) >= 2)
      ++groups;
    groupPanels = llvm::alignTo(llvm::divideCeil(panels, groups), 2);
    groups = llvm::divideCeil(panels, groupPanels);
    int64_t wanted = std::max<int64_t>(kMaxKBlock / conv.kernelW, 16);
    channelBlock = std::max<int64_t>(
        4, llvm::alignTo(
               llvm::divideCeil(conv.c, llvm::divideCeil(conv.c, wanted)), 4));
    stripH =
        (rows - 1) * conv.strideH + (conv.kernelH - 1) * conv.dilationH + 1;
    stripW =
        (maxWidth - 1) * conv.strideW + (conv.kernelW - 1) * conv.dilationW + 1;
  }
};

struct DirectEmitter {
  KernelBuilder &b;
  const Conv2d &conv;
  const Blocking &blocking;
  const Epilogue &epilogue;
  const Microkernel &microkernel;
  Type inputStored, filterStored;
  int64_t chunkBlocks; ///< Blocks that an int32 takes; 0: all.
  size_t factorsInput; ///< Of quantised operands; 0: they are not.

  int64_t panels() const { return llvm::divideCeil(conv.m, kPanelColumns); }
  int64_t stripElements() const {
    return blocking.stripH * blocking.stripW * conv.c;
  }
  int64_t stripBytes() const {
    return llvm::alignTo(
        stripElements() * inputStored.getIntOrFloatBitWidth() / 8, 64);
  }
  int64_t accumulatorStride() const {
    return blocking.groupPanels * kPanelColumns;
  }

  Value strip() { return b.pointer(b.scratch()); }
  Value accumulators() {
    return b.offsetPointer(strip(), b.index(stripBytes()), b.getI8Type());
  }
  /// Elements of a panel at one tap.
  int64_t panelElements() const {
    return microkernel.alignK(conv.c) * kPanelColumns;
  }
  /// The chunks' sums, behind the accumulators.
  Value wideSums() {
    return b.offsetPointer(
        accumulators(),
        b.index(blocking.rows * blocking.maxWidth * accumulatorStride()),
        microkernel.accumulator());
  }
  Value max(Value x, int64_t y) {
    return arith::MaxSIOp::create(b, x, b.index(y));
  }

  /// One row of the strip from input row `image` at `y` (which may be outside),
  /// columns from `firstX` (which may be negative).
  void emitStripRow(Value image, Value y, Value firstX, Value to) {
    Value inside = arith::AndIOp::create(
        b, arith::CmpIOp::create(b, arith::CmpIPredicate::sge, y, b.index(0)),
        arith::CmpIOp::create(b, arith::CmpIPredicate::slt, y,
                              b.index(conv.h)));
    Value width = b.index(blocking.stripW);
    auto branch = scf::IfOp::create(b, inside, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&branch.getThenRegion().front());
    Value before = b.min(max(b.sub(b.index(0), firstX), 0), width);
    Value after = max(b.min(b.sub(b.index(conv.w), firstX), width), 0);
    after = arith::MaxSIOp::create(b, after, before);
    emitZeroRun(b, to, b.mul(before, conv.c), inputStored);
    Value from = b.add(b.mul(b.add(b.mul(image, conv.h), y), conv.w),
                       b.add(firstX, before));
    emitCopyRun(b,
                b.offsetPointer(b.pointer(b.input(0)), b.mul(from, conv.c),
                                inputStored),
                b.offsetPointer(to, b.mul(before, conv.c), inputStored),
                b.mul(b.sub(after, before), conv.c), inputStored);
    emitZeroRun(b, b.offsetPointer(to, b.mul(after, conv.c), inputStored),
                b.mul(b.sub(width, after), conv.c), inputStored);
    b.setInsertionPointToStart(&branch.getElseRegion().front());
    emitZeroRun(b, to, b.index(blocking.stripW * conv.c), inputStored);
  }

  void emitStrip(Value image, Value firstOutY, Value firstOutX) {
    Value firstX = b.sub(b.mul(firstOutX, conv.strideW), b.index(conv.padLeft));
    Value firstY = b.sub(b.mul(firstOutY, conv.strideH), b.index(conv.padTop));
    b.loop(0, blocking.stripH, 1, [&](Value row) {
      Value to = b.offsetPointer(strip(), b.mul(row, blocking.stripW * conv.c),
                                 inputStored);
      emitStripRow(image, b.add(firstY, row), firstX, to);
    });
  }

  /// The number of a block of channels and a filter row in its chunk.
  Value inChunk(Value filterRow, Value channel) {
    Value block =
        b.add(b.mul(b.divFloor(channel, blocking.channelBlock), conv.kernelH),
              filterRow);
    return chunkBlocks ? b.mod(block, chunkBlocks) : block;
  }

  /// After the last block of a chunk, its sums go where they cannot overflow.
  void emitChunkEnd(Value filterRow, Value channel, Value rows) {
    auto equals = [&](Value x, int64_t y) {
      return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, b.index(y));
    };
    Value block =
        b.add(b.mul(b.divFloor(channel, blocking.channelBlock), conv.kernelH),
              filterRow);
    int64_t blocks =
        llvm::divideCeil(conv.c, blocking.channelBlock) * conv.kernelH;
    Value isLast = arith::OrIOp::create(
        b, equals(b.mod(block, chunkBlocks), chunkBlocks - 1),
        equals(block, blocks - 1));
    auto branch = scf::IfOp::create(b, isLast, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&branch.getThenRegion().front());
    Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, block,
                                          b.index(chunkBlocks));
    emitAddChunk(b, accumulators(), wideSums(),
                 b.mul(rows, blocking.maxWidth * accumulatorStride()), isFirst);
  }

  /// Filter row `filterRow`, channels [channel, channel + k), all panels of the
  /// group, all output rows.
  void emitProducts(Value packed, Value filterRow, Value channel, Value k,
                    Value numPanels, Value rows, Value width) {
    Product product;
    product.accumulate = arith::CmpIOp::create(
        b, arith::CmpIPredicate::ne, inChunk(filterRow, channel), b.index(0));
    product.lda = b.index(conv.strideW * conv.c);
    product.aTap = b.index(conv.dilationW * conv.c);
    product.bPanel = b.index(panelElements());
    product.bTap = b.index(panels() * panelElements());
    product.taps = b.index(conv.kernelW);
    product.k = k;
    product.ldc = b.index(accumulatorStride());
    Value tapOffset =
        b.mul(filterRow, conv.kernelW * panels() * panelElements());
    Value panelBase = b.offsetPointer(
        packed, b.add(tapOffset, b.mul(channel, kPanelColumns)), filterStored);
    auto atRow = [&](Value row, Value panel, int64_t count) {
      Product moved = product;
      Value stripRow =
          b.add(b.mul(row, conv.strideH), b.mul(filterRow, conv.dilationH));
      moved.a = b.offsetPointer(
          strip(), b.add(b.mul(stripRow, blocking.stripW * conv.c), channel),
          inputStored);
      moved.b = b.offsetPointer(panelBase, b.mul(panel, panelElements()),
                                filterStored);
      Value place = b.add(b.mul(row, blocking.maxWidth * accumulatorStride()),
                          b.mul(panel, kPanelColumns));
      moved.c =
          b.offsetPointer(accumulators(), place, microkernel.accumulator());
      microkernel.emit(b, moved, width, blocking.lastWidth % kRowGranule,
                       count);
    };
    // Two panels at a time: wide registers take both at once.
    Value pairs = b.mul(b.divFloor(numPanels, 2), 2);
    b.loop(b.index(0), pairs, 2, [&](Value panel) {
      b.loop(b.index(0), rows, 1, [&](Value row) { atRow(row, panel, 2); });
    });
    if (panels() % 2)
      b.loop(pairs, numPanels, 1, [&](Value panel) {
        b.loop(b.index(0), rows, 1, [&](Value row) { atRow(row, panel, 1); });
      });
  }

  void emitStore(Value image, Value firstOutY, Value firstOutX, Value rows,
                 Value width, Value firstPanel, size_t firstInput) {
    b.loop(b.index(0), rows, 1, [&](Value row) {
      EpilogueTile tile;
      tile.type =
          chunkBlocks ? Type(b.getF64Type()) : microkernel.accumulator();
      tile.accumulators = b.offsetPointer(
          chunkBlocks ? wideSums() : accumulators(),
          b.mul(row, blocking.maxWidth * accumulatorStride()), tile.type);
      if (factorsInput)
        tile.factors = b.pointer(b.input(factorsInput));
      tile.stride = b.index(accumulatorStride());
      Value outRow = b.add(b.mul(image, conv.outH), b.add(firstOutY, row));
      tile.firstRow = b.add(b.mul(outRow, conv.outW), firstOutX);
      tile.rows = width;
      tile.firstColumn = b.mul(firstPanel, kPanelColumns);
      tile.columns = accumulatorStride();
      tile.totalColumns = conv.m;
      emitEpilogueTile(b, epilogue, firstInput, tile);
    });
  }

  void emitItem(Value item) {
    Value segment = b.mod(item, blocking.segments),
          rest = b.divFloor(item, blocking.segments);
    Value rowBlock = b.mod(rest, blocking.rowBlocks);
    rest = b.divFloor(rest, blocking.rowBlocks);
    Value image = b.mod(rest, conv.n), group = b.divFloor(rest, conv.n);
    Value firstOutY = b.mul(rowBlock, blocking.rows),
          firstOutX = b.mul(segment, kSegment);
    Value width = b.index(blocking.lastWidth);
    if (blocking.segments > 1 && blocking.lastWidth != kSegment) {
      Value isLast = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, segment,
                                           b.index(blocking.segments - 1));
      width = arith::SelectOp::create(b, isLast, width, b.index(kSegment));
    }
    Value rows =
        b.min(b.index(blocking.rows), b.sub(b.index(conv.outH), firstOutY));
    emitStrip(image, firstOutY, firstOutX);
    Value firstPanel = b.mul(group, blocking.groupPanels);
    Value numPanels = b.min(b.index(blocking.groupPanels),
                            b.sub(b.index(panels()), firstPanel));
    Value packed =
        b.offsetPointer(b.pointer(b.input(1)),
                        b.mul(firstPanel, panelElements()), filterStored);
    b.loop(0, conv.c, blocking.channelBlock, [&](Value channel) {
      Value k = b.min(b.index(blocking.channelBlock),
                      b.sub(b.index(conv.c), channel));
      b.loop(0, conv.kernelH, 1, [&](Value filterRow) {
        emitProducts(packed, filterRow, channel, k, numPanels, rows, width);
        if (chunkBlocks)
          emitChunkEnd(filterRow, channel, rows);
      });
    });
    emitStore(image, firstOutY, firstOutX, rows, width, firstPanel, 2);
  }
};
} // namespace

static Microkernel chooseMicrokernel(const KernelView &view, Value input,
                                     Value packed,
                                     DispatchBuilder &dispatches) {
  Type filterElement = getElementTypeOrSelf(packed.getType());
  if (getQuantized(input))
    return Microkernel::pairs(dispatches, filterElement);
  return Microkernel(dispatches, getElementTypeOrSelf(input.getType()),
                     filterElement,
                     getComputeType(getElementTypeOrSelf(
                         view.anchor->getResult(0).getType())));
}

Lowered efc::cpu::lowerConvDirect(const KernelView &view, const Conv2d &conv,
                                  OpBuilder &main, DispatchBuilder &dispatches,
                                  const KernelOptions &options) {
  Epilogue epilogue(view);
  if (failed(checkEpilogue(view, epilogue)))
    return FailureOr<SmallVector<Value>>(failure());
  if (epilogue.isGated())
    return FailureOr<SmallVector<Value>>(
        view.root->emitError("the CPU target does not gate convolutions; "
                             "compile without fusing '")
        << view.label() << "'");
  PackSource source = packSourceOf(conv);
  Blocking blocking(conv);
  Value factors;
  Accumulation accumulation;
  if (getQuantized(conv.input)) {
    SummationOrder order{conv.filter, source, blocking.channelBlock,
                         conv.kernelW, getLimit(conv.input.getType())};
    std::optional<Accumulation> proved;
    if (isPairWeight(conv.filter))
      proved = options.bounds->prove(order);
    if (!proved)
      return lowerConvGeneric(view, main, dispatches);
    accumulation = *proved;
    factors =
        createChannelFactors(main, view.root->getLoc(), conv.input.getType(),
                             conv.filter.getType(), conv.m, conv.m);
  }
  Value packed = ef::isConstantExpression(conv.filter)
                     ? packConstant(conv.filter, source, main, options)
                     : packDynamic(conv.filter, source, main, dispatches);
  Microkernel microkernel =
      chooseMicrokernel(view, conv.input, packed, dispatches);
  Type inputStored = getStorageType(getElementTypeOrSelf(conv.input.getType())),
       filterStored = getStorageType(getElementTypeOrSelf(packed.getType()));

  Launch launch{view.root->getLoc(),         "conv",
                labelWith(view, conv.label), view.key(),
                {conv.input, packed},        {}};
  epilogue.collectInputs(launch.inputs);
  if (factors)
    launch.inputs.push_back(factors);
  llvm::append_range(launch.results, view.root->getResultTypes());
  setAccumulation(launch, accumulation, blocking.channelBlock * conv.kernelW);
  launch.work =
      conv.n * blocking.rowBlocks * blocking.segments * blocking.groups;
  int64_t stripBytes =
      llvm::alignTo(blocking.stripH * blocking.stripW * conv.c *
                        inputStored.getIntOrFloatBitWidth() / 8,
                    64);
  int64_t sumBytes = microkernel.accumulatorBytes() +
                     (accumulation.chunkBlocks ? sizeof(double) : 0);
  launch.scratch = stripBytes + blocking.rows * blocking.maxWidth *
                                    blocking.groupPanels * kPanelColumns *
                                    sumBytes;
  launch.macs = conv.macs();
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    DirectEmitter emitter{b,
                          conv,
                          blocking,
                          epilogue,
                          microkernel,
                          inputStored,
                          filterStored,
                          accumulation.chunkBlocks,
                          factors ? launch.inputs.size() - 1 : 0};
    b.forEachWorkItem([&](Value item) { emitter.emitItem(item); });
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
