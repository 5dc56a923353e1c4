// layers.csv, layers.json and compile.json. See Reports.h.
#include "compiler/report/NpuTotals.h"
#include "compiler/report/Reports.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

using namespace efc;
using namespace llvm;

/// A field of a CSV file: quoted where RFC 4180 asks for it.
static std::string csvField(StringRef text) {
  if (text.find_first_of(",\"\r\n") == StringRef::npos)
    return text.str();
  std::string quoted = "\"";
  for (char c : text)
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

static std::string fixed(double value, int digits = 3) {
  std::string text;
  raw_string_ostream(text) << format("%.*f", digits, value);
  return text;
}

void efc::writeLayersCsv(const NpuReport &report,
                         const std::vector<LayerStatistics> &layers,
                         raw_ostream &os) {
  os << "partition,node,op,group,tiles,chunk,commands,macs,"
        "simulated_ms,share,start_ms,end_ms,gte_cycles,ste_cycles,"
        "vector_cycles,dma_cycles,dram_read_bytes,dram_write_bytes,"
        "scratch_bytes,mac_utilisation\n";
  double toMs = 1e3 / report.machine.clockHz;
  double total = totalsOf(report, layers).cycles;
  for (const LayerStatistics &layer : layers) {
    os << report.partitions[layer.partition].name << ',' << csvField(layer.node)
       << ',' << csvField(layer.op) << ',' << layer.group << ',' << layer.tiles
       << ',' << layer.chunk << ',' << layer.commands << ',' << layer.macs
       << ',' << fixed(layer.share * toMs, 6) << ','
       << fixed(layer.share / total, 6) << ',' << fixed(layer.start * toMs, 6)
       << ',' << fixed(layer.end * toMs, 6);
    for (EngineKind kind : {EngineKind::Gte, EngineKind::Ste,
                            EngineKind::Vector, EngineKind::Dma})
      os << ',' << fixed(layer.cyclesOf(kind), 1);
    os << ',' << layer.dramReadBytes << ',' << layer.dramWriteBytes << ','
       << layer.scratchBytes << ','
       << fixed(utilisationOf(layer, report.machine), 4) << '\n';
  }
}

static json::Object toJson(const LayerStatistics &layer,
                           const NpuReport &report) {
  double toMs = 1e3 / report.machine.clockHz;
  json::Object cycles;
  for (size_t index = 0; index < efrt::npu::kNumQueues; ++index)
    if (layer.cycles[index] > 0)
      cycles[StringRef(nameOf(static_cast<efrt::npu::Queue>(index)))] =
          layer.cycles[index];
  return json::Object{
      {"partition", report.partitions[layer.partition].name},
      {"node", layer.node},
      {"op", layer.op},
      {"group", layer.group},
      {"tiles", layer.tiles},
      {"chunk", layer.chunk},
      {"commands", layer.commands},
      {"macs", layer.macs},
      {"simulated_ms", layer.share * toMs},
      {"start_ms", layer.start * toMs},
      {"end_ms", layer.end * toMs},
      {"busy_cycles", std::move(cycles)},
      {"dram_read_bytes", layer.dramReadBytes},
      {"dram_write_bytes", layer.dramWriteBytes},
      {"scratch_bytes", layer.scratchBytes},
      {"mac_utilisation", utilisationOf(layer, report.machine)}};
}

static json::Array cpuNodesToJson(const NpuReport &report) {
  json::Array nodes;
  for (const CpuNode &node : report.cpuNodes)
    nodes.push_back(json::Object{
        {"node", node.node}, {"op", node.op}, {"reason", node.reason}});
  return nodes;
}

static json::Object toJson(const NpuReport &report,
                           const std::vector<LayerStatistics> &layers) {
  NpuTotals totals = totalsOf(report, layers);
  double toMs = 1e3 / report.machine.clockHz;
  json::Object busy;
  for (size_t index = 0; index < kNumEngineKinds; ++index) {
    EngineKind kind = static_cast<EngineKind>(index);
    busy[StringRef(nameOf(kind))] = totals.utilisation(kind, report.machine);
  }
  return json::Object{
      {"machine", report.machine.name},
      {"mlt", report.mlt},
      {"overlap", report.machine.overlap},
      {"partitions", report.partitions.size()},
      {"commands", totals.commands},
      {"simulated_ms", totals.milliseconds(report.machine)},
      {"macs", totals.macs},
      {"engine_utilisation", std::move(busy)},
      {"mac_utilisation",
       totals.cycles > 0
           ? totals.macs / (totals.cycles * peakMacsPerCycle(report.machine))
           : 0},
      {"dram_read_bytes", totals.dramReadBytes},
      {"dram_write_bytes", totals.dramWriteBytes},
      {"scratchpad_bytes", report.machine.scratchpadBytes},
      {"scratchpad_peak_bytes", totals.scratchPeakBytes},
      {"lower_bound_ms", report.estimates.lowerBound * toMs},
      {"lower_bound_binds", report.estimates.binds},
      {"estimated_ms", report.estimates.tiled * toMs},
      {"estimated_layer_by_layer_ms", report.estimates.layerByLayer * toMs},
      {"on_cpu", cpuNodesToJson(report)}};
}

void efc::writeLayersJson(const NpuReport &report,
                          const std::vector<LayerStatistics> &layers,
                          raw_ostream &os) {
  json::Array rows;
  for (const LayerStatistics &layer : layers)
    rows.push_back(toJson(layer, report));
  json::Object root{{"npu", toJson(report, layers)},
                    {"layers", std::move(rows)}};
  os << formatv("{0:2}\n", json::Value(std::move(root)));
}

void efc::writeCompileJson(const CompileReport &report, raw_ostream &os) {
  json::Object phases;
  for (const auto &[name, seconds] : report.phaseSeconds)
    phases[name] = seconds;
  json::Array accumulators;
  for (const AccumulatorReport &layer : report.accumulators)
    accumulators.push_back(json::Object{{"node", layer.node},
                                        {"op", layer.op},
                                        {"bound", layer.bound},
                                        {"chunk", layer.chunk}});
  json::Object root{{"model", report.model},
                    {"phase_seconds", std::move(phases)},
                    {"onnx_nodes", report.numOnnxNodes},
                    {"operations", report.numOperations},
                    {"dispatches", report.numDispatches},
                    {"kernels", report.numKernels},
                    {"weight_bytes", report.weightBytes},
                    {"arena_bytes", report.arenaBytes},
                    {"artifact_bytes", report.artifactBytes},
                    {"variants", json::Array(report.variants)},
                    {"accumulators", std::move(accumulators)}};
  if (report.npu)
    root["npu"] = toJson(*report.npu, layersOf(*report.npu));
  os << formatv("{0:2}\n", json::Value(std::move(root)));
}
