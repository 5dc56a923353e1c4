// efc-npu-print-supported-ops: docs/supported-ops.md.
#include "targets/exynos_npu/Passes.h"
#include "targets/exynos_npu/Predicates.h"

namespace efc::npu {
#define GEN_PASS_DEF_EFCNPUPRINTSUPPORTEDOPS
#include "targets/exynos_npu/Passes.h.inc"
} // namespace efc::npu

using namespace efc::npu;

namespace {
class PrintSupportedOps
    : public impl::EfcNpuPrintSupportedOpsBase<PrintSupportedOps> {
public:
  void runOnOperation() override {
    std::string page;
    llvm::raw_string_ostream os(page);
    printSupportedOps(os);
    numBytes += page.size();
    llvm::outs() << page;
  }
};
} // namespace
