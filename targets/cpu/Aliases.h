// Which tensors of @main share memory: a reshape is an alias of its operand.
#ifndef EFC_TARGETS_CPU_ALIASES_H
#define EFC_TARGETS_CPU_ALIASES_H

#include "dialects/ef/EfDialect.h"

namespace efc::cpu {

/// The value whose memory `value` is.
inline mlir::Value getAliasRoot(mlir::Value value) {
  while (auto reshape = value.getDefiningOp<ef::ReshapeOp>())
    value = reshape.getInput();
  return value;
}

} // namespace efc::cpu

#endif
