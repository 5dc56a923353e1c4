// edgefusion._efc: the compiler's C++ API for Python. edgefusion/compiler.py is
// the public face; this file only converts.
#include "compiler/pipeline/Compiler.h"
#include "compiler/pipeline/Diagnostics.h"
#include "compiler/report/Reports.h"

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

} // namespace

/// `arguments` are those of edgefusion.compile, all of them.
static efc::CompileOptions toOptions(const py::kwargs &arguments) {
  auto text = [&](const char *name) {
    return arguments[name].cast<std::string>();
  };
  efc::CompileOptions options;
  options.target = text("target");
  options.quantize = text("quantize");
  options.calibration = text("calibration");
  options.keepFloat = text("keep_float");
  options.listTensors = text("list_tensors");
  options.machine = text("machine");
  options.machineSettings =
      arguments["machine_settings"].cast<std::vector<std::string>>();
  options.mlt = text("mlt");
  options.overlap = arguments["overlap"].cast<bool>();
  options.cpu = text("cpu");
  options.bf16 = text("precision") == "bf16";
  options.winograd = arguments["winograd"].cast<bool>();
  options.keepUnfused = arguments["unfused"].cast<bool>();
  options.reportFolder = text("report");
  for (const auto &[name, extent] :
       arguments["dims"].cast<std::map<std::string, int64_t>>())
    options.dims[name] = extent;
  for (const auto &[name, shape] :
       arguments["input_shapes"]
           .cast<std::map<std::string, std::vector<int64_t>>>())
    options.inputShapes[name] =
        llvm::SmallVector<int64_t>(shape.begin(), shape.end());
  return options;
}

/// With the notes on lines of their own.
static std::string toLines(mlir::Diagnostic &diagnostic) {
  std::string text = efc::toText(diagnostic);
  llvm::raw_string_ostream os(text);
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    os << "\n  " << note;
  return text;
}

/// As compile.json has it.
static py::object toDict(const efc::CompileReport &report) {
  std::string text;
  llvm::raw_string_ostream os(text);
  efc::writeCompileJson(report, os);
  return py::module_::import("json").attr("loads")(text);
}

static py::object compileModel(const std::string &model,
                               const std::string &output,
                               const efc::CompileOptions &options) {
  efc::CompileReport report;
  std::string errors;
  bool failed;
  {
    py::gil_scoped_release release;
    mlir::DialectRegistry registry;
    efc::registerAll(registry);
    mlir::MLIRContext context(registry);
    context.loadAllAvailableDialects();
    context.printOpOnDiagnostic(false);
    std::mutex mutex; // Passes report from several threads.
    context.getDiagEngine().registerHandler([&](mlir::Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() != mlir::DiagnosticSeverity::Error)
        return;
      std::lock_guard<std::mutex> lock(mutex);
      errors += (errors.empty() ? "" : "\n") + toLines(diagnostic);
    });
    failed =
        mlir::failed(efc::compile(context, model, output, options, report));
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
         const py::kwargs &options) {
        return compileModel(model, output, toOptions(options));
      },
      py::arg("model"), py::arg("output"),
      "Compiles `model` to the artifact `output` and returns what the compile "
      "did, as compile.json has it; raises CompileError.");
}
