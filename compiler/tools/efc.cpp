// efc: compiles an ONNX model to an artifact. See docs/cli.md.
#include "compiler/pipeline/Compiler.h"
#include "compiler/pipeline/Report.h"
#include "compiler/pipeline/Version.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/WithColor.h"

#include "runtime/core/Artifact.h"

using namespace efc;
namespace cl = llvm::cl;

namespace {
cl::OptionCategory category("efc options");

struct Flags {
  cl::opt<std::string> input{
      cl::Positional, cl::desc("MODEL.onnx (or the .mlir file of a phase)"),
      cl::value_desc("input"), cl::cat(category)};
  cl::opt<std::string> output{
      "o",
      cl::desc("Artifact to write; default: the input's name with .efa. With "
               "--compile-to an earlier phase: IR, default "
               "standard output"),
      cl::value_desc("file"), cl::cat(category)};
  cl::opt<std::string> target{"target", cl::desc("Machine kind: cpu"),
                              cl::init("cpu"), cl::value_desc("name"),
                              cl::cat(category)};
  cl::opt<std::string> cpu{
      "cpu",
      cl::desc(
          "Machine to generate code for: host, x86-64-v3, x86-64-v4, "
          "cortex-x4, cortex-a76, generic-armv8; default: "
          "every x86-64 variant, so that the artifact runs on any of them"),
      cl::value_desc("name"), cl::cat(category)};
  cl::opt<std::string> precision{
      "cpu-precision",
      cl::desc("Weights of matrix products and convolutions: f32 or bf16"),
      cl::init("f32"), cl::value_desc("type"), cl::cat(category)};
  cl::opt<bool> winograd{
      "winograd",
      cl::desc("Allow Winograd convolution: up to 4 times fewer "
               "multiplications, slightly different rounding"),
      cl::init(true), cl::cat(category)};
  cl::list<std::string> dims{
      "dim",
      cl::desc("Value of a symbolic dimension, e.g. --dim batch=1; repeatable"),
      cl::value_desc("name=value"), cl::cat(category)};
  cl::list<std::string> shapes{
      "input-shape",
      cl::desc(
          "Shape of an input, e.g. --input-shape image=1x3x48x192; repeatable"),
      cl::value_desc("name=1x2x3"), cl::cat(category)};
  cl::opt<std::string> to{
      "compile-to",
      cl::desc(
          "Stop after a phase: import, canonical, fused, scheduled or code"),
      cl::init("code"), cl::value_desc("phase"), cl::cat(category)};
  cl::opt<std::string> from{
      "compile-from",
      cl::desc("The input is the IR of this phase: import, canonical or fused"),
      cl::init("import"), cl::value_desc("phase"), cl::cat(category)};
  cl::opt<std::string> dump{"dump-phases-to",
                            cl::desc("Folder for the IR of each phase, "
                                     "numbered; each can be compiled on from"),
                            cl::value_desc("folder"), cl::cat(category)};
  cl::opt<std::string> report{"report",
                              cl::desc("Write what the compile did as JSON"),
                              cl::value_desc("file"), cl::cat(category)};
  cl::opt<bool> timing{"timing", cl::desc("Print the time of every pass"),
                       cl::cat(category)};
  cl::opt<bool> fusionReport{
      "fusion-report",
      cl::desc("Print a count of what was fused, and near-misses"),
      cl::cat(category)};
  cl::opt<bool> unfused{"unfused",
                        cl::desc("One kernel an operation: every tensor of the "
                                 "model stays visible to edgefusion verify"),
                        cl::cat(category)};
  cl::opt<std::string> reproducer{
      "crash-reproducer",
      cl::desc("Where MLIR writes a reproducer if a pass fails"),
      cl::value_desc("file"), cl::cat(category)};
  cl::opt<std::string> inspect{
      "inspect", cl::desc("Print what is in an artifact, and stop"),
      cl::value_desc("file.efa"), cl::cat(category)};
  cl::opt<bool> quiet{"quiet", cl::desc("Print errors only"),
                      cl::cat(category)};
};
} // namespace

static bool fail(const llvm::Twine &message) {
  llvm::WithColor::error(llvm::errs(), "efc") << message << '\n';
  return false;
}

static bool parseDims(const cl::list<std::string> &flags,
                      CompileOptions &options) {
  for (llvm::StringRef flag : flags) {
    auto [name, value] = flag.rsplit('=');
    int64_t extent;
    if (name.empty() || value.getAsInteger(10, extent) || extent <= 0)
      return fail(
          "--dim=" + flag +
          ": expected name=value with a positive integer, e.g. --dim=batch=1");
    options.dims[name] = extent;
  }
  return true;
}

static bool parseShapes(const cl::list<std::string> &flags,
                        CompileOptions &options) {
  for (llvm::StringRef flag : flags) {
    auto [name, text] = flag.rsplit('=');
    llvm::SmallVector<llvm::StringRef> parts;
    if (!text.empty())
      text.split(parts, 'x');
    llvm::SmallVector<int64_t> shape;
    for (llvm::StringRef part : parts) {
      int64_t extent;
      if (part.getAsInteger(10, extent) || extent <= 0)
        return fail(
            "--input-shape=" + flag + ": '" + part +
            "' is not a positive integer; expected e.g. image=1x3x48x192");
      shape.push_back(extent);
    }
    if (name.empty() || shape.empty())
      return fail("--input-shape=" + flag + ": expected name=1x3x48x192");
    options.inputShapes[name] = std::move(shape);
  }
  return true;
}

static bool parseOptions(const Flags &flags, CompileOptions &options) {
  options.target = flags.target;
  options.cpu = flags.cpu;
  options.winograd = flags.winograd;
  if (flags.precision != "f32" && flags.precision != "bf16")
    return fail("--cpu-precision=" + flags.precision +
                " is unknown; choose f32 or bf16");
  options.bf16 = flags.precision == "bf16";
  std::optional<Phase> to = parsePhase(flags.to), from = parsePhase(flags.from);
  if (!to || !from)
    return fail(
        "'" + (to ? flags.from : flags.to) +
        "' is not a phase; choose import, canonical, fused, scheduled or code");
  options.to = *to;
  options.from = *from;
  options.dumpPhasesTo = flags.dump;
  options.reportPath = flags.report;
  options.timing = flags.timing;
  options.fusionReport = flags.fusionReport;
  options.keepUnfused = flags.unfused;
  options.crashReproducer = flags.reproducer;
  return parseDims(flags.dims, options) && parseShapes(flags.shapes, options);
}

static std::string outputPath(const Flags &flags,
                              const CompileOptions &options) {
  if (!flags.output.empty())
    return flags.output;
  if (options.to != Phase::Code)
    return "-";
  llvm::SmallString<128> path(flags.input.getValue());
  llvm::sys::path::replace_extension(path, ".efa");
  return path.str().str();
}

/// Diagnostics as one line each: where in the user's model, what.
static void printDiagnostic(mlir::Diagnostic &diagnostic) {
  using mlir::DiagnosticSeverity;
  llvm::raw_ostream &os = llvm::errs();
  switch (diagnostic.getSeverity()) {
  case DiagnosticSeverity::Error:
    llvm::WithColor::error(os, "efc");
    break;
  case DiagnosticSeverity::Warning:
    llvm::WithColor::warning(os, "efc");
    break;
  default:
    llvm::WithColor::note(os, "efc");
  }
  if (!mlir::isa<mlir::UnknownLoc>(diagnostic.getLocation()))
    os << diagnostic.getLocation() << ": ";
  os << diagnostic << '\n';
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    llvm::WithColor::note(os, "efc") << note << '\n';
}

static int inspect(const std::string &path) {
  auto artifact = efrt::Artifact::open(path);
  if (!artifact)
    return fail(artifact.status().message()), 1;
  llvm::outs() << efrt::describe(*artifact);
  return 0;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  Flags flags;
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter(
      [](llvm::raw_ostream &os) { os << "efc " EFC_VERSION "\n"; });
  cl::ParseCommandLineOptions(
      argc, argv,
      "efc compiles ONNX models for phones' NPUs and for CPUs.\n\n"
      "  efc unet.onnx --target=cpu -o unet.efa\n"
      "  efc detector.onnx --dim batch=1 --compile-to=fused\n");
  if (!flags.inspect.empty())
    return inspect(flags.inspect);
  if (flags.input.empty())
    return fail(
               "no model given; try: efc MODEL.onnx --target=cpu -o MODEL.efa"),
           1;
  CompileOptions options;
  if (!parseOptions(flags, options))
    return 1;

  mlir::DialectRegistry registry;
  registerAll(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  context.getDiagEngine().registerHandler(
      [&](mlir::Diagnostic &diagnostic) { printDiagnostic(diagnostic); });
  CompileReport report;
  // Linking runs lld in this process, which resets every cl::opt.
  bool isQuiet = flags.quiet;
  if (failed(compile(context, flags.input, outputPath(flags, options), options,
                     report)))
    return 1;
  if (options.to == Phase::Code && !isQuiet)
    printSummary(report, llvm::errs());
  return 0;
}
