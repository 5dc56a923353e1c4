// See LayerStatistics.h.
#include "compiler/report/LayerStatistics.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

using namespace efc;
using namespace efrt::npu;

EngineKind efc::kindOf(Queue queue) {
  if (queue <= Queue::Dma1)
    return EngineKind::Dma;
  if (queue <= Queue::Gte1)
    return EngineKind::Gte;
  return queue <= Queue::Ste1 ? EngineKind::Ste : EngineKind::Vector;
}

std::string_view efc::nameOf(EngineKind kind) {
  static constexpr std::string_view names[] = {"DMA", "GTE", "STE", "vector"};
  return names[static_cast<size_t>(kind)];
}

uint32_t efc::countOf(EngineKind kind, const Machine &machine) {
  switch (kind) {
  case EngineKind::Dma:
    return machine.dmaQueues;
  case EngineKind::Gte:
    return machine.gte.count;
  case EngineKind::Ste:
    return machine.ste.count;
  case EngineKind::Vector:
    return machine.vectorEngines;
  }
  return 0;
}

double LayerStatistics::cyclesOf(EngineKind kind) const {
  double sum = 0;
  for (size_t queue = 0; queue < kNumQueues; ++queue)
    if (kindOf(static_cast<Queue>(queue)) == kind)
      sum += cycles[queue];
  return sum;
}

namespace {
/// Bytes as disjoint ranges [first, last), kept merged.
class ByteRanges {
public:
  void add(uint64_t first, uint64_t last) {
    auto next = ranges.upper_bound(first);
    if (next != ranges.begin() && std::prev(next)->second >= first)
      next = std::prev(next);
    while (next != ranges.end() && next->first <= last) {
      first = std::min(first, next->first);
      last = std::max(last, next->second);
      next = ranges.erase(next);
    }
    ranges.emplace(first, last);
  }
  uint64_t size() const {
    uint64_t sum = 0;
    for (auto [first, last] : ranges)
      sum += last - first;
    return sum;
  }

private:
  std::map<uint64_t, uint64_t> ranges;
};

/// Adds up the commands of one partition by layer.
class Collector {
public:
  Collector(const NpuPartition &partition, uint32_t index)
      : partition(partition), index(index) {}

  std::vector<LayerStatistics> run() {
    assignLayers();
    for (const Event &event : partition.timeline.events)
      addEvent(event);
    divideTime();
    for (size_t i = 0; i < layers.size(); ++i) {
      layers[i].scratchBytes = scratch[i].size();
      layers[i].tiles = tiles[i].size();
    }
    std::ranges::sort(layers, {}, [](const LayerStatistics &layer) {
      return std::tie(layer.start, layer.group, layer.node, layer.op);
    });
    return std::move(layers);
  }

private:
  /// Sources that differ only in their tile are one layer.
  void assignLayers() {
    std::map<std::tuple<uint32_t, std::string, std::string>, size_t> known;
    for (const Source &source : partition.program.sources) {
      auto [entry, isNew] = known.try_emplace(
          {source.group, source.node, source.op}, layers.size());
      if (isNew) {
        LayerStatistics layer;
        layer.partition = index;
        layer.group = source.group;
        layer.node = source.node;
        layer.op = source.op;
        layer.start = partition.timeline.cycles;
        layers.push_back(std::move(layer));
      }
      layerOf.push_back(entry->second);
    }
    scratch.resize(layers.size());
    tiles.resize(layers.size());
  }

  const Command &commandOf(const Event &event) const {
    return partition.program
        .queues[static_cast<size_t>(event.queue)][event.index];
  }

  void addEvent(const Event &event) {
    const Command &command = commandOf(event);
    size_t number = layerOf[command.source];
    LayerStatistics &layer = layers[number];
    ++layer.commands;
    layer.cycles[static_cast<size_t>(event.queue)] += event.end - event.start;
    layer.start = std::min(layer.start, event.start);
    layer.end = std::max(layer.end, event.end);
    tiles[number].insert(partition.program.sources[command.source].tile);
    if (auto *dma = std::get_if<DmaCommand>(&command.body))
      (dma->isStore ? layer.dramWriteBytes : layer.dramReadBytes) +=
          dma->numBytes();
    if (auto *tensor = std::get_if<TensorCommand>(&command.body)) {
      layer.macs += tensor->macs();
      layer.chunk =
          std::max<uint64_t>(layer.chunk, tensor->epilogue.result.extents[3]);
    }
    for (const Access &access : accessesOf(command))
      if (access.slot < 0)
        addScratch(access, scratch[number]);
  }

  /// From the first to the last byte: a part of a row counts as the row, whose
  /// other parts belong to the same buffer.
  static void addScratch(const Access &access, ByteRanges &ranges) {
    uint64_t last = access.base + access.rowBytes;
    for (size_t i = 0; i < access.extents.size(); ++i)
      last += (access.extents[i] - 1) * access.strides[i];
    ranges.add(access.base, last);
  }

  /// See LayerStatistics::share.
  void divideTime() {
    struct Boundary {
      double time;
      bool isStart;
      size_t layer;
    };
    std::vector<Boundary> boundaries;
    for (const Event &event : partition.timeline.events) {
      size_t layer = layerOf[commandOf(event).source];
      boundaries.push_back({event.start, true, layer});
      boundaries.push_back({event.end, false, layer});
    }
    std::ranges::sort(boundaries, {}, [](const Boundary &boundary) {
      return std::tie(boundary.time, boundary.isStart, boundary.layer);
    });
    std::vector<size_t> running;
    double now = 0;
    for (const Boundary &boundary : boundaries) {
      for (size_t layer : running)
        layers[layer].share += (boundary.time - now) / running.size();
      now = boundary.time;
      if (boundary.isStart)
        running.push_back(boundary.layer);
      else if (auto it = std::ranges::find(running, boundary.layer);
               it != running.end())
        running.erase(it);
    }
  }

  const NpuPartition &partition;
  uint32_t index;
  std::vector<LayerStatistics> layers;
  std::vector<size_t> layerOf; ///< By source.
  std::vector<ByteRanges> scratch;
  std::vector<std::set<uint32_t>> tiles;
};
} // namespace

std::vector<LayerStatistics> efc::layersOf(const NpuPartition &partition,
                                           uint32_t index) {
  return Collector(partition, index).run();
}

std::vector<LayerStatistics> efc::layersOf(const NpuReport &report) {
  std::vector<LayerStatistics> all;
  for (uint32_t i = 0; i < report.partitions.size(); ++i) {
    std::vector<LayerStatistics> layers = layersOf(report.partitions[i], i);
    std::ranges::move(layers, std::back_inserter(all));
  }
  return all;
}

static double arrayMacs(const TensorEngineSpec &engine) {
  return static_cast<double>(engine.arrayK) * engine.arrayN * engine.arrayM;
}

double efc::utilisationOf(const LayerStatistics &layer,
                          const Machine &machine) {
  double possible = layer.cyclesOf(EngineKind::Gte) * arrayMacs(machine.gte) +
                    layer.cyclesOf(EngineKind::Ste) * arrayMacs(machine.ste);
  return possible > 0 ? layer.macs / possible : 0;
}
