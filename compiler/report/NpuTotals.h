// The figures of a whole NPU report, which the summary, compile.json and the
// page all show.
#ifndef EFC_COMPILER_REPORT_NPUTOTALS_H
#define EFC_COMPILER_REPORT_NPUTOTALS_H

#include "compiler/report/LayerStatistics.h"

namespace efc {

/// Sums over the partitions, which run one after another.
struct NpuTotals {
  double cycles = 0;
  uint64_t commands = 0, macs = 0, dramReadBytes = 0, dramWriteBytes = 0;
  uint64_t scratchPeakBytes = 0;              ///< Largest of the partitions.
  std::array<double, kNumEngineKinds> busy{}; ///< Sum over engines of a kind.

  double milliseconds(const efrt::npu::Machine &machine) const {
    return cycles / machine.clockHz * 1e3;
  }
  /// Mean over the engines of a kind, 0..1.
  double utilisation(EngineKind kind, const efrt::npu::Machine &machine) const;
};

/// `layers`: layersOf(report).
NpuTotals totalsOf(const NpuReport &report,
                   const std::vector<LayerStatistics> &layers);

/// MACs a cycle that all tensor engines together reach at the INT8 rate.
double peakMacsPerCycle(const efrt::npu::Machine &machine);

} // namespace efc

#endif
