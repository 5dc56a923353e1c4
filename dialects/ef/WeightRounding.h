// Rounding of weights to int8 so that errors cancel in sums (docs/numerics.md).
#ifndef EFC_DIALECTS_EF_WEIGHTROUNDING_H
#define EFC_DIALECTS_EF_WEIGHTROUNDING_H

#include <cstdint>

namespace efc::ef {

/// Quantises the weights of one output channel, `count` of them in groups of
/// `groupSize` (a convolution's taps; 1 for a matrix), by scale `scale`. Each
/// weight is rounded to the nearest integer; then, in each group and at last in
/// the whole channel, the weights of the largest errors are rounded the other
/// way until the errors' sum is at most one half.
void roundChannel(const float *weights, int64_t count, int64_t groupSize,
                  float scale, int8_t *result);

} // namespace efc::ef

#endif
