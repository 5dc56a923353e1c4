// Checks that the gathers and scatters share.
#ifndef EFC_DIALECTS_EF_INDEXRANGE_H
#define EFC_DIALECTS_EF_INDEXRANGE_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Operation.h"

namespace efc::ef {

/// `index` in [0, extent), counted from the end if it is negative; a diagnostic
/// at `op` if it lies outside.
inline llvm::FailureOr<int64_t> normalizeIndex(mlir::Operation *op,
                                               int64_t index, int64_t extent,
                                               int64_t dim) {
  int64_t normalized = index < 0 ? index + extent : index;
  if (normalized >= 0 && normalized < extent)
    return normalized;
  return op->emitOpError() << "reads or writes index " << index
                           << " of dimension " << dim << ", which has "
                           << extent << " elements";
}

/// GatherElements and ScatterElements: indices have the data's rank and, off
/// the axis, no larger extents.
inline llvm::LogicalResult checkElementIndices(
    llvm::StringRef name, std::optional<mlir::Location> location,
    mlir::RankedTensorType data, mlir::RankedTensorType indices, int64_t axis) {
  if (axis < 0 || axis >= data.getRank())
    return mlir::emitOptionalError(location, name, " has axis ", axis, ", but ",
                                   data, " has ", data.getRank(),
                                   " dimensions");
  bool fits = indices.getRank() == data.getRank();
  for (int64_t dim = 0; fits && dim < data.getRank(); ++dim)
    fits = dim == axis || indices.getDimSize(dim) <= data.getDimSize(dim);
  if (!fits)
    return mlir::emitOptionalError(
        location, name, " cannot index ", data, " by ", indices,
        ": ranks must be equal, and extents other than that of dimension ",
        axis, " no larger");
  return llvm::success();
}

} // namespace efc::ef

#endif
