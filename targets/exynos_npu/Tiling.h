// Model-level tiling as a problem with interchangeable algorithms. A solution
// cuts the list of layers into groups; a group runs tile by tile over ranges of
// positions, and what only its layers use never leaves the scratchpad.
#ifndef EFC_TARGETS_EXYNOSNPU_TILING_H
#define EFC_TARGETS_EXYNOSNPU_TILING_H

#include "npu/Machine.h"
#include "targets/exynos_npu/Layer.h"

#include "llvm/Support/Error.h"
#include "mlir/Support/LLVM.h"

namespace efc::npu {

/// How one layer runs inside a tile of its group.
struct LayerTiling {
  /// Output channels at a time (Conv, Matmul); the weights stream in chunks of
  /// this many. Equal to the layer's channels: one chunk. Attention: query
  /// positions at a time within the tile, one head after the other.
  int64_t chunk = 0;
  /// Weights are loaded once for all tiles of the group.
  bool weightsResident = false;
};

struct Group {
  int first = 0, last = 0; ///< Layers [first, last).
  /// Positions of a tile (the last one may have fewer); all layers of a group
  /// with more than one tile have the same number of positions (except
  /// GroupStats at its end). Multiple of the width where a layer needs rows.
  int64_t tilePositions = 0;
  std::vector<LayerTiling> layers; ///< One for each of [first, last).
  double cycles = 0;               ///< Estimate.
  int64_t scratchBytes = 0;        ///< Largest working set, double buffered.
};

struct Tiling {
  std::vector<Group> groups; ///< In order, covering every layer once.
  double cycles = 0;
};

class TilingProblem {
public:
  TilingProblem(const LayerGraph &graph, const efrt::npu::Machine &machine,
                MltMode mlt)
      : graph(graph), machine(machine), mlt(mlt) {}

  const LayerGraph &graph;
  const efrt::npu::Machine &machine;
  MltMode mlt;

  /// Whether the input can have a solution: every layer alone fits in its
  /// smallest tile. Else what is required and available, the memory map, the
  /// ONNX node and what to do.
  llvm::Error check() const;
  /// Whether `tiling` is a solution: groups cover the layers in order, are
  /// position-local where they are tiled, and fit. Shares no code with the
  /// algorithms.
  llvm::Error verify(const Tiling &tiling) const;

  /// Working set and cost of one group, for the algorithms. `tilePositions` and
  /// chunks given; cycles and scratchBytes are filled in.
  bool price(Group &group) const;
  /// Compulsory traffic and MAC-bound cycles; `binds` says which is larger.
  double lowerBoundCycles(std::string *binds = nullptr) const;
};

/// Every layer on its own.
llvm::Expected<Tiling> tileLayerByLayer(const TilingProblem &problem);
/// Dynamic programming over the cut points; structurally equal runs of layers
/// are priced once.
llvm::Expected<Tiling> tileByDynamicProgramming(const TilingProblem &problem);

} // namespace efc::npu

#endif
