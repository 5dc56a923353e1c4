// Products of pairs: two steps of k of int16 by int8 or int16, added to int32,
// in the instructions of the variant. The microkernel's inner step.
#ifndef EFC_TARGETS_CPU_KERNELS_PAIRPRODUCT_H
#define EFC_TARGETS_CPU_KERNELS_PAIRPRODUCT_H

#include "targets/cpu/KernelBuilder.h"

namespace efc::cpu {

/// One pair of steps in each of `lanes` lanes: vector<2 * lanes x i16> with the
/// steps of a lane side by side or, where the machine has no instruction for
/// that, the even and the odd steps as vector<lanes x i16> each.
struct PairLanes {
  mlir::Value first, second;
};

/// Loads columns from [lanes][2] elements of type `element` (i8 or i16).
PairLanes loadPairColumns(KernelBuilder &b, mlir::Value pointer,
                          mlir::Type element, int64_t lanes);

/// Two elements of A (int16, at `pointer`) for all lanes; with `isHalf` the
/// second is 0 and is not read.
PairLanes broadcastPair(KernelBuilder &b, mlir::Value pointer, bool isHalf,
                        int64_t lanes);

/// accumulator (vector<lanes x i32>) + the two products of each lane.
mlir::Value multiplyAddPairs(KernelBuilder &b, const PairLanes &x,
                             const PairLanes &y, mlir::Value accumulator);

} // namespace efc::cpu

#endif
