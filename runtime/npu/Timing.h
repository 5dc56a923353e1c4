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
/// with the array's rounding; `positions` are output positions. Depthwise: one
/// tap, and the kernel's taps are the channels. Gated: twice the outputs
/// (rounded up to arrayN first), half the cost.
double tensorCycles(const TensorEngineSpec &engine, double rate,
                    uint64_t positions, uint64_t taps, uint64_t channels,
                    uint64_t outputs, double epilogueCost);
/// Rate of products of these types, relative to INT8 x INT8.
double rateOf(DType input, DType weights, const Machine &machine);
double vectorCycles(const Machine &machine, uint64_t elements, double cost);
/// Lane operations of a NormFactorsCommand.
double normFactorsCost(uint64_t groups, uint64_t groupChannels,
                       const Machine &machine);
/// Bytes that the transfer occupies the DRAM for: its own, with contiguous
/// runs that are shorter than a burst counted as one.
double dmaBytesCharged(const DmaCommand &command, const Machine &machine);
double dmaCycles(const Machine &machine, double bytesCharged);
/// Lane operations an element of `program` costs: its instructions, and
/// loadStoreCost for each operand and the result.
double costOf(const VectorProgram &program, const Machine &machine);

struct Event {
  Queue queue;
  uint32_t index;    ///< Of the command in its queue.
  uint32_t sequence; ///< Command::sequence
  double start, end; ///< Cycles.
};

struct Timeline {
  std::vector<Event> events;                 ///< By start.
  double cycles = 0;                         ///< Makespan.
  std::array<double, kNumQueues> busy{};     ///< Cycles that each queue worked.
  uint64_t dramBytes = 0, dramReadBytes = 0; ///< As charged.
  uint64_t macs = 0;
  bool deadlocked = false;
  std::string problem; ///< Which command waits for what, if deadlocked.
};

/// Runs the queues by events: in-order queues, waits, DRAM bandwidth shared
/// equally by the DMA commands in flight. `onStart`, if given, is called for
/// each command in the order of start times: the simulator executes it there;
/// false ends the run, and the timeline holds what was finished by then.
///
/// With machine.overlap == false commands that follow each other in `sequence`
/// and are of one kind (DMA, tensor, vector) form a step. Steps run one after
/// the other; within one, queues run beside each other.
Timeline simulateTime(
    const Program &program, const Machine &machine,
    const std::function<bool(Queue, const Command &)> &onStart = nullptr);

} // namespace efrt::npu

#endif
