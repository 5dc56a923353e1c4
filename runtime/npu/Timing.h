// The event model: one set of functions prices candidate schedules in the
// compiler and gives the simulator its clock. Everything it says is simulated.
#ifndef EFRT_NPU_TIMING_H
#define EFRT_NPU_TIMING_H

#include "npu/Machine.h"

#include <functional>

namespace efrt::npu {

/// Cycles that a command takes on `queue` if nothing disturbs it (for DMA:
/// set-up plus its bytes at the full bandwidth).
double cyclesOf(const Command &command, Queue queue, const Machine &machine);

/// Parts of that, for cost models that have no command yet. MACs are counted
/// with the array's rounding; `positions` are output positions.
double tensorCycles(const TensorEngineSpec &engine, double rate,
                    uint64_t positions, uint64_t taps, uint64_t channels,
                    uint64_t outputs, double epilogueCost);
double vectorCycles(const Machine &machine, uint64_t elements, double cost);
double dmaBytesCharged(const DmaCommand &command, const Machine &machine);
/// Lane operations an element of `program` costs.
double costOf(const VectorProgram &program, const Machine &machine);

struct Event {
  Queue queue;
  uint32_t index;    ///< Of the command in its queue.
  uint32_t sequence; ///< Command::sequence
  double start, end; ///< Cycles.
};

struct Timeline {
  std::vector<Event> events; ///< By start.
  double cycles = 0;         ///< Makespan.
  std::array<double, kNumQueues> busy{}; ///< Cycles that each queue worked.
  uint64_t dramBytes = 0, dramReadBytes = 0;
  uint64_t macs = 0;
  bool deadlocked = false;
  std::string problem; ///< Which command waits for what, if deadlocked.
};

/// Runs the queues by events: in-order queues, waits, DRAM bandwidth shared
/// equally by the DMA commands in flight. `onStart`, if given, is called for
/// each command in the order of start times: the simulator executes it there.
Timeline simulateTime(const Program &program, const Machine &machine,
                      const std::function<bool(Queue, const Command &)>
                          &onStart = nullptr);

} // namespace efrt::npu

#endif
