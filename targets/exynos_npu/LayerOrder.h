// The order in which layers run.
#ifndef EFC_TARGETS_EXYNOSNPU_LAYERORDER_H
#define EFC_TARGETS_EXYNOSNPU_LAYERORDER_H

#include "targets/exynos_npu/Layer.h"

namespace efc::npu {

/// Moves to the front what is small and needs nothing but the partition's
/// inputs: the projections of a text's tokens and of the timestep. In the
/// network's own order they stand between the layers of a block and would cut
/// its tiled group in two.
void hoistSmallLayers(LayerGraph &graph);

} // namespace efc::npu

#endif
