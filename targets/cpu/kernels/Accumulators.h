// How long an int32 accumulator holds: the proof that a product of int16
// activations and int8 weights does not overflow, from the weights themselves.
//
// The sum of a block of steps is at most L * sum |w|, L the activation's
// largest magnitude. Where the largest such bound over the output channels
// stays below 2^31 for all of K, one int32 accumulator is enough. Elsewhere K
// is cut into chunks, each of which fits, and the chunks' sums are added in
// binary64, which is exact below 2^53.
#ifndef EFC_TARGETS_CPU_KERNELS_ACCUMULATORS_H
#define EFC_TARGETS_CPU_KERNELS_ACCUMULATORS_H

#include "dialects/ef/WeightStore.h"
#include "targets/cpu/KernelBuilder.h"
#include "targets/cpu/kernels/Packing.h"

#include <optional>

namespace efc::cpu {

/// How exact integer sums are accumulated (Accumulators.h).
struct Accumulation {
  int64_t bound = 0;       ///< No sum's magnitude is larger.
  int64_t chunkBlocks = 0; ///< Blocks of K that an int32 takes; 0: all.
};

/// A product as its kernel walks through it. The blocks of K, in order, are
/// for each kBlock steps of k, each tapsPerBlock taps.
struct SummationOrder {
  mlir::Value weight; ///< quant.qcast of a constant expression.
  PackSource source;  ///< Its column n is output channel n.
  int64_t kBlock = 0, tapsPerBlock = 1;
  int64_t limit = 0;  ///< The activation's largest magnitude.
  int64_t factor = 1; ///< What sums are multiplied by in the accumulators.

  int64_t blocks() const;
  /// Steps (taps times k) of a whole block.
  int64_t blockSteps() const { return kBlock * tapsPerBlock; }
};

class AccumulatorBounds {
public:
  explicit AccumulatorBounds(std::string modelDir)
      : store(std::move(modelDir)) {}

  /// The chunks of a product, or nothing if one block alone may overflow. Where
  /// the weights cannot be read, every |w| counts as 127: the writer of the
  /// artifact reports why they cannot.
  std::optional<Accumulation> prove(const SummationOrder &order);
  /// The largest sum of squared weights of a block of the product, over its
  /// output channels and blocks.
  int64_t getLargestEnergy(const SummationOrder &order);

private:
  /// The integers of a weight that stands as its order says; null where they
  /// cannot be read.
  const int8_t *read(const SummationOrder &order);

  ef::WeightStore store;
  /// The last weight and its integers: a kernel that looks for the largest
  /// block that fits asks several times.
  mlir::Value known;
  ef::HostTensor integers;
};

/// What `launch` says of it, to people and in its key; a block has `steps`
/// steps.
void setAccumulation(Launch &launch, const Accumulation &accumulation,
                     int64_t steps);

} // namespace efc::cpu

#endif
