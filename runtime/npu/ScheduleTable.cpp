// The NpuSchedule section: one row a command (docs/exynos-npu.md, "Binary
// encoding").
#include "npu/Encoding.h"
#include "npu/EncodingLayout.h"
#include "runtime/core/Text.h"

#include <cmath>
#include <cstring>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::layout;

std::vector<std::byte> npu::encodeSchedule(const Timeline &timeline) {
  std::vector<ScheduleRow> rows;
  for (const Event &event : timeline.events)
    rows.push_back({static_cast<uint32_t>(event.queue), event.index,
                    event.sequence, 0, event.start, event.end});
  std::span<const std::byte> bytes = std::as_bytes(std::span(rows));
  return {bytes.begin(), bytes.end()};
}

Result<std::vector<Event>> npu::decodeSchedule(std::span<const std::byte> bytes,
                                               const Program &program) {
  auto corrupt = [](const char *reason) {
    return Status(StatusCode::CorruptData, concat("an NPU schedule ", reason));
  };
  size_t numCommands = 0;
  for (const std::vector<Command> &queue : program.queues)
    numCommands += queue.size();
  if (bytes.size() != numCommands * sizeof(ScheduleRow))
    return corrupt("has not one row for each command");
  std::vector<Event> events;
  std::vector<bool> isThere(numCommands);
  for (size_t i = 0; i < numCommands; ++i) {
    ScheduleRow row;
    std::memcpy(&row, bytes.data() + i * sizeof(row), sizeof(row));
    if (row.queue >= kNumQueues || row.zero != 0 ||
        row.index >= program.queues[row.queue].size() ||
        program.queues[row.queue][row.index].sequence != row.sequence ||
        isThere[row.sequence])
      return corrupt("has a row for no command or twice for one");
    if (!(row.start >= 0 && row.end >= row.start) || !std::isfinite(row.end))
      return corrupt("has a command that ends before it starts");
    isThere[row.sequence] = true;
    events.push_back({static_cast<Queue>(row.queue), row.index, row.sequence,
                      row.start, row.end});
  }
  return events;
}
