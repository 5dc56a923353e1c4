// Registers what the phases use.
#include "compiler/pipeline/Compiler.h"

#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/EfDialect.h"
#include "dialects/npu/NpuDialect.h"
#include "passes/Passes.h"
#include "targets/cpu/ObjectEmitter.h"
#include "targets/cpu/Passes.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"

using namespace efc;

void efc::registerAll(mlir::DialectRegistry &registry) {
  registry.insert<ef::EfDialect, cpu::CpuDialect, npu::NpuDialect>();
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  cpu::initializeObjectEmission(registry);
}
