// The compiler as a library: what `efc` and the Python package call.
//
// Phases, in order; each phase's IR can be written and compiled on from:
//   import     the ONNX graph in the `ef` dialect
//   canonical  what exporters break apart is raised; shape code is gone
//   fused      channels-last, one operation a kernel
//   scheduled  the target's launches, memory planned
//   code       the artifact
#ifndef EFC_COMPILER_PIPELINE_COMPILER_H
#define EFC_COMPILER_PIPELINE_COMPILER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

#include <optional>
#include <string>
#include <vector>

namespace efc {

enum class Phase { Import, Canonical, Fused, Scheduled, Code };

/// "import", "canonical", ...
llvm::StringRef nameOf(Phase phase);
std::optional<Phase> parsePhase(llvm::StringRef name);

struct CompileOptions {
  std::string target = "cpu";
  std::string cpu;   ///< "" all variants, "host", or a name.
  bool bf16 = false; ///< --cpu-precision=bf16
  bool winograd = true;
  llvm::StringMap<int64_t> dims; ///< Values of symbolic dimensions.
  llvm::StringMap<llvm::SmallVector<int64_t>> inputShapes;
  Phase from =
      Phase::Import; ///< The input is the IR of this phase (Import: an ONNX
                     ///< model, or IR of the import phase in a .mlir file).
  Phase to = Phase::Code;
  std::string dumpPhasesTo;    ///< Folder for numbered files, or empty.
  std::string reportPath;      ///< JSON report, or empty.
  std::string crashReproducer; ///< File for MLIR's crash reproducer, or empty.
  bool timing = false;         ///< Print the time of each pass.
  bool fusionReport = false;   ///< Print what was fused.
  bool keepUnfused =
      false; ///< No fusion across operations: every tensor of the model stays
             ///< visible (edgefusion verify --unfused).
};

/// What a compile did, for people.
struct CompileReport {
  std::vector<std::pair<std::string, double>> phaseSeconds;
  size_t numOnnxNodes = 0, numOperations = 0, numDispatches = 0, numKernels = 0;
  uint64_t weightBytes = 0, arenaBytes = 0, artifactBytes = 0;
  std::vector<std::string> variants;
};

/// Registers every dialect, pass and translation that the compiler uses.
void registerAll(mlir::DialectRegistry &registry);

/// Compiles `input` (.onnx, or .mlir of a phase) to `output`: an artifact, or
/// IR text when options.to is an earlier phase ("-" is standard output). Errors
/// go to the context's diagnostic handler; nothing half-written stays behind.
llvm::LogicalResult compile(mlir::MLIRContext &context, llvm::StringRef input,
                            llvm::StringRef output,
                            const CompileOptions &options,
                            CompileReport &report);

} // namespace efc

#endif
