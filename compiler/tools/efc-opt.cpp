// efc-opt: runs single passes on IR text, for tests and for looking into a
// problem.
#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/EfDialect.h"
#include "dialects/npu/NpuDialect.h"
#include "passes/Passes.h"
#include "targets/cpu/Passes.h"
#include "targets/exynos_npu/Passes.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::registerAllPasses();
  efc::registerEfcPasses();
  efc::cpu::registerEfcCpuPasses();
  efc::npu::registerEfcNpuPasses();
  mlir::PassPipelineRegistration<>("efc-canonicalize-pipeline",
                                   "All passes of the phase canonical",
                                   efc::buildCanonicalizePipeline);

  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry
      .insert<efc::ef::EfDialect, efc::cpu::CpuDialect, efc::npu::NpuDialect>();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "efc's single passes\n", registry));
}
