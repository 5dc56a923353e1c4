// Names of the phases, and the registration of what they use.
#include "compiler/pipeline/Compiler.h"

#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/EfDialect.h"
#include "passes/Passes.h"
#include "targets/cpu/ObjectEmitter.h"
#include "targets/cpu/Passes.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"

using namespace efc;

static constexpr std::pair<Phase, llvm::StringLiteral> kNames[] = {
    {Phase::Import, "import"},
    {Phase::Canonical, "canonical"},
    {Phase::Fused, "fused"},
    {Phase::Scheduled, "scheduled"},
    {Phase::Code, "code"}};

llvm::StringRef efc::nameOf(Phase phase) {
  return kNames[static_cast<size_t>(phase)].second;
}

std::optional<Phase> efc::parsePhase(llvm::StringRef name) {
  for (auto [phase, phaseName] : kNames)
    if (name == phaseName)
      return phase;
  return std::nullopt;
}

void efc::registerAll(mlir::DialectRegistry &registry) {
  registry.insert<ef::EfDialect, cpu::CpuDialect>();
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  cpu::initializeObjectEmission(registry);
}
