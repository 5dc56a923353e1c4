// A work item of the integer Winograd convolution (ConvWinogradInteger.cpp):
// its scratch, and its transformed input.
#ifndef EFC_TARGETS_CPU_KERNELS_WINOGRADINTEGERINPUT_H
#define EFC_TARGETS_CPU_KERNELS_WINOGRADINTEGERINPUT_H

#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/WinogradInteger.h"
#include "targets/cpu/kernels/WinogradSteps.h"
#include "targets/cpu/kernels/WinogradTiles.h"

namespace efc::cpu {

/// How one item computes.
struct IntegerWinogradBlocking : WinogradItems {
  static constexpr int64_t kProducts = winograd2::kProducts,
                           kResults = winograd2::kResults;
  /// Elements of int16 that the transforms of input and filter take at once.
  static constexpr int64_t kTransformLanes = 16;
  static constexpr int64_t kMaxFilterBlock = 160;
  /// Elements between the lines of V and of M beyond their size, so that 16
  /// streams do not fall into one set of the cache.
  static constexpr int64_t kSkew = 32;

  WinogradSteps steps;
  int64_t channelBlock, filterBlock;
  int64_t stepPanels; ///< Panels that the microkernel takes at once.
  bool splitsChannels;
  bool isWide;        ///< Y is binary64.
  bool hasRemainders; ///< Sums of four inputs may be beyond int16.

  IntegerWinogradBlocking(const Conv2d &conv, const CpuVariant &variant,
                          WinogradSteps chosen)
      : WinogradItems(conv, winograd2::kOutput), steps(std::move(chosen)),
        channelBlock(steps.block),
        filterBlock(getEvenBlock(channelBlock, kMaxFilterBlock)),
        stepPanels(std::max<int64_t>(1, int64_t(variant.tileVectors) *
                                            variant.lanes / kPanelColumns)),
        splitsChannels(steps.splitsChannels(conv)),
        isWide(steps.accumulation.bound > INT32_MAX),
        hasRemainders(4 * getLimit(conv.input.getType()) > INT16_MAX) {}

  // Elements of the scratch arrays, in this order: V, its remainders, U
  // (int16), M (int32), a patch (int16), which positions have remainders (int16
  // [16, kTransformLanes]), Y.
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

  int64_t remainderBytes() const { return 2 * inputElements(); }
  int64_t filterBytes() const {
    return remainderBytes() + (hasRemainders ? 2 * inputElements() : 0);
  }
  int64_t productBytes() const { return filterBytes() + 2 * filterElements(); }
  int64_t patchBytes() const { return productBytes() + 4 * productElements(); }
  int64_t flagBytes() const { return patchBytes() + 2 * patchElements(); }
  int64_t sumBytes() const {
    return flagBytes() + 2 * kProducts * kTransformLanes;
  }
  int64_t scratchBytes() const {
    return sumBytes() + (isWide ? 8 : 4) * sumElements();
  }
};

/// V[16][tiles][channels] of a block of channels, and what the limits of int16
/// cut off it.
struct IntegerWinogradInput {
  KernelBuilder &b;
  const Conv2d &conv;
  const IntegerWinogradBlocking &blocking;
  mlir::Type i16 = b.getI16Type();
  mlir::VectorType transformed =
      mlir::VectorType::get({IntegerWinogradBlocking::kTransformLanes}, i16);

  WinogradTiles tiling();
  /// V and, where a sum is at a limit of int16, its remainders.
  void emit(mlir::Value firstTile, mlir::Value tiles, mlir::Value channel,
            mlir::Value channels);
  /// How many products the position has: of V, and of its remainders.
  mlir::Value countProducts(mlir::Value position);

private:
  using PatchBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      mlir::Value, const WinogradTiles::Patch &, mlir::ValueRange)>;

  mlir::Value scratch(int64_t bytes);
  mlir::Value flagPointer(mlir::Value position);
  llvm::SmallVector<mlir::Value> loadPatch(const WinogradTiles::Patch &place,
                                           mlir::Value channel);
  /// Calls `body` with (tile, patch) for all tiles, carrying values along.
  llvm::SmallVector<mlir::Value>
  forEachPatch(mlir::Value firstTile, mlir::Value tiles, mlir::Value channel,
               mlir::Value channels, mlir::ValueRange initial, PatchBody body);
  mlir::Value place16(int64_t bytes, int64_t position, mlir::Value t,
                      mlir::Value c);
  llvm::SmallVector<mlir::Value> emitSums(mlir::Value firstTile,
                                          mlir::Value tiles,
                                          mlir::Value channel,
                                          mlir::Value channels);
  void emitRemainders(mlir::Value firstTile, mlir::Value tiles,
                      mlir::Value channel, mlir::Value channels, bool ofSum);
};

} // namespace efc::cpu

#endif
