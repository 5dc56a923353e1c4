// What reductions and pooling share: the type to accumulate in and the function
// that combines.
#ifndef EFC_TARGETS_CPU_KERNELS_REDUCTIONSCOMMON_H
#define EFC_TARGETS_CPU_KERNELS_REDUCTIONSCOMMON_H

#include "targets/cpu/kernels/ElementwiseLoop.h"
#include "targets/cpu/kernels/Kernels.h"

namespace efc::cpu {

/// An associative reduction of elements of one type. Sums and products of
/// floats accumulate in f64, of integers in 64 bits; extremes in the compute
/// type.
class Accumulator {
public:
  Accumulator(ef::ReduceKind kind, mlir::Type elementType);

  /// The neutral element in all lanes.
  mlir::Value getInitial(KernelBuilder &b, int64_t lanes) const;
  /// A loaded value (compute type) as something to combine.
  mlir::Value widen(KernelBuilder &b, mlir::Value value) const;
  mlir::Value combine(KernelBuilder &b, mlir::Value x, mlir::Value y) const;
  /// The lanes of a vector combined, in a fixed order.
  mlir::Value combineLanes(KernelBuilder &b, mlir::Value vector) const;
  /// The result in the compute type of the elements. `count`, an index, is what
  /// a mean divides by (null otherwise).
  mlir::Value finish(KernelBuilder &b, mlir::Value total,
                     mlir::Value count) const;

private:
  ef::ReduceKind kind;
  mlir::Type elementType;
  mlir::Type accumulationType; ///< Signed or unsigned, as in tensors.
};

/// A tensor seen along one axis: [outer, extent, inner].
struct AxisShape {
  int64_t outer = 1, extent = 1, inner = 1;
  AxisShape(llvm::ArrayRef<int64_t> shape, int64_t axis);
};

// Operations along one axis (ReductionsAxis.cpp).
mlir::FailureOr<llvm::SmallVector<mlir::Value>>
lowerAxisOperation(const KernelView &, mlir::OpBuilder &main,
                   DispatchBuilder &);

} // namespace efc::cpu

#endif
