// Drives the phases. See Compiler.h.
#include "compiler/pipeline/Compiler.h"

#include "compiler/import/OnnxImporter.h"
#include "compiler/pipeline/CodeEmission.h"
#include "compiler/pipeline/Report.h"
#include "dialects/ef/EfDialect.h"
#include "passes/Passes.h"
#include "targets/cpu/CpuVariant.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <chrono>

using namespace mlir;
using namespace efc;

namespace {
/// One compile: the state that the phases hand on.
class Compilation {
public:
  Compilation(MLIRContext &context, StringRef input, StringRef output,
              const CompileOptions &options, CompileReport &report)
      : context(context), input(input), output(output), options(options),
        report(report) {}

  LogicalResult run();

private:
  LogicalResult load();
  LogicalResult runPhase(Phase phase);
  LogicalResult runPasses(llvm::function_ref<void(OpPassManager &)> build);
  LogicalResult finishPhase(Phase phase);
  LogicalResult writeIr(StringRef path);
  InFlightDiagnostic error() { return emitError(UnknownLoc::get(&context)); }

  MLIRContext &context;
  StringRef input, output;
  const CompileOptions &options;
  CompileReport &report;
  OwningOpRef<ModuleOp> module;
  OwningOpRef<ModuleOp> fused; ///< Kept for the code of further variants.
};
} // namespace

static size_t countOperations(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return 0;
  return llvm::count_if(main.getBody().front(), [](Operation &op) {
    return !isa<ef::ConstantOp, ef::WeightOp, func::ReturnOp>(op);
  });
}

LogicalResult Compilation::load() {
  if (input.ends_with(".mlir")) {
    module = parseSourceFile<ModuleOp>(input, &context);
    return success(module.get() != nullptr);
  }
  if (options.from != Phase::Import)
    return error() << "--compile-from=" << nameOf(options.from)
                   << " needs the IR of that phase (a .mlir file from "
                      "--dump-phases-to), not '"
                   << input << "'";
  ImportOptions importOptions;
  importOptions.dims = options.dims;
  importOptions.inputShapes = options.inputShapes;
  module = importOnnx(context, input, importOptions);
  return success(module.get() != nullptr);
}

LogicalResult
Compilation::runPasses(llvm::function_ref<void(OpPassManager &)> build) {
  PassManager pm(&context);
  if (!options.crashReproducer.empty())
    pm.enableCrashReproducerGeneration(options.crashReproducer);
  if (options.timing)
    pm.enableTiming();
  build(pm);
  return pm.run(*module);
}

LogicalResult Compilation::runPhase(Phase phase) {
  switch (phase) {
  case Phase::Import:
    report.numOnnxNodes = countOperations(*module);
    return success();
  case Phase::Canonical:
    return runPasses([](OpPassManager &pm) { buildCanonicalizePipeline(pm); });
  case Phase::Fused:
    return runPasses([&](OpPassManager &pm) {
      buildFusePipeline(pm, options.fusionReport, options.keepUnfused);
    });
  case Phase::Scheduled: {
    report.numOperations = countOperations(*module);
    fused = OwningOpRef<ModuleOp>(module->clone());
    llvm::Expected<std::vector<cpu::CpuVariant>> variants =
        cpu::selectVariants(options.cpu);
    if (!variants)
      return error() << llvm::toString(variants.takeError());
    return scheduleForCpu(*module, variants->front().name, options);
  }
  case Phase::Code:
    return emitCpuArtifact(*fused, *module, output, options, report);
  }
  llvm_unreachable("all phases are handled");
}

LogicalResult Compilation::writeIr(StringRef path) {
  llvm::Error failure = llvm::writeToOutput(path, [&](raw_ostream &os) {
    OpPrintingFlags flags;
    flags.enableDebugInfo();
    module->print(os, flags);
    return llvm::Error::success();
  });
  if (failure)
    return error() << "cannot write '" << path
                   << "': " << llvm::toString(std::move(failure));
  return success();
}

LogicalResult Compilation::finishPhase(Phase phase) {
  if (!options.dumpPhasesTo.empty() && phase != Phase::Code) {
    if (std::error_code code =
            llvm::sys::fs::create_directories(options.dumpPhasesTo))
      return error() << "cannot create the folder '" << options.dumpPhasesTo
                     << "': " << code.message();
    SmallString<128> path(options.dumpPhasesTo);
    llvm::sys::path::append(path, std::to_string(static_cast<int>(phase)) +
                                      "-" + nameOf(phase) + ".mlir");
    if (failed(writeIr(path)))
      return failure();
  }
  return phase == options.to && phase != Phase::Code ? writeIr(output)
                                                     : success();
}

LogicalResult Compilation::run() {
  if (options.target != "cpu")
    return error() << "--target=" << options.target
                   << " is not a target of this build; choose cpu";
  if (options.from > options.to)
    return error() << "--compile-from=" << nameOf(options.from)
                   << " comes after --compile-to=" << nameOf(options.to);
  if (options.from > Phase::Fused)
    return error() << "--compile-from=" << nameOf(options.from)
                   << " is not possible: start from fused or earlier";
  auto start = std::chrono::steady_clock::now();
  auto closePhase = [&](StringRef name) {
    auto now = std::chrono::steady_clock::now();
    report.phaseSeconds.push_back(
        {name.str(), std::chrono::duration<double>(now - start).count()});
    start = now;
  };
  if (failed(load()))
    return failure();
  for (int index = static_cast<int>(options.from);
       index <= static_cast<int>(options.to); ++index) {
    Phase phase = static_cast<Phase>(index);
    // IR that was loaded is that of its phase already: only an import has work
    // left, its count.
    bool isLoaded = phase == options.from && input.ends_with(".mlir") &&
                    phase != Phase::Import;
    if (!isLoaded && failed(runPhase(phase)))
      return failure();
    if (failed(finishPhase(phase)))
      return failure();
    closePhase(nameOf(phase));
  }
  if (options.reportPath.empty())
    return success();
  if (llvm::Error failure = writeReport(report, options.reportPath))
    return error() << "cannot write the report '" << options.reportPath
                   << "': " << llvm::toString(std::move(failure));
  return success();
}

LogicalResult efc::compile(MLIRContext &context, StringRef input,
                           StringRef output, const CompileOptions &options,
                           CompileReport &report) {
  return Compilation(context, input, output, options, report).run();
}
