// The register-blocked matrix product that every dense kernel calls: rows x
// columns of accumulators stay in registers over all of K.
//
//   acc[row, column] (+)= sum over taps t, k of  A[t * aTap + row * lda + k] *
//   B[t * bTap + panel(column) * bPanel + k * 16 + column % 16]
//
// A is read where it is (each element broadcast from memory, so that an
// activation needs no packing: lda is its row stride, a tap its shift); B
// stands in panels of kPanelColumns columns (cpu.pack). All strides are in
// elements. The element types of A, B and of the accumulators are parameters:
// operands are widened as they are loaded, so half-precision and integer
// products take this same path.
//
// Microkernel::pairs is the product of int16 by int8 or int16 in int32: B
// stands with two steps of k side by side, [k / 2][16][2] (an odd k is filled
// up with zeros), so that one instruction does both. An even step of k starts
// at k * 16 as in the other products, and an odd number of steps reads nothing
// beyond A's last element. Sums wrap around as two's complement: that none
// does is the caller's proof.
//
// The blocks are private functions of the module, shared by its kernels:
// tileRows rows (and each smaller number that some matrix's height needs) by
// the columns of tileVectors registers. They compute the same sums in the same
// order, whatever the block: a result's bits depend on neither.
#ifndef EFC_TARGETS_CPU_KERNELS_MICROKERNEL_H
#define EFC_TARGETS_CPU_KERNELS_MICROKERNEL_H

#include "targets/cpu/KernelBuilder.h"

namespace efc::cpu {

/// Rows of every work item's block are a multiple of this: of the tile heights
/// of all variants (6 and 14), which share one schedule.
inline constexpr int64_t kRowGranule = 42;

/// One product as a kernel asks for it; values are !llvm.ptr (a, b, c), i1
/// (accumulate) or index. Null strides are 0, null taps are 1.
struct Product {
  mlir::Value a, lda, aTap;
  mlir::Value b, bPanel, bTap;
  mlir::Value c, ldc; ///< Accumulators in scratch, row-major.
  mlir::Value taps, k;
  mlir::Value accumulate; ///< Whether to add to c or to overwrite it.
};

class Microkernel {
public:
  /// The tensors' element types; the accumulators are `acc` (a compute type).
  /// `packed` is B's type in the panels, if it is not its tensor's.
  Microkernel(DispatchBuilder &dispatches, mlir::Type a, mlir::Type b,
              mlir::Type acc);

  /// int16 A by pairs of `b` (i8 or i16, signless), accumulators i32.
  static Microkernel pairs(DispatchBuilder &dispatches, mlir::Type b);

  mlir::Type accumulator() const { return acc; }
  /// Steps of k that a panel holds for `k` of them.
  int64_t alignK(int64_t k) const { return inPairs ? (k + 1) / 2 * 2 : k; }
  int64_t accumulatorBytes() const { return acc.getIntOrFloatBitWidth() / 8; }

  /// All of c[rows, panels * 16]. `rows` may be a run-time value, but rows
  /// modulo kRowGranule must be 0 or `tail` (0 <= tail < kRowGranule). Panels
  /// are walked outside, rows inside: a panel's K x 16 elements should fit the
  /// L1 cache.
  void emit(KernelBuilder &b, const Product &product, mlir::Value rows,
            int64_t tail, mlir::Value panels) const;
  /// As above with a constant number of panels.
  void emit(KernelBuilder &b, const Product &product, mlir::Value rows,
            int64_t tail, int64_t panels) const;

private:
  int64_t panelsPerTile() const;
  mlir::func::FuncOp getBlock(int64_t rows, int64_t panels) const;
  void emitBlock(mlir::func::FuncOp block, int64_t rows, int64_t panels) const;
  void emitRows(KernelBuilder &b, Product product, mlir::Value rows,
                int64_t tail, int64_t panels) const;
  void emitCall(KernelBuilder &b, const Product &product, mlir::Value row,
                int64_t rows, int64_t panels) const;

  DispatchBuilder &dispatches;
  mlir::Type a, b, acc;
  bool inPairs = false;
};

} // namespace efc::cpu

#endif
