// Text that is equal exactly for runs of layers that cost the same: kinds,
// extents, types, how they are wired; no names, no values. With it a block that
// a network repeats is priced once.
#ifndef EFC_TARGETS_EXYNOSNPU_LAYERSIGNATURE_H
#define EFC_TARGETS_EXYNOSNPU_LAYERSIGNATURE_H

#include "targets/exynos_npu/Layer.h"

namespace efc::npu {

/// Of layers [first, last). Tensors that the run computes itself are named by
/// the distance to their layer, others by their extents; of a result it says
/// whether someone outside reads it.
std::string signatureOf(const LayerGraph &graph, int first, int last);

} // namespace efc::npu

#endif
