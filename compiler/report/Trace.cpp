// trace.json, in Chrome's trace event format: ui.perfetto.dev and
// chrome://tracing open it. See Reports.h.
#include "compiler/report/Reports.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

using namespace efc;
using namespace efrt::npu;
using namespace llvm;

static std::string quoted(StringRef text) {
  std::string result;
  raw_string_ostream(result) << json::Value(text);
  return result;
}

static void writeMetadata(StringRef what, size_t process, size_t thread,
                          StringRef name, raw_ostream &os) {
  os << "{\"ph\":\"M\",\"name\":\"" << what << "\",\"pid\":" << process
     << ",\"tid\":" << thread << ",\"args\":{\"name\":" << quoted(name)
     << "}},\n";
}

static void writeEvent(const NpuPartition &partition, const Event &event,
                       size_t process, double offset, double toMicroseconds,
                       raw_ostream &os) {
  const Command &command =
      partition.program.queues[static_cast<size_t>(event.queue)][event.index];
  const Source &source = partition.program.sources[command.source];
  os << "{\"ph\":\"X\",\"name\":" << quoted(source.op)
     << ",\"cat\":\"npu\",\"pid\":" << process
     << ",\"tid\":" << static_cast<size_t>(event.queue)
     << format(",\"ts\":%.6f,\"dur\":%.6f",
               (offset + event.start) * toMicroseconds,
               (event.end - event.start) * toMicroseconds)
     << ",\"args\":{\"node\":" << quoted(source.node)
     << ",\"group\":" << source.group << ",\"tile\":" << source.tile
     << ",\"sequence\":" << event.sequence;
  if (auto *dma = std::get_if<DmaCommand>(&command.body))
    os << ",\"bytes\":" << dma->numBytes()
       << ",\"store\":" << (dma->isStore ? "true" : "false")
       << ",\"slot\":" << dma->slot << ",\"offset\":" << dma->offset;
  if (auto *tensor = std::get_if<TensorCommand>(&command.body))
    os << ",\"macs\":" << tensor->macs()
       << ",\"outputs\":" << tensor->weights.extents[0]
       << ",\"channels\":" << tensor->weights.extents[3];
  os << "}}";
}

void efc::writeTrace(const NpuReport &report, raw_ostream &os) {
  os << "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"machine\":"
     << quoted(report.machine.name)
     << ",\"times\":\"simulated\"},\n\"traceEvents\":[\n";
  double toMicroseconds = 1e6 / report.machine.clockHz, offset = 0;
  for (const auto &[process, partition] : llvm::enumerate(report.partitions)) {
    writeMetadata("process_name", process, 0, partition.name + " (simulated)",
                  os);
    for (size_t queue = 0; queue < kNumQueues; ++queue)
      if (!partition.program.queues[queue].empty())
        writeMetadata("thread_name", process, queue,
                      StringRef(nameOf(static_cast<Queue>(queue))), os);
    for (const Event &event : partition.timeline.events) {
      writeEvent(partition, event, process, offset, toMicroseconds, os);
      os << ",\n";
    }
    offset += partition.timeline.cycles;
  }
  // A last event without a comma behind it.
  os << "{\"ph\":\"M\",\"name\":\"process_labels\",\"pid\":0,\"args\":{"
        "\"labels\":\"simulated\"}}\n]}\n";
}
