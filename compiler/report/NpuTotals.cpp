// See NpuTotals.h.
#include "compiler/report/NpuTotals.h"

#include <algorithm>

using namespace efc;
using namespace efrt::npu;

double NpuTotals::utilisation(EngineKind kind, const Machine &machine) const {
  double possible = cycles * countOf(kind, machine);
  return possible > 0 ? busy[static_cast<size_t>(kind)] / possible : 0;
}

NpuTotals efc::totalsOf(const NpuReport &report,
                        const std::vector<LayerStatistics> &layers) {
  NpuTotals totals;
  for (const NpuPartition &partition : report.partitions) {
    totals.cycles += partition.timeline.cycles;
    totals.scratchPeakBytes =
        std::max(totals.scratchPeakBytes, partition.scratchPeakBytes);
  }
  for (const LayerStatistics &layer : layers) {
    totals.commands += layer.commands;
    totals.macs += layer.macs;
    totals.dramReadBytes += layer.dramReadBytes;
    totals.dramWriteBytes += layer.dramWriteBytes;
    for (size_t kind = 0; kind < kNumEngineKinds; ++kind)
      totals.busy[kind] += layer.cyclesOf(static_cast<EngineKind>(kind));
  }
  return totals;
}

double efc::peakMacsPerCycle(const Machine &machine) {
  auto peak = [](const TensorEngineSpec &engine) {
    return static_cast<double>(engine.count) * engine.arrayK * engine.arrayN *
           engine.arrayM;
  };
  return peak(machine.gte) + peak(machine.ste);
}
