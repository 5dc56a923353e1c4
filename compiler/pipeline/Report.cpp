// See Report.h.
#include "compiler/pipeline/Report.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

using namespace efc;
using namespace llvm;

Error efc::writeReport(const CompileReport &report, StringRef path) {
  json::Object phases;
  for (const auto &[name, seconds] : report.phaseSeconds)
    phases[name] = seconds;
  json::Object root{{"phase_seconds", std::move(phases)},
                    {"onnx_nodes", report.numOnnxNodes},
                    {"operations", report.numOperations},
                    {"dispatches", report.numDispatches},
                    {"kernels", report.numKernels},
                    {"weight_bytes", report.weightBytes},
                    {"arena_bytes", report.arenaBytes},
                    {"artifact_bytes", report.artifactBytes},
                    {"variants", json::Array(report.variants)}};
  return writeToOutput(path, [&](raw_ostream &os) {
    os << formatv("{0:2}\n", json::Value(std::move(root)));
    return Error::success();
  });
}

void efc::printSummary(const CompileReport &report, raw_ostream &os) {
  double total = 0;
  for (const auto &[name, seconds] : report.phaseSeconds)
    total += seconds;
  os << report.numOnnxNodes << " ONNX operations -> " << report.numOperations
     << " fused -> " << report.numDispatches << " launches of "
     << report.numKernels << " kernels\n";
  os << format("weights %.1f MB, intermediates %.1f MB, artifact %.1f MB (",
               report.weightBytes / 1e6, report.arenaBytes / 1e6,
               report.artifactBytes / 1e6)
     << join(report.variants, ", ") << format("), %.1f s:", total);
  for (const auto &[name, seconds] : report.phaseSeconds)
    os << ' ' << name << format(" %.1f", seconds);
  os << '\n';
}
