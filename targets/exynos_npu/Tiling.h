// Model-level tiling as a problem with interchangeable algorithms. A solution
// cuts the list of layers into groups; a group runs tile by tile over ranges of
// positions, and what only its layers use never leaves the scratchpad.
#ifndef EFC_TARGETS_EXYNOSNPU_TILING_H
#define EFC_TARGETS_EXYNOSNPU_TILING_H

#include "npu/Machine.h"
#include "targets/exynos_npu/Layer.h"

#include "mlir/IR/Attributes.h"
#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"

#include <optional>

namespace efc::npu {

/// How one layer runs inside a tile of its group.
struct LayerTiling {
  /// Conv, Matmul: output channels at a time; the weights stream in chunks of
  /// this many (equal to the layer's channels: one chunk). Attention: query
  /// positions at a time within the tile, one head after the other. 0 for
  /// layers that have none.
  int64_t chunk = 0;
  /// Attention, Scores: keys at a time (rows of K that are in the scratchpad);
  /// Attention, Context: channels of V at a time. Fewer than all: streamed anew
  /// for each chunk of query positions.
  int64_t keyChunk = 0, valueChunk = 0;
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
  /// Largest working set without any prefetch: what must fit.
  int64_t scratchBytes = 0;
  /// What prefetching a whole tile ahead would use.
  int64_t prefetchBytes = 0;
  int64_t dramBytes = 0; ///< Estimate of what the DMA moves.

  int64_t numTiles(int64_t positions) const {
    return (positions + tilePositions - 1) / tilePositions;
  }
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

  /// The cheapest way to run layers [first, last) as one group; nothing if that
  /// cannot be or does not fit. `why`, if given, says what was in the way.
  std::optional<Group> bestGroup(int first, int last,
                                 std::string *why = nullptr) const;
  /// Compulsory traffic and MAC-bound cycles; `binds` says which is larger.
  double lowerBoundCycles(std::string *binds = nullptr) const;
};

/// Rules of the machine and of the emitter that say which layers may share a
/// group; tiles > 1 is the stricter question.
bool mayShareGroup(const LayerGraph &graph, int first, int last, bool tiled);

/// Every layer on its own.
llvm::Expected<Tiling> tileLayerByLayer(const TilingProblem &problem);
/// Dynamic programming over the cut points; structurally equal runs of layers
/// are priced once.
llvm::Expected<Tiling> tileByDynamicProgramming(const TilingProblem &problem);

/// "off", "attention", "full".
std::optional<MltMode> parseMltMode(llvm::StringRef name);

/// The decision as an attribute of the partition's function, and back.
mlir::Attribute toAttribute(mlir::MLIRContext &context, const Tiling &tiling);
llvm::FailureOr<Tiling> tilingOf(mlir::func::FuncOp partition);

} // namespace efc::npu

#endif
