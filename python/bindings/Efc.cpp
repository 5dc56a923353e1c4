// edgefusion._efc: the compiler's C++ API for Python. edgefusion/compiler.py is
// the public face; this file only converts.
#include "compiler/pipeline/Compiler.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <mutex>
#include <stdexcept>

namespace py = pybind11;

namespace {

/// Becomes Python's edgefusion._efc.CompileError; its text holds the
/// diagnostics, one a line.
struct CompileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct PythonOptions {
  std::string target, cpu, precision, reportFolder;
  bool winograd, unfused;
  std::map<std::string, int64_t> dims;
  std::map<std::string, std::vector<int64_t>> inputShapes;
};

} // namespace

static efc::CompileOptions toOptions(const PythonOptions &from) {
  efc::CompileOptions options;
  options.target = from.target;
  options.cpu = from.cpu;
  options.bf16 = from.precision == "bf16";
  options.winograd = from.winograd;
  options.keepUnfused = from.unfused;
  options.reportFolder = from.reportFolder;
  for (const auto &[name, extent] : from.dims)
    options.dims[name] = extent;
  for (const auto &[name, shape] : from.inputShapes)
    options.inputShapes[name] =
        llvm::SmallVector<int64_t>(shape.begin(), shape.end());
  return options;
}

/// "error: where: what", with the notes on lines of their own.
static std::string toText(mlir::Diagnostic &diagnostic) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (!mlir::isa<mlir::UnknownLoc>(diagnostic.getLocation()))
    os << diagnostic.getLocation() << ": ";
  os << diagnostic;
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    os << "\n  " << note;
  return text;
}

static py::dict toDict(const efc::CompileReport &report) {
  py::dict phases;
  for (const auto &[name, seconds] : report.phaseSeconds)
    phases[py::str(name)] = seconds;
  py::dict result;
  result["phase_seconds"] = phases;
  result["onnx_nodes"] = report.numOnnxNodes;
  result["operations"] = report.numOperations;
  result["dispatches"] = report.numDispatches;
  result["kernels"] = report.numKernels;
  result["weight_bytes"] = report.weightBytes;
  result["arena_bytes"] = report.arenaBytes;
  result["artifact_bytes"] = report.artifactBytes;
  result["variants"] = report.variants;
  return result;
}

static py::dict compileModel(const std::string &model,
                             const std::string &output,
                             const PythonOptions &pythonOptions) {
  efc::CompileReport report;
  std::string errors;
  bool failed;
  {
    py::gil_scoped_release release;
    mlir::DialectRegistry registry;
    efc::registerAll(registry);
    mlir::MLIRContext context(registry);
    context.loadAllAvailableDialects();
    std::mutex mutex; // Passes report from several threads.
    context.getDiagEngine().registerHandler([&](mlir::Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() != mlir::DiagnosticSeverity::Error)
        return;
      std::lock_guard<std::mutex> lock(mutex);
      errors += (errors.empty() ? "" : "\n") + toText(diagnostic);
    });
    failed = mlir::failed(
        efc::compile(context, model, output, toOptions(pythonOptions), report));
  }
  if (failed)
    throw CompileError(errors.empty() ? "'" + model + "' could not be compiled"
                                      : errors);
  return toDict(report);
}

PYBIND11_MODULE(_efc, module) {
  module.doc() = "The compiler: ONNX models to artifacts.";
  py::register_exception<CompileError>(module, "CompileError",
                                       PyExc_RuntimeError);
  module.def(
      "compile",
      [](const std::string &model, const std::string &output,
         const std::string &target, const std::string &cpu,
         const std::string &precision, bool winograd, bool unfused,
         const std::map<std::string, int64_t> &dims,
         const std::map<std::string, std::vector<int64_t>> &inputShapes,
         const std::string &reportFolder) {
        return compileModel(model, output,
                            {target, cpu, precision, reportFolder, winograd,
                             unfused, dims, inputShapes});
      },
      py::arg("model"), py::arg("output"), py::kw_only(), py::arg("target"),
      py::arg("cpu"), py::arg("precision"), py::arg("winograd"),
      py::arg("unfused"), py::arg("dims"), py::arg("input_shapes"),
      py::arg("report"),
      "Compiles `model` to the artifact `output` and returns what the compile "
      "did; raises CompileError.");
}
