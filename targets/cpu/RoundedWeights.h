// The integers of a compile's quantised weights. Rounding takes seconds for a
// large model, and their users are apart: each machine variant proves bounds of
// sums from them (kernels/Accumulators.h), and the writer of the artifact packs
// them. So they are kept in the context, a quarter of the model's bytes, until
// they are packed.
#ifndef EFC_TARGETS_CPU_ROUNDEDWEIGHTS_H
#define EFC_TARGETS_CPU_ROUNDEDWEIGHTS_H

#include "dialects/ef/WeightStore.h"

#include <map>
#include <mutex>
#include <vector>

namespace efc::cpu {

class RoundedWeights {
public:
  /// Those of a context: all modules in it share them.
  static RoundedWeights &of(mlir::MLIRContext *context);

  /// The integers of `value`, a constant expression of quantised weights; kept.
  llvm::Expected<ef::HostTensor> get(mlir::Value value, ef::WeightStore &store);
  /// The same for their last user: they are not kept any longer.
  llvm::Expected<ef::HostTensor> take(mlir::Value value,
                                      ef::WeightStore &store);

private:
  /// What an expression computes, whichever module it stands in: its operations
  /// with their attributes, types and operands.
  using Key = std::vector<const void *>;
  static Key keyOf(mlir::Value value, const ef::WeightStore &store);

  std::mutex mutex;
  std::map<Key, ef::HostTensor> kept;
};

} // namespace efc::cpu

#endif
