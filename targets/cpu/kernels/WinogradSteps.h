// How many input channels the integer Winograd convolution adds up in int32.
//
// int32 wraps around, which is exact modulo 2^32, so that products and partial
// sums may overflow: it is enough that four times the *result* of the channels
// of a step fits. For any input the weights prove it for a short step
// (Accumulators.h). Longer steps, which cost less, are proved at run time, by
// Cauchy and Schwarz:
//
//   |y|^2 <= sum x^2 * sum w^2
//
// with the sum over the filter's window, at most nine times that of the
// brightest pixel. A launch of its own adds up the squares of each pixel.
#ifndef EFC_TARGETS_CPU_KERNELS_WINOGRADSTEPS_H
#define EFC_TARGETS_CPU_KERNELS_WINOGRADSTEPS_H

#include "targets/cpu/kernels/Accumulators.h"
#include "targets/cpu/kernels/Conv.h"

namespace efc::cpu {

struct WinogradSteps {
  /// Channels that are transformed at once.
  int64_t block = 0;
  /// Steps of channels, each a part of the block, shortest first; the first is
  /// proved for all inputs.
  llvm::SmallVector<int64_t> channels;
  /// For all steps but the first: the largest energy of a pixel's block of
  /// channels at which it holds.
  llvm::SmallVector<float> energies;
  /// Of the whole sum.
  Accumulation accumulation;

  /// The steps of a convolution, its block at most `mostChannels`; nothing if
  /// even the shortest one might overflow.
  static std::optional<WinogradSteps>
  choose(const Conv2d &conv, int64_t mostChannels, AccumulatorBounds &bounds);

  /// Whether the step is chosen at run time.
  bool isDynamic() const { return channels.size() > 1; }
  /// Whether sums of several steps may have to be added.
  bool splitsChannels(const Conv2d &conv) const {
    return channels.front() < conv.c;
  }
};

/// f32 [blocks, n * h * w]: the sum of squares of each block of channels of a
/// pixel, rounded to nearest a few times.
mlir::Value computeEnergies(const Conv2d &conv, int64_t block,
                            mlir::OpBuilder &main, DispatchBuilder &dispatches);

/// The step (index) for a block of channels, from the energies of the pixels
/// [firstPixel, lastPixel); inputs are the launch's `energies` and `limits`
/// (WinogradSteps::energies).
mlir::Value emitChooseStep(KernelBuilder &b, const WinogradSteps &steps,
                           const Conv2d &conv, size_t energies, size_t limits,
                           mlir::Value blockIndex, mlir::Value firstPixel,
                           mlir::Value lastPixel);

} // namespace efc::cpu

#endif
