// What a compile did, for people: the data behind the summary on the terminal
// and the files of --report. Times of the NPU are simulated.
#ifndef EFC_COMPILER_REPORT_COMPILEREPORT_H
#define EFC_COMPILER_REPORT_COMPILEREPORT_H

#include "npu/Timing.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace efc {

/// A partition as it stands in the artifact (decoded from its bytes), and when
/// the event model saw each command run.
struct NpuPartition {
  std::string name; ///< "npu_0"
  efrt::npu::Program program;
  efrt::npu::Timeline timeline;
  uint64_t scratchPeakBytes = 0; ///< Most bytes of it that are in use at once.
};

/// An operation that the NPU does not run.
struct CpuNode {
  std::string node;   ///< ONNX node.
  std::string op;     ///< "gather"
  std::string reason; ///< The constraint that failed.
};

/// How the CPU code of a quantised layer adds up.
struct AccumulatorReport {
  std::string node, op;
  uint64_t bound = 0; ///< Largest |sum| that the real weights allow.
  uint64_t chunk = 0; ///< Products that are summed in 32 bits at a time.
};

/// Estimates of the tiling's cost model, in cycles, over all partitions.
struct NpuEstimates {
  double lowerBound = 0;   ///< No schedule is faster.
  std::string binds;       ///< What that bound is made of: the resource.
  double tiled = 0;        ///< The tiling that was chosen.
  double layerByLayer = 0; ///< Without model-level tiling.
};

struct NpuReport {
  efrt::npu::Machine machine;
  std::string mlt; ///< "off", "attention" or "full".
  std::vector<NpuPartition> partitions;
  NpuEstimates estimates;
  std::vector<CpuNode> cpuNodes;
};

struct CompileReport {
  std::string model; ///< The input file.
  std::vector<std::pair<std::string, double>> phaseSeconds;
  size_t numOnnxNodes = 0, numOperations = 0, numDispatches = 0, numKernels = 0;
  uint64_t weightBytes = 0, arenaBytes = 0, artifactBytes = 0;
  std::vector<std::string> variants;
  std::vector<AccumulatorReport> accumulators;
  std::optional<NpuReport> npu; ///< There if the target has an NPU.
};

} // namespace efc

#endif
