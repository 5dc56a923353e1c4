// What a group of layers needs and costs for one choice of tiles and chunks.
// Used by the algorithms through TilingProblem::bestGroup; the verifier
// (TilingVerify.cpp) does its own sums.
#ifndef EFC_TARGETS_EXYNOSNPU_GROUPCOST_H
#define EFC_TARGETS_EXYNOSNPU_GROUPCOST_H

#include "targets/exynos_npu/Tiling.h"

namespace efc::npu {

/// Bytes of the scratchpad that a group may plan with: the rest covers
/// alignment and fragmentation.
int64_t planningBudget(const efrt::npu::Machine &machine);

/// Positions that a layer's tiles cut: of its result, of the input for
/// GroupStats, heads x queries for the three parts of an attention.
int64_t workPositions(const LayerGraph &graph, const Layer &layer);
/// A layer's tiles must be whole rows of this many positions.
int64_t tileGranule(const LayerGraph &graph, const Layer &layer);
/// Positions of `tensor` that a tile of `tile` positions of `layer` reads.
int64_t positionsRead(const LayerGraph &graph, const Layer &layer,
                      const Tensor &tensor, int64_t tile);
/// Whether the layer reads, for each row of an image, some rows around it: a
/// convolution whose input has its result's extents. It can follow its input's
/// producer in a tiled group that computes the rows of its halo, too.
bool readsHalo(const LayerGraph &graph, const Layer &layer);
/// Bytes of one output channel's weights (both halves if gated).
int64_t weightBytesPerChannel(const LayerGraph &graph, const Layer &layer);
bool hasWeights(const Layer &layer);
bool isAttentionPart(LayerKind kind);

/// Prices groups of layers [first, last).
class GroupCost {
public:
  GroupCost(const TilingProblem &problem, int first, int last);

  /// Chooses chunks for `tilePositions`, fills in bytes and cycles; false (and
  /// `why`) if it does not fit.
  bool price(Group &group, bool weightsResident, std::string &why) const;

private:
  /// A tensor's buffer inside a tile: alive from layer `begin` to `end`.
  struct Buffer {
    int tensor;
    int begin, end;
    bool isLoaded, isStored;
    int64_t bytes, movedBytes;
  };

  void findReach();
  /// Positions of its work that a tile of the layer has, with halos.
  int64_t tileOf(const Group &group, int index) const;
  std::vector<Buffer> collectBuffers(const Group &group) const;
  bool chooseChunks(Group &group, const std::vector<Buffer> &buffers,
                    bool weightsResident, std::string &why) const;
  int64_t residentBytes(const Group &group) const;
  int64_t streamBytes(const Layer &layer, const LayerTiling &tiling) const;
  void addTraffic(Group &group, const std::vector<Buffer> &buffers,
                  double &dmaCommands, double &exposedBytes) const;
  double layerCycles(const Group &group, int index) const;
  double attentionCycles(const Layer &layer, const LayerTiling &tiling) const;

  const TilingProblem &problem;
  const LayerGraph &graph;
  const efrt::npu::Machine &machine;
  int first, last;
  /// For each layer, the positions beside the group's tile that later layers'
  /// windows read of it, on both sides together.
  std::vector<int64_t> reach;
};

} // namespace efc::npu

#endif
