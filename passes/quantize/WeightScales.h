// Scales of int8 weights, from the mapped weights themselves.
#ifndef EFC_PASSES_QUANTIZE_WEIGHTSCALES_H
#define EFC_PASSES_QUANTIZE_WEIGHTSCALES_H

#include "dialects/ef/HostTensor.h"

#include <vector>

namespace efc {

/// max|w| / 127 of every index of `axis` of a float32 tensor (docs/numerics.md:
/// 1 for zeros). Empty if there is a weight that is not finite.
std::vector<float> computeWeightScales(mlir::MLIRContext *context,
                                       const ef::HostTensor &weights,
                                       int32_t axis);

} // namespace efc

#endif
