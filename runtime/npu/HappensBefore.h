// Which commands are certainly finished when a command starts, whatever the
// commands' durations: vector clocks over queue order and waits.
#ifndef EFRT_NPU_HAPPENSBEFORE_H
#define EFRT_NPU_HAPPENSBEFORE_H

#include "efrt/Status.h"
#include "npu/Command.h"

namespace efrt::npu {

/// Of each queue, how many commands (from its start) are finished.
using Clock = std::array<uint32_t, kNumQueues>;

struct CommandPlace {
  Queue queue;
  uint32_t index;
};

struct HappensBefore {
  /// An order in which the commands can run one by one.
  std::vector<CommandPlace> order;
  /// Of each command: what is finished when it starts.
  std::array<std::vector<Clock>, kNumQueues> clocks;
};

/// Fails, saying which commands wait for what, if some can never run.
Result<HappensBefore> computeHappensBefore(const Program &program);

} // namespace efrt::npu

#endif
