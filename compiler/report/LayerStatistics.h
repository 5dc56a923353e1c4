// What each layer of a partition costs, added up from its commands and from the
// times at which the event model saw them run.
#ifndef EFC_COMPILER_REPORT_LAYERSTATISTICS_H
#define EFC_COMPILER_REPORT_LAYERSTATISTICS_H

#include "compiler/report/CompileReport.h"

#include <array>
#include <string_view>

namespace efc {

/// Engines of a kind, as reports name them.
enum class EngineKind : uint8_t { Dma, Gte, Ste, Vector };
inline constexpr size_t kNumEngineKinds = 4;

EngineKind kindOf(efrt::npu::Queue queue);
std::string_view nameOf(EngineKind kind);
/// How many of them `machine` has.
uint32_t countOf(EngineKind kind, const efrt::npu::Machine &machine);

struct LayerStatistics {
  uint32_t partition = 0, group = 0;
  std::string node, op; ///< As in efrt::npu::Source.
  uint64_t tiles = 0, commands = 0, macs = 0;
  /// Most output channels that one command computes; 0 without tensor commands.
  uint64_t chunk = 0;
  uint64_t dramReadBytes = 0, dramWriteBytes = 0;
  /// Bytes of the scratchpad that its commands use, each counted once.
  uint64_t scratchBytes = 0;
  std::array<double, efrt::npu::kNumQueues> cycles{}; ///< Busy, by queue.
  double start = 0, end = 0; ///< First command's start, last one's end.
  /// Its part of the makespan: each moment is divided equally among the
  /// commands that run then. The shares of all layers add up to the makespan.
  double share = 0;

  double cyclesOf(EngineKind kind) const;
};

/// By start time. `partition` is the index that the rows get.
std::vector<LayerStatistics> layersOf(const NpuPartition &partition,
                                      uint32_t index);
/// Of all partitions, in order.
std::vector<LayerStatistics> layersOf(const NpuReport &report);

/// Share of `layer`'s tensor-engine time in which the arrays' INT8 peak was at
/// work, 0..1; 0 without tensor commands.
double utilisationOf(const LayerStatistics &layer,
                     const efrt::npu::Machine &machine);

} // namespace efc

#endif
