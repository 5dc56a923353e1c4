// See WinogradSteps.h.
#include "targets/cpu/kernels/WinogradSteps.h"

#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ScalarEmitterMath.h"
#include "targets/cpu/kernels/WinogradInteger.h"
#include "targets/cpu/kernels/WinogradTiles.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace efc::cpu;

/// Less than one by more than what rounds the energies and their limits.
static constexpr double kRoundingMargin = 0.999;
static constexpr int64_t kLanes = kPanelColumns;

static SummationOrder orderOf(const Conv2d &conv, int64_t step) {
  return {conv.filter,
          packSourceOf(conv),
          step,
          conv.taps(),
          getLimit(conv.input.getType()),
          winograd2::kResults};
}

std::optional<WinogradSteps> WinogradSteps::choose(const Conv2d &conv,
                                                   int64_t mostChannels,
                                                   AccumulatorBounds &bounds) {
  WinogradSteps result;
  result.block = getEvenBlock(conv.c, mostChannels);
  std::optional<Accumulation> proved;
  SmallVector<int64_t> longer;
  // Pairs of channels are multiplied at once.
  for (int64_t step = result.block;; step /= 2) {
    proved = bounds.prove(orderOf(conv, step));
    if (proved) {
      result.channels.push_back(step);
      break;
    }
    if (step % 4)
      return std::nullopt;
    longer.push_back(step);
  }
  result.accumulation = *proved;
  double largest = INT32_MAX / winograd2::kResults;
  for (int64_t step : llvm::reverse(longer)) {
    auto weights =
        static_cast<double>(bounds.getLargestEnergy(orderOf(conv, step)));
    double window = largest * largest / std::max(weights, 1.0);
    result.channels.push_back(step);
    result.energies.push_back(static_cast<float>(
        window / static_cast<double>(conv.taps()) * kRoundingMargin));
  }
  return result;
}

/// Sum of squares of int16 [channels], a multiple of 16 of them.
static Value emitEnergy(KernelBuilder &b, Value from, Value channels) {
  Type i16 = b.getI16Type();
  auto type = VectorType::get({kLanes}, b.getF32Type());
  FloatMath m(b, type);
  SmallVector<Value> sums =
      emitReductionLoop(b, b.index(0), channels, kLanes, m.constant(0),
                        [&](Value c, ValueRange sums) {
                          Value x = arith::SIToFPOp::create(
                              b, type,
                              b.load(b.offsetPointer(from, c, i16),
                                     VectorType::get({kLanes}, i16)));
                          return SmallVector<Value>{m.fma(x, x, sums[0])};
                        });
  return vector::ReductionOp::create(b, vector::CombiningKind::ADD, sums[0],
                                     arith::FastMathFlags::none);
}

Value efc::cpu::computeEnergies(const Conv2d &conv, int64_t block,
                                OpBuilder &main, DispatchBuilder &dispatches) {
  int64_t pixels = conv.n * conv.h * conv.w,
          blocks = llvm::divideCeil(conv.c, block);
  Launch launch{main.getInsertionPoint()->getLoc(),
                "conv_energies",
                conv.label + ".energies",
                llvm::formatv("{0} of {1}", block, conv.c),
                {conv.input},
                {RankedTensorType::get({blocks, pixels}, main.getF32Type())}};
  launch.work = conv.n * conv.h;
  auto body = [&](KernelBuilder &b) {
    b.forEachWorkItem([&](Value row) {
      b.loop(0, conv.w, 1, [&](Value x) {
        Value pixel = b.add(b.mul(row, conv.w), x);
        b.loop(0, blocks, 1, [&](Value index) {
          Value first = b.mul(index, block);
          Value from = b.offsetPointer(b.pointer(b.input(0)),
                                       b.add(b.mul(pixel, conv.c), first),
                                       b.getI16Type());
          Value energy = emitEnergy(
              b, from, b.min(b.index(block), b.sub(b.index(conv.c), first)));
          b.store(energy, b.offsetPointer(b.pointer(b.result(0)),
                                          b.add(b.mul(index, pixels), pixel),
                                          b.getF32Type()));
        });
      });
    });
  };
  return dispatches.launch(main, launch, body).front();
}

Value efc::cpu::emitChooseStep(KernelBuilder &b, const WinogradSteps &steps,
                               const Conv2d &conv, size_t energies,
                               size_t limits, Value blockIndex,
                               Value firstPixel, Value lastPixel) {
  Type f32 = b.getF32Type();
  FloatMath m(b, f32);
  Value from =
      b.offsetPointer(b.pointer(b.input(energies)),
                      b.mul(blockIndex, conv.n * conv.h * conv.w), f32);
  Value largest =
      emitReductionLoop(b, firstPixel, lastPixel, 1, m.constant(0),
                        [&](Value pixel, ValueRange found) {
                          Value energy =
                              b.load(b.offsetPointer(from, pixel, f32), f32);
                          return SmallVector<Value>{
                              arith::MaximumFOp::create(b, found[0], energy)};
                        })
          .front();
  Value step = b.index(steps.channels.front());
  for (size_t i = 0; i < steps.energies.size(); ++i) {
    Value holds =
        m.compare(arith::CmpFPredicate::OLE, largest, loadScalar(b, limits, i));
    step =
        arith::SelectOp::create(b, holds, b.index(steps.channels[i + 1]), step);
  }
  return step;
}
