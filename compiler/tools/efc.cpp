// efc: compiles an ONNX model to an artifact. See docs/cli.md.
#include "compiler/pipeline/Compiler.h"
#include "compiler/pipeline/Diagnostics.h"
#include "compiler/pipeline/Log.h"
#include "compiler/pipeline/Version.h"
#include "compiler/report/Disassembly.h"
#include "compiler/report/Reports.h"
#include "compiler/tools/EfcFlags.h"
#include "targets/exynos_npu/MachineFile.h"
#include "targets/exynos_npu/Predicates.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/WithColor.h"

#include "npu/Encoding.h"
#include "runtime/core/Artifact.h"

using namespace efc;
namespace cl = llvm::cl;

static int fail(const llvm::Twine &message) {
  llvm::WithColor::error(llvm::errs(), "efc") << message << '\n';
  return 1;
}

/// Diagnostics as one line each: where in the user's model, what.
static void printDiagnostic(mlir::Diagnostic &diagnostic, bool isQuiet) {
  using mlir::DiagnosticSeverity;
  llvm::raw_ostream &os = llvm::errs();
  DiagnosticSeverity severity = diagnostic.getSeverity();
  if (isQuiet && severity != DiagnosticSeverity::Error)
    return;
  if (severity == DiagnosticSeverity::Error)
    llvm::WithColor::error(os, "efc");
  else if (severity == DiagnosticSeverity::Warning)
    llvm::WithColor::warning(os, "efc");
  else
    llvm::WithColor::note(os, "efc");
  os << toText(diagnostic) << '\n';
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    llvm::WithColor::note(os, "efc") << note << '\n';
}

static int inspect(const std::string &path) {
  auto artifact = efrt::Artifact::open(path);
  if (!artifact)
    return fail(artifact.status().message());
  llvm::outs() << efrt::describe(*artifact);
  return 0;
}

static int disassemble(const std::string &path) {
  auto artifact = efrt::Artifact::open(path);
  if (!artifact)
    return fail(artifact.status().message());
  if (artifact->npuPrograms.empty())
    return fail("'" + path +
                "' has no commands for an NPU; it was compiled for the CPU "
                "alone");
  llvm::outs() << "machine " << artifact->npuMachine.name
               << llvm::format(", %.0f MHz; times are simulated, in cycles\n\n",
                               artifact->npuMachine.clockHz / 1e6);
  for (const efrt::ArtifactNpuProgram &entry : artifact->npuPrograms) {
    auto program = efrt::npu::decodeProgram(entry.commands);
    if (!program)
      return fail("'" + path + "': " + program.status().message());
    std::vector<efrt::npu::Event> events;
    if (!entry.schedule.empty()) {
      auto decoded = efrt::npu::decodeSchedule(entry.schedule, *program);
      if (!decoded)
        return fail("'" + path + "': " + decoded.status().message());
      events = std::move(*decoded);
    }
    printProgram(entry.name, *program, events, llvm::outs());
  }
  return 0;
}

static int printMachine(const EfcFlags &flags) {
  llvm::Expected<npu::MachineFile> file =
      npu::loadMachine(flags.machine.empty() ? npu::defaultMachine.str()
                                             : flags.machine.getValue(),
                       std::vector<std::string>(flags.machineSettings.begin(),
                                                flags.machineSettings.end()));
  if (!file)
    return fail(llvm::toString(file.takeError()));
  npu::printMachine(*file, llvm::outs());
  return 0;
}

static int compileModel(const EfcFlags &flags) {
  llvm::Expected<CompileOptions> options = toOptions(flags);
  if (!options)
    return fail(llvm::toString(options.takeError()));
  mlir::DialectRegistry registry;
  registerAll(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  context.printOpOnDiagnostic(false); // IR is no part of the user's model.
  bool isQuiet = flags.quiet;         // Linking resets the flags.
  context.getDiagEngine().registerHandler([&](mlir::Diagnostic &diagnostic) {
    printDiagnostic(diagnostic, isQuiet);
  });
  CompileReport report;
  if (failed(compile(context, flags.input, outputPath(flags, *options),
                     *options, report)))
    return 1;
  if (report.artifactBytes > 0 && !isQuiet)
    printSummary(report, llvm::errs());
  return 0;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  EfcFlags flags;
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter(
      [](llvm::raw_ostream &os) { os << "efc " EFC_VERSION "\n"; });
  cl::ParseCommandLineOptions(
      argc, argv,
      "efc compiles ONNX models for phones' NPUs and for CPUs.\n\n"
      "  efc unet.onnx --target=cpu -o unet.efa\n"
      "  efc unet.onnx --target=exynos-npu --report=unet-report\n"
      "  efc detector.onnx --dim batch=1 --compile-to=fused\n");
  if (!setLogLevel(flags.logLevel))
    return fail("--log-level=" + flags.logLevel +
                " is unknown; choose debug, info, warning or off");
  if (!flags.inspect.empty())
    return inspect(flags.inspect);
  if (!flags.disassemble.empty())
    return disassemble(flags.disassemble);
  if (flags.printMachine)
    return printMachine(flags);
  if (flags.supportedOps) {
    npu::printSupportedOps(llvm::outs());
    return 0;
  }
  if (flags.input.empty())
    return fail(
        "no model given; try: efc MODEL.onnx --target=cpu -o MODEL.efa");
  return compileModel(flags);
}
