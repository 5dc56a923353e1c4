// The tiles of a Winograd convolution: where they stand, the patches of input
// that they read, the results that they hold.
#ifndef EFC_TARGETS_CPU_KERNELS_WINOGRADTILES_H
#define EFC_TARGETS_CPU_KERNELS_WINOGRADTILES_H

#include "targets/cpu/kernels/Conv.h"

namespace efc::cpu {

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
