// Passes of the exynos-npu target.
#ifndef EFC_TARGETS_EXYNOSNPU_PASSES_H
#define EFC_TARGETS_EXYNOSNPU_PASSES_H

#include "dialects/npu/NpuDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace efc::npu {

#define GEN_PASS_DECL
#include "targets/exynos_npu/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "targets/exynos_npu/Passes.h.inc"

} // namespace efc::npu

#endif
