// Exact sums of int16 values and of their squares, which the statistics of
// quantised normalisations are made of, and those statistics.
#ifndef EFC_TARGETS_CPU_KERNELS_NORMSINTEGERSUMS_H
#define EFC_TARGETS_CPU_KERNELS_NORMSINTEGERSUMS_H

#include "targets/cpu/kernels/ScalarEmitterMath.h"

namespace efc::cpu {

/// Sums in int32, scalars or vectors: of q, and of the low and the high 16 bits
/// of q^2. Exact for up to kMaxTerms terms a lane.
struct PartialSums {
  static constexpr int64_t kMaxTerms = 32768;
  mlir::Value sum, low, high;

  /// Zeros of i32 or vector<lanes x i32>.
  static PartialSums zero(KernelBuilder &b, int64_t lanes);
  /// Adds int16 values (scalar or vector).
  PartialSums add(KernelBuilder &b, mlir::Value q) const;
  llvm::SmallVector<mlir::Value> values() const { return {sum, low, high}; }
  static PartialSums of(mlir::ValueRange values) {
    return {values[0], values[1], values[2]};
  }
};

/// Sums of q and of q^2 as i64.
struct IntegerSums {
  mlir::Value sum, squares;
};

/// All lanes of `sums` together.
IntegerSums finishSums(KernelBuilder &b, const PartialSums &sums);

/// The sums over elements [lower, upper) of int16, of which there are at most
/// `maxLength`.
IntegerSums emitIntegerSums(KernelBuilder &b, mlir::Value pointer,
                            mlir::Value lower, mlir::Value upper,
                            int64_t maxLength);

/// Mean of q and t = s / deviation in f64, as numerics::normStatistics.
struct NormStatistics {
  mlir::Value mean, t;
};
NormStatistics emitNormStatistics(KernelBuilder &b, const IntegerSums &sums,
                                  int64_t count, mlir::Value scale,
                                  double epsilon, bool rms);

} // namespace efc::cpu

#endif
