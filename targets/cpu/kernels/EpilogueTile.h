// From accumulators in scratch to the results: the epilogue over a tile of rows
// and columns.
#ifndef EFC_TARGETS_CPU_KERNELS_EPILOGUETILE_H
#define EFC_TARGETS_CPU_KERNELS_EPILOGUETILE_H

#include "targets/cpu/kernels/Epilogue.h"

namespace efc::cpu {

struct EpilogueTile {
  mlir::Value accumulators; ///< !llvm.ptr to [rows, stride] elements of `type`.
  mlir::Value
      gate; ///< The gates' accumulators, laid out alike; null without a gate.
  mlir::Value stride;
  mlir::Type type;
  mlir::Value firstRow, rows; ///< In the anchor's result seen as a matrix.
  mlir::Value firstColumn;    ///< A multiple of the lanes.
  int64_t columns = 0; ///< Of the tile, a multiple of kPanelColumns; those at
                       ///< and beyond `totalColumns` are padding.
  int64_t totalColumns =
      0;               ///< Of the result (half of the anchor's with a gate).
  mlir::Value factors; ///< Exact integer sums are turned into f32 with these
                       ///< (!llvm.ptr to f32, one a column of the anchor's
                       ///< result, the gates' behind the values'); null:
                       ///< the accumulators are values as they are.
  int64_t validColumns =
      0; ///< If not 0: those of the tile that are stored, wherever it stands.
};

/// Stores the tile, vector by vector, and scalar by scalar where the result's
/// width is no multiple of the lanes.
void emitEpilogueTile(KernelBuilder &b, const Epilogue &epilogue,
                      size_t firstInput, const EpilogueTile &tile);

/// The launch inputs [first...] that `epilogue` reads, appended to `inputs`;
/// returns the index of the first.
size_t appendEpilogueInputs(const Epilogue &epilogue,
                            llvm::SmallVectorImpl<mlir::Value> &inputs);

} // namespace efc::cpu

#endif
