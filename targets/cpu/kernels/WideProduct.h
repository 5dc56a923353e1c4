// Products of int16 by int16 whose sums need more than 32 bits, exact: of
// attention's exponentials by its values.
//
// The sum p of a few pairs of products fits an int32, of as many as the limits
// of both factors allow. It is added to two accumulators: p itself to `low`,
// modulo 2^32, and p >> 16 to `high`. What the shifts cut off is below 2^16
// each time, so that for at most kMaxSums of them the whole sum is
//
//   65536 high + ((low - 65536 high) mod 2^32)
//
// A is read where it is, B stands in panels of pairs, [k / 2][16][2] as
// Microkernel::pairs has it; k is a multiple of 16, filled up with zeros.
#ifndef EFC_TARGETS_CPU_KERNELS_WIDEPRODUCT_H
#define EFC_TARGETS_CPU_KERNELS_WIDEPRODUCT_H

#include "targets/cpu/KernelBuilder.h"

namespace efc::cpu {

/// Pointers are !llvm.ptr, strides in elements.
struct WideOperands {
  mlir::Value a, lda;
  mlir::Value b, bPanel;
  mlir::Value low, high, ldc; ///< i32, row-major; both are added to.
  mlir::Value rows, k;
};

class WideProduct {
public:
  static constexpr int64_t kMaxSums = 1 << 15;

  /// Of factors whose magnitudes are at most these.
  WideProduct(DispatchBuilder &dispatches, int64_t aLimit, int64_t bLimit);

  /// The largest k of all calls on the same accumulators together.
  int64_t getMaxK() const { return kMaxSums * 2 * pairs; }
  /// The first `columns` columns of B's panels; those that fill the last
  /// register up are computed, too.
  void emit(KernelBuilder &b, const WideOperands &operands,
            int64_t columns) const;

private:
  int64_t chooseRows(int64_t vectors) const;
  mlir::func::FuncOp getBlock(KernelBuilder &b, int64_t rows,
                              int64_t vectors) const;
  void emitPanel(KernelBuilder &b, const WideOperands &operands,
                 int64_t vectors) const;

  DispatchBuilder &dispatches;
  int64_t pairs; ///< Whose sum fits an int32.
};

/// RN of such a sum, vectors of i32 to f64 (exact below 2^53).
mlir::Value emitWideSum(KernelBuilder &b, mlir::Value low, mlir::Value high);

} // namespace efc::cpu

#endif
