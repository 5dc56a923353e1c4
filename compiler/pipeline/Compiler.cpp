// Drives the phases. See Compiler.h.
#include "compiler/pipeline/Compiler.h"

#include "compiler/import/OnnxImporter.h"
#include "compiler/pipeline/CodeEmission.h"
#include "compiler/pipeline/Log.h"
#include "compiler/pipeline/NpuPhases.h"
#include "compiler/report/Reports.h"
#include "dialects/ef/EfDialect.h"
#include "passes/Passes.h"
#include "targets/cpu/CpuVariant.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
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
  LogicalResult runPhases();
  LogicalResult runPhase(Phase phase);
  LogicalResult quantize();
  LogicalResult listTensors();
  LogicalResult partition();
  LogicalResult schedule();
  LogicalResult prepareNpu();
  LogicalResult runPasses(llvm::function_ref<void(OpPassManager &)> build);
  LogicalResult finishPhase(Phase phase);
  LogicalResult writeIr(StringRef path);
  InFlightDiagnostic error() { return emitError(UnknownLoc::get(&context)); }

  MLIRContext &context;
  StringRef input, output;
  const CompileOptions &options;
  CompileReport &report;
  OwningOpRef<ModuleOp> module;
  /// The IR before the scheduled phase, for the code of further variants.
  OwningOpRef<ModuleOp> unscheduled;
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

LogicalResult Compilation::quantize() {
  return runPasses([&](OpPassManager &pm) {
    EfcQuantizeOptions quantization;
    quantization.weightsOnly = options.quantize == "w8";
    quantization.calibration = options.calibration;
    quantization.keepFloat = options.keepFloat;
    pm.addPass(createEfcQuantize(quantization));
  });
}

LogicalResult Compilation::listTensors() {
  return runPasses([&](OpPassManager &pm) {
    EfcQuantizeOptions listing;
    listing.keepFloat = options.keepFloat;
    listing.listTensors = options.listTensors;
    pm.addPass(createEfcQuantize(listing));
  });
}

LogicalResult Compilation::partition() {
  if (failed(runPasses([](OpPassManager &pm) { buildPartitionPipeline(pm); })))
    return failure();
  report.npu->cpuNodes = collectCpuNodes(*module);
  return success();
}

LogicalResult Compilation::schedule() {
  unscheduled = OwningOpRef<ModuleOp>(module->clone());
  if (options.isForNpu()) {
    llvm::Expected<NpuEstimates> estimates =
        estimate(*module, report.npu->machine, options.mlt);
    if (!estimates)
      return error() << llvm::toString(estimates.takeError());
    report.npu->estimates = std::move(*estimates);
    if (failed(runPasses(
            [&](OpPassManager &pm) { buildNpuSchedulePipeline(pm, options); })))
      return failure();
  }
  llvm::Expected<std::vector<cpu::CpuVariant>> variants =
      cpu::selectVariants(options.cpu, !options.quantize.empty());
  if (!variants)
    return error() << llvm::toString(variants.takeError());
  return scheduleForCpu(*module, variants->front().name, options);
}

/// What later phases need of the machine, known before the model is read: a
/// wrong machine should not cost a minute.
LogicalResult Compilation::prepareNpu() {
  if (!options.isForNpu())
    return success();
  llvm::Expected<efrt::npu::Machine> machine = loadMachine(options);
  if (!machine)
    return error() << llvm::toString(machine.takeError());
  report.npu.emplace();
  report.npu->machine = std::move(*machine);
  report.npu->mlt = options.mlt;
  return success();
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
  case Phase::Quantized:
    return quantize();
  case Phase::Partitioned:
    return partition();
  case Phase::Tiled:
    return runPasses(
        [&](OpPassManager &pm) { buildTilePipeline(pm, options); });
  case Phase::Scheduled:
    return schedule();
  case Phase::Code:
    return emitArtifact(*unscheduled, *module, output, options, report);
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

LogicalResult Compilation::runPhases() {
  auto start = std::chrono::steady_clock::now();
  if (failed(load()))
    return failure();
  for (Phase phase : phasesOf(options)) {
    if (phase > Phase::Fused && report.numOperations == 0)
      report.numOperations = countOperations(*module);
    // IR that was loaded is that of its phase already: only an import has work
    // left, its count.
    bool isLoaded = phase == options.from && input.ends_with(".mlir") &&
                    phase != Phase::Import;
    if (!isLoaded && failed(runPhase(phase)))
      return failure();
    if (!options.listTensors.empty() && phase == Phase::Fused)
      return listTensors();
    if (failed(finishPhase(phase)))
      return failure();
    auto now = std::chrono::steady_clock::now();
    double seconds = std::chrono::duration<double>(now - start).count();
    report.phaseSeconds.push_back({nameOf(phase).str(), seconds});
    log(LogLevel::Info, "phase " + nameOf(phase) + ": " +
                            llvm::formatv("{0:f2} s", seconds).str());
    start = now;
  }
  return success();
}

LogicalResult Compilation::run() {
  if (llvm::Error problem = check(options))
    return error() << llvm::toString(std::move(problem));
  report.model = input.str();
  if (failed(prepareNpu()) || failed(runPhases()))
    return failure();
  if (options.reportFolder.empty())
    return success();
  module = nullptr; // The reports are made from what is in the artifact.
  if (llvm::Error problem = writeReports(report, options.reportFolder))
    return error() << "cannot write the reports to '" << options.reportFolder
                   << "': " << llvm::toString(std::move(problem));
  return success();
}

LogicalResult efc::compile(MLIRContext &context, StringRef input,
                           StringRef output, const CompileOptions &options,
                           CompileReport &report) {
  return Compilation(context, input, output, options, report).run();
}
