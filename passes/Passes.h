// The passes over the `ef` graph, and the pipelines of the phases `canonical`
// and `fused`.
#ifndef EFC_PASSES_PASSES_H
#define EFC_PASSES_PASSES_H

#include "dialects/ef/EfDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace efc {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// Phase `canonical`: raises what exporters break apart, and folds what is
/// constant. For a pass manager of modules.
void buildCanonicalizePipeline(mlir::OpPassManager &pm);

/// Phase `fused`: channels-last, then one operation a kernel. `report` emits a
/// remark on what was fused; `unfused` leaves every operation a kernel of its
/// own. For a pass manager of modules.
void buildFusePipeline(mlir::OpPassManager &pm, bool report = false,
                       bool unfused = false);

} // namespace efc

#endif
