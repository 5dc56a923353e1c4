// Which tensors of @main have memory of their own (the results of launches),
// and which share it: a reshape is an alias of its operand.
#ifndef EFC_TARGETS_CPU_ALIASES_H
#define EFC_TARGETS_CPU_ALIASES_H

#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/EfDialect.h"
#include "dialects/npu/NpuDialect.h"

namespace efc::cpu {

/// A launch of a kernel, or of a partition on the NPU.
inline bool isLaunch(mlir::Operation *op) {
  return mlir::isa_and_present<DispatchOp, npu::LaunchOp>(op);
}

/// The value whose memory `value` is.
inline mlir::Value getAliasRoot(mlir::Value value) {
  while (auto reshape = value.getDefiningOp<ef::ReshapeOp>())
    value = reshape.getInput();
  return value;
}

} // namespace efc::cpu

#endif
