// A tensor's dimensions as products of the factors of another tensor's
// dimensions.
//
// Exporters move data by chains of reshapes and transposes, in many different
// orders for the same thing. Every chain in which reshapes only split and merge
// dimensions is one permutation of factors: it is that permutation which the
// passes match and rebuild, not the chain.
#ifndef EFC_PASSES_CANONICALIZE_AXISFACTORS_H
#define EFC_PASSES_CANONICALIZE_AXISFACTORS_H

#include "dialects/ef/EfDialect.h"

#include "mlir/IR/Builders.h"

#include <optional>

namespace efc::ef {

/// A list of factors, the major one first. Its extent is their product; that of
/// the empty list is one.
using FactorList = llvm::SmallVector<unsigned, 4>;

class AxisFactors {
public:
  /// `base` itself: every dimension (but those of extent one) is one factor.
  explicit AxisFactors(mlir::Value base);

  /// Follows `value` back through reshapes and transposes (and through casts
  /// between float types and products with scalars if `scale` is given, which
  /// is multiplied by them) to a base. Stops before a reshape that does not
  /// only split and merge.
  static AxisFactors trace(mlir::Value value, double *scale = nullptr);

  mlir::Value getBase() const { return base; }
  llvm::ArrayRef<FactorList> getDims() const { return dims; }
  /// All factors in the base's row-major order.
  llvm::ArrayRef<unsigned> getBaseOrder() const { return order; }
  int64_t getExtent(unsigned factor) const { return extents[factor]; }
  int64_t getExtent(llvm::ArrayRef<unsigned> factors) const;

  /// Splits `list` (factors major to minor) into parts of these extents,
  /// splitting factors where it must; fails, unchanged in meaning, where
  /// extents do not divide.
  std::optional<llvm::SmallVector<FactorList>>
  split(llvm::ArrayRef<unsigned> list, llvm::ArrayRef<int64_t> partExtents);

  /// Applies a reshape or transpose to the view.
  llvm::LogicalResult reshape(llvm::ArrayRef<int64_t> shape);
  void transpose(llvm::ArrayRef<int64_t> permutation);

  /// Operations that emit() would need: transposes, then reshapes.
  std::pair<unsigned, unsigned> cost() const;
  /// Emits the fewest reshapes and transposes that turn the base into the view;
  /// returns the base where there is nothing to do.
  mlir::Value emit(mlir::OpBuilder &builder, mlir::Location loc) const;
  /// The view with other dimensions: `newDims` has every factor once.
  AxisFactors withDims(llvm::ArrayRef<FactorList> newDims) const;
  llvm::SmallVector<int64_t> getShape() const;

private:
  struct Steps;
  Steps planSteps() const;
  unsigned splitFactor(unsigned factor, int64_t minorExtent);

  mlir::Value base;
  llvm::SmallVector<int64_t> extents;
  llvm::SmallVector<unsigned> order;
  llvm::SmallVector<FactorList> dims;
};

} // namespace efc::ef

#endif
