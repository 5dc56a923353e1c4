// report.html: the page's files (page/, embedded at build time) with the data
// in them. Large tables are base64 of typed arrays, which a browser decodes at
// once. See Reports.h.
#include "compiler/report/NpuTotals.h"
#include "compiler/report/Page.h"
#include "compiler/report/Reports.h"
#include "compiler/report/ScratchMap.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Base64.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

#include <map>

using namespace efc;
using namespace efrt::npu;
using namespace llvm;

namespace {
/// One column of a table.
template <typename T> class Column {
public:
  void add(T value) {
    size_t at = bytes.size();
    bytes.resize(at + sizeof(T));
    support::endian::write<T>(bytes.data() + at, value, endianness::little);
  }
  std::string encode() const { return encodeBase64(bytes); }

private:
  std::vector<char> bytes;
};

/// As `kinds` in page/core.js.
enum class WorkKind : uint8_t { Load, Store, Tensor, Vector, Softmax, Norm };

/// From a source of a partition to the row in the table of layers.
class LayerIndex {
public:
  explicit LayerIndex(const std::vector<LayerStatistics> &layers) {
    for (const auto &[index, layer] : llvm::enumerate(layers))
      rows[{layer.partition, layer.group, layer.node, layer.op}] = index;
  }
  uint32_t find(uint32_t partition, const Source &source) const {
    return rows.at({partition, source.group, source.node, source.op});
  }

private:
  std::map<std::tuple<uint32_t, uint32_t, std::string, std::string>, uint32_t>
      rows;
};
} // namespace

static WorkKind kindOf(const Command &command) {
  if (auto *dma = std::get_if<DmaCommand>(&command.body))
    return dma->isStore ? WorkKind::Store : WorkKind::Load;
  if (std::holds_alternative<TensorCommand>(command.body))
    return WorkKind::Tensor;
  if (std::holds_alternative<VectorCommand>(command.body))
    return WorkKind::Vector;
  if (std::holds_alternative<SoftmaxCommand>(command.body))
    return WorkKind::Softmax;
  return WorkKind::Norm;
}

static double workOf(const Command &command) {
  if (auto *dma = std::get_if<DmaCommand>(&command.body))
    return dma->numBytes();
  if (auto *tensor = std::get_if<TensorCommand>(&command.body))
    return tensor->macs();
  return 0;
}

static const Command &commandOf(const NpuPartition &partition,
                                const Event &event) {
  return partition.program
      .queues[static_cast<size_t>(event.queue)][event.index];
}

static json::Object eventsToJson(const NpuReport &report,
                                 const LayerIndex &layers) {
  Column<double> start, work;
  Column<float> cycles;
  Column<uint32_t> layer, tile, sequence;
  Column<uint8_t> queue, kind;
  double offset = 0;
  for (const auto &[index, partition] : llvm::enumerate(report.partitions)) {
    for (const Event &event : partition.timeline.events) {
      const Command &command = commandOf(partition, event);
      const Source &source = partition.program.sources[command.source];
      start.add(offset + event.start);
      cycles.add(event.end - event.start);
      work.add(workOf(command));
      layer.add(layers.find(index, source));
      tile.add(source.tile);
      sequence.add(event.sequence);
      queue.add(static_cast<uint8_t>(event.queue));
      kind.add(static_cast<uint8_t>(kindOf(command)));
    }
    offset += partition.timeline.cycles;
  }
  return json::Object{
      {"start", start.encode()}, {"cycles", cycles.encode()},
      {"work", work.encode()},   {"layer", layer.encode()},
      {"tile", tile.encode()},   {"sequence", sequence.encode()},
      {"queue", queue.encode()}, {"kind", kind.encode()}};
}

static json::Object buffersToJson(const NpuReport &report,
                                  const LayerIndex &layers) {
  Column<double> start;
  Column<float> cycles;
  Column<uint32_t> address, bytes, layer;
  Column<uint8_t> kind;
  double offset = 0;
  for (const auto &[index, partition] : llvm::enumerate(report.partitions)) {
    for (const ScratchBuffer &buffer : scratchBuffersOf(partition)) {
      const Command &writer =
          commandOf(partition, partition.timeline.events[buffer.event]);
      start.add(offset + buffer.start);
      cycles.add(buffer.end - buffer.start);
      address.add(buffer.address);
      bytes.add(buffer.bytes);
      layer.add(layers.find(index, partition.program.sources[writer.source]));
      kind.add(static_cast<uint8_t>(kindOf(writer)));
    }
    offset += partition.timeline.cycles;
  }
  return json::Object{
      {"start", start.encode()},     {"cycles", cycles.encode()},
      {"address", address.encode()}, {"bytes", bytes.encode()},
      {"layer", layer.encode()},     {"kind", kind.encode()}};
}

static json::Array layersToJson(const NpuReport &report,
                                const std::vector<LayerStatistics> &layers) {
  std::vector<double> offsets{0};
  for (const NpuPartition &partition : report.partitions)
    offsets.push_back(offsets.back() + partition.timeline.cycles);
  json::Array rows;
  for (const LayerStatistics &layer : layers)
    rows.push_back(
        json::Object{{"node", layer.node},
                     {"op", layer.op},
                     {"group", layer.group},
                     {"tiles", layer.tiles},
                     {"chunk", layer.chunk},
                     {"macs", layer.macs},
                     {"share", layer.share},
                     {"start", offsets[layer.partition] + layer.start},
                     {"end", offsets[layer.partition] + layer.end},
                     {"dramRead", layer.dramReadBytes},
                     {"dramWrite", layer.dramWriteBytes},
                     {"scratch", layer.scratchBytes},
                     {"utilisation", utilisationOf(layer, report.machine)}});
  return rows;
}

static json::Object totalsToJson(const NpuReport &report,
                                 const NpuTotals &totals) {
  double peak = peakMacsPerCycle(report.machine) * totals.cycles;
  return json::Object{{"cycles", totals.cycles},
                      {"commands", totals.commands},
                      {"macs", totals.macs},
                      {"macUtilisation", peak > 0 ? totals.macs / peak : 0},
                      {"dramReadBytes", totals.dramReadBytes},
                      {"dramWriteBytes", totals.dramWriteBytes},
                      {"scratchPeakBytes", totals.scratchPeakBytes}};
}

static json::Array enginesToJson(const NpuReport &report,
                                 const NpuTotals &totals) {
  json::Array engines;
  for (size_t index = 0; index < kNumEngineKinds; ++index) {
    EngineKind kind = static_cast<EngineKind>(index);
    engines.push_back(json::Object{
        {"name", StringRef(nameOf(kind))},
        {"count", countOf(kind, report.machine)},
        {"utilisation", totals.utilisation(kind, report.machine)}});
  }
  return engines;
}

static json::Array partitionsToJson(const NpuReport &report) {
  json::Array partitions;
  double offset = 0;
  for (const NpuPartition &partition : report.partitions) {
    partitions.push_back(json::Object{{"name", partition.name},
                                      {"offset", offset},
                                      {"cycles", partition.timeline.cycles}});
    offset += partition.timeline.cycles;
  }
  return partitions;
}

static json::Object dataOf(const CompileReport &report,
                           const std::vector<LayerStatistics> &layers) {
  const NpuReport &npu = *report.npu;
  NpuTotals totals = totalsOf(npu, layers);
  LayerIndex index(layers);
  json::Array queues, cpuNodes;
  for (size_t queue = 0; queue < kNumQueues; ++queue)
    queues.push_back(StringRef(nameOf(static_cast<Queue>(queue))));
  for (const CpuNode &node : npu.cpuNodes)
    cpuNodes.push_back(json::Object{
        {"node", node.node}, {"op", node.op}, {"reason", node.reason}});
  return json::Object{
      {"model", sys::path::filename(report.model)},
      {"mlt", npu.mlt},
      {"machine", json::Object{{"name", npu.machine.name},
                               {"clockHz", npu.machine.clockHz},
                               {"scratchpadBytes", npu.machine.scratchpadBytes},
                               {"overlap", npu.machine.overlap}}},
      {"totals", totalsToJson(npu, totals)},
      {"estimates", json::Object{{"lowerBound", npu.estimates.lowerBound},
                                 {"binds", npu.estimates.binds},
                                 {"tiled", npu.estimates.tiled},
                                 {"layerByLayer", npu.estimates.layerByLayer}}},
      {"engines", enginesToJson(npu, totals)},
      {"queues", std::move(queues)},
      {"partitions", partitionsToJson(npu)},
      {"layers", layersToJson(npu, layers)},
      {"cpuNodes", std::move(cpuNodes)},
      {"events", eventsToJson(npu, index)},
      {"buffers", buffersToJson(npu, index)}};
}

/// Inside a script element "</" would end it and "<!--" change how it is read.
static std::string escapeForScript(json::Object data) {
  std::string text, escaped;
  raw_string_ostream(text) << json::Value(std::move(data));
  escaped.reserve(text.size());
  for (char c : text) {
    if (c == '<')
      escaped += "\\u003c";
    else
      escaped += c;
  }
  return escaped;
}

/// Writes `text` up to `marker`; what is left follows it.
static StringRef writeUntil(StringRef text, StringRef marker, raw_ostream &os) {
  auto [before, after] = text.split(marker);
  os << before;
  return after;
}

void efc::writeHtml(const CompileReport &report,
                    const std::vector<LayerStatistics> &layers,
                    raw_ostream &os) {
  StringRef rest = writeUntil(page::html(), "/*STYLE*/", os);
  os << page::style();
  rest = writeUntil(rest, "/*DATA*/", os);
  os << escapeForScript(dataOf(report, layers));
  rest = writeUntil(rest, "/*SCRIPTS*/", os);
  for (StringRef script : page::scripts())
    os << script << '\n';
  os << rest;
}
