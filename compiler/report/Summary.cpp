// The summary that `efc` prints after a compile. See Reports.h.
#include "compiler/report/NpuTotals.h"
#include "compiler/report/Reports.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

#include <algorithm>

using namespace efc;
using namespace llvm;

static constexpr size_t kNumCostliest = 5, kNumCpuNodes = 8;

static void printEngines(const NpuTotals &totals,
                         const efrt::npu::Machine &machine, raw_ostream &os) {
  os << "  busy         ";
  for (size_t index = 0; index < kNumEngineKinds; ++index) {
    EngineKind kind = static_cast<EngineKind>(index);
    os << (index ? ", " : "") << nameOf(kind)
       << format(" %.0f%%", totals.utilisation(kind, machine) * 100);
  }
  double peak = peakMacsPerCycle(machine) * totals.cycles;
  os << format("; %.0f%% of the INT8 peak in MACs\n",
               peak > 0 ? totals.macs / peak * 100 : 0);
}

static void printMemory(const NpuTotals &totals,
                        const efrt::npu::Machine &machine, raw_ostream &os) {
  os << format("  DRAM         %.1f MB read, %.1f MB written\n",
               totals.dramReadBytes / 1e6, totals.dramWriteBytes / 1e6)
     << format("  scratchpad   %.2f of %.2f MiB at its fullest\n",
               totals.scratchPeakBytes / 1048576.0,
               machine.scratchpadBytes / 1048576.0);
}

static void printEstimates(const NpuReport &report, const NpuTotals &totals,
                           raw_ostream &os) {
  double toMs = 1e3 / report.machine.clockHz;
  const NpuEstimates &estimates = report.estimates;
  if (estimates.lowerBound > 0)
    os << format("  lower bound  %.3f ms, set by ", estimates.lowerBound * toMs)
       << estimates.binds
       << format("; the schedule takes %.2f times that\n",
                 totals.cycles / estimates.lowerBound);
  if (estimates.layerByLayer > 0 && estimates.tiled > 0)
    os << "  tiling       --mlt=" << report.mlt
       << format(": estimated %.2f times faster than layer by layer "
                 "(%.3f against %.3f ms)\n",
                 estimates.layerByLayer / estimates.tiled,
                 estimates.tiled * toMs, estimates.layerByLayer * toMs);
}

static void printCostliest(const NpuReport &report, const NpuTotals &totals,
                           const std::vector<LayerStatistics> &layers,
                           raw_ostream &os) {
  std::vector<const LayerStatistics *> costliest;
  for (const LayerStatistics &layer : layers)
    costliest.push_back(&layer);
  size_t count = std::min(kNumCostliest, costliest.size());
  std::ranges::partial_sort(costliest, costliest.begin() + count,
                            [](const auto *a, const auto *b) {
                              return std::tie(b->share, a->node, a->op) <
                                     std::tie(a->share, b->node, b->op);
                            });
  os << "  costliest    simulated ms    part  node\n";
  for (const LayerStatistics *layer : ArrayRef(costliest).take_front(count))
    os << format("               %12.3f  %5.1f%%  ",
                 layer->share / report.machine.clockHz * 1e3,
                 layer->share / totals.cycles * 100)
       << layer->node << "  (" << layer->op << ")\n";
}

static void printCpuNodes(ArrayRef<CpuNode> nodes, raw_ostream &os) {
  if (nodes.empty())
    return;
  os << "  on the CPU   " << nodes.size()
     << (nodes.size() == 1 ? " operation:\n" : " operations:\n");
  for (const CpuNode &node : nodes.take_front(kNumCpuNodes))
    os << "               " << node.node << " (" << node.op
       << "): " << node.reason << '\n';
  if (nodes.size() > kNumCpuNodes)
    os << "               and " << nodes.size() - kNumCpuNodes
       << " more; --report=DIR lists all\n";
}

void efc::printNpuSummary(const NpuReport &report,
                          const std::vector<LayerStatistics> &layers,
                          raw_ostream &os) {
  NpuTotals totals = totalsOf(report, layers);
  size_t count = report.partitions.size();
  os << report.machine.name << ", simulated: "
     << format("%.3f ms, %.2f GMAC, ", totals.milliseconds(report.machine),
               totals.macs / 1e9)
     << totals.commands << " commands in " << count
     << (count == 1 ? " partition" : " partitions")
     << (report.machine.overlap ? "\n" : ", without overlap\n");
  if (count > 0) {
    printEngines(totals, report.machine, os);
    printMemory(totals, report.machine, os);
    printEstimates(report, totals, os);
    printCostliest(report, totals, layers, os);
  }
  printCpuNodes(report.cpuNodes, os);
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
  if (report.npu)
    printNpuSummary(*report.npu, layersOf(*report.npu), os);
}
