// What a compile is asked to do: the phases, and the options of `efc` and
// edgefusion.compile as plain values.
#ifndef EFC_COMPILER_PIPELINE_OPTIONS_H
#define EFC_COMPILER_PIPELINE_OPTIONS_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace efc {

/// In the order in which they run. A phase that does not apply to the options
/// (appliesTo) is left out; the others keep their numbers.
enum class Phase {
  Import,      ///< The ONNX graph in the `ef` dialect.
  Canonical,   ///< What exporters break apart is raised; shape code is gone.
  Fused,       ///< Channels-last, one operation a kernel.
  Quantized,   ///< Integers for floats; only with a quantisation.
  Partitioned, ///< What the NPU runs is in functions; only for an NPU.
  Tiled,       ///< How each of them is cut into tiles; only for an NPU.
  Scheduled,   ///< The target's commands and launches, memory planned.
  Code,        ///< The artifact.
};

/// "import", "canonical", ...
llvm::StringRef nameOf(Phase phase);
std::optional<Phase> parsePhase(llvm::StringRef name);
/// All names, for a sentence: "import, canonical, ... or code".
std::string phaseNames();

struct CompileOptions {
  std::string target = "cpu"; ///< "cpu" or "exynos-npu".

  std::string quantize;    ///< "" for floats, "w8a16", or "w8": weights only.
  std::string calibration; ///< File with the ranges that w8a16 needs.
  std::string keepFloat;   ///< Regular expression: ONNX nodes to leave alone.
  /// Only write to this file which tensors w8a16 needs ranges of (JSON).
  std::string listTensors;

  std::string machine;                      ///< Name or file; "" the default.
  std::vector<std::string> machineSettings; ///< KEY=VALUE, over the file's.
  std::string mlt = "full"; ///< Tiled groups: "off", "attention" or "full".
  bool overlap = true;      ///< Engines and DMA at the same time.

  std::string cpu;   ///< "" all variants, "host", or a name.
  bool bf16 = false; ///< --cpu-precision=bf16
  bool winograd = true;

  llvm::StringMap<int64_t> dims; ///< Values of symbolic dimensions.
  llvm::StringMap<llvm::SmallVector<int64_t>> inputShapes;

  /// The input is the IR of this phase (Import: an ONNX model, or IR of the
  /// import phase in a .mlir file).
  Phase from = Phase::Import;
  Phase to = Phase::Code;
  std::string dumpPhasesTo;    ///< Folder for numbered files, or empty.
  std::string reportFolder;    ///< Folder for the reports, or empty.
  std::string crashReproducer; ///< File for MLIR's crash reproducer, or empty.
  bool timing = false;         ///< Print the time of each pass.
  bool fusionReport = false;   ///< Print what was fused.
  /// No fusion across operations: every tensor of the model stays visible
  /// (edgefusion verify --unfused).
  bool keepUnfused = false;

  bool isForNpu() const { return target == "exynos-npu"; }
};

bool appliesTo(Phase phase, const CompileOptions &options);
/// Those that run: from options.from to options.to.
llvm::SmallVector<Phase> phasesOf(const CompileOptions &options);

/// Whether the options fit together: one sentence on the first that does not.
llvm::Error check(const CompileOptions &options);

} // namespace efc

#endif
