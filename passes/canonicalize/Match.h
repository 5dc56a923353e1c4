// What the raising patterns look for again and again: scalar constants,
// operands in either order, single uses.
#ifndef EFC_PASSES_CANONICALIZE_MATCH_H
#define EFC_PASSES_CANONICALIZE_MATCH_H

#include "dialects/ef/EfDialect.h"

#include <optional>
#include <utility>

namespace efc::ef {

inline mlir::RankedTensorType tensorType(mlir::Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType());
}

/// The value that all elements of a constant share (a scalar, or a splat of any
/// shape).
std::optional<double> getScalar(mlir::Value value);

/// The relative error that a constant of this type may have: its rounding, and
/// a little for how exporters computed it.
double getTolerance(mlir::Type elementType);

/// getScalar(value) is `expected` up to the tolerance of its type.
bool isScalar(mlir::Value value, double expected);

/// An operation of `kind`, or null.
UnaryOp getUnary(mlir::Value value, UnaryKind kind);
BinaryOp getBinary(mlir::Value value, BinaryKind kind);

/// `value` = other (kind) scalar, or for commutative kinds also scalar (kind)
/// other, without broadcasting `other`: both parts.
std::optional<std::pair<mlir::Value, double>>
matchScalarOperand(mlir::Value value, BinaryKind kind);

/// The operand of the commutative `op` that is not `known`; null if `known` is
/// none of the two.
mlir::Value getOther(BinaryOp op, mlir::Value known);

/// `value` through any number of casts between float types.
mlir::Value skipFloatCasts(mlir::Value value);

/// The location of an operation that helps to compute the one at `loc`: the
/// same node, but no tensor of the model.
mlir::Location getHelperLoc(mlir::Location loc);

} // namespace efc::ef

#endif
