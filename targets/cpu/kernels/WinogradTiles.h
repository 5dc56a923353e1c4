// The tiles of a Winograd convolution: how work items share them, where they
// stand, the patches of input that they read, the results that they hold.
#ifndef EFC_TARGETS_CPU_KERNELS_WINOGRADTILES_H
#define EFC_TARGETS_CPU_KERNELS_WINOGRADTILES_H

#include "targets/cpu/kernels/Conv.h"
#include "targets/cpu/kernels/Microkernel.h"

namespace efc::cpu {

/// The items of a launch, the same for every variant: chunks of tiles times
/// groups of panels.
struct WinogradItems {
  /// Tiles of every chunk but the last.
  static constexpr int64_t kChunk = 2 * kRowGranule;

  int64_t tilesY, tilesX, tiles;
  int64_t chunks, lastTiles, maxTiles;
  int64_t panels, groupPanels, groups;

  /// `output`: edge of a tile of results.
  WinogradItems(const Conv2d &conv, int64_t output);

  /// What an item computes.
  struct Item {
    mlir::Value firstTile, tiles, firstPanel, panels;
  };
  Item locate(KernelBuilder &b, mlir::Value item) const;
};

/// `size` in equal blocks of at most about `most`, in multiples of 16.
int64_t getEvenBlock(int64_t size, int64_t most);

struct WinogradTiles {
  KernelBuilder &b;
  const Conv2d &conv;
  int64_t output, input;    ///< Edge of a tile of results, and of its patch.
  int64_t tilesY, tilesX;   ///< Of an image.
  mlir::Type stored;        ///< The input's elements in memory.
  mlir::Value patchScratch; ///< For input * input * patchChannels elements.
  int64_t patchChannels;

  /// The image of a tile, and the first row and column of its results.
  struct Tile {
    mlir::Value image, y, x;
  };
  Tile locate(mlir::Value tile);

  /// A patch: its first element, and its strides in elements.
  struct Patch {
    mlir::Value pointer, row, pixel;
  };
  /// Channels [channel, channel + channels) of a tile's patch: in the input
  /// or, where it reaches over the border, a copy with zeros outside.
  Patch emitPatch(const Tile &tile, mlir::Value channel, mlir::Value channels);

  /// Calls `body` with (index of the result in its tile, row of the result
  /// seen as a matrix) for those inside the image: one copy of its code.
  void forEachResult(const Tile &tile,
                     llvm::function_ref<void(mlir::Value, mlir::Value)> body);

private:
  mlir::Value pixelPointer(mlir::Value image, mlir::Value y, mlir::Value x,
                           mlir::Value channel);
  void emitCopy(mlir::Value image, mlir::Value firstY, mlir::Value firstX,
                mlir::Value channel, mlir::Value channels);
};

} // namespace efc::cpu

#endif
