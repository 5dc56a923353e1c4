// Discrete events over the queues: the clock of the simulator and the price of
// a schedule. Between two events nothing changes, so time jumps from one to
// the next; an event costs a look at each queue.
#include "npu/Timing.h"

#include "npu/Verifier.h"
#include "runtime/core/Text.h"

#include <algorithm>
#include <limits>
#include <tuple>

using namespace efrt;
using namespace efrt::npu;

static constexpr double kNever = std::numeric_limits<double>::infinity();

static constexpr std::array<std::string_view, kNumQueues> kQueueNames = {
    "dma0", "dma1",    "gte0",    "gte1",    "ste0",
    "ste1", "vector0", "vector1", "vector2", "vector3"};

std::string_view npu::nameOf(Queue queue) {
  return kQueueNames[static_cast<size_t>(queue)];
}

namespace {
enum class Kind { Dma, Tensor, Vector };

Kind kindOf(const Body &body) {
  if (std::holds_alternative<DmaCommand>(body))
    return Kind::Dma;
  return std::holds_alternative<TensorCommand>(body) ? Kind::Tensor
                                                     : Kind::Vector;
}

class EventSimulation {
public:
  EventSimulation(const Program &program, const Machine &machine,
                  const std::function<bool(Queue, const Command &)> &onStart);
  Timeline run();

private:
  struct QueueState {
    uint32_t next = 0; ///< The command that runs, or comes next.
    uint32_t counter = 0;
    bool running = false;
    bool transfers = false; ///< DMA: past its set-up.
    double end = kNever;    ///< Of the command, or of the DMA's set-up.
    double bytesLeft = 0;   ///< DMA.
    size_t event = 0;       ///< Index of the running command's event.
  };

  void findSteps();
  bool mayStart(size_t queue) const;
  bool startAll();
  void start(size_t queue);
  void finish(size_t queue);
  void account(const Command &command);
  /// Moves to the next event. False if nothing runs.
  bool advance();
  double bytesPerCycle() const;
  std::string describeDeadlock() const;

  const Command &head(size_t queue) const {
    return program.queues[queue][states[queue].next];
  }
  bool isDone(size_t queue) const {
    return states[queue].next == program.queues[queue].size();
  }

  const Program &program;
  const Machine &machine;
  const std::function<bool(Queue, const Command &)> &onStart;
  std::array<QueueState, kNumQueues> states;
  Timeline timeline;
  double now = 0;
  size_t numTransfers = 0; ///< DMA commands past their set-up.
  /// Without overlap: the step of each command, how many commands of each step
  /// are left, and the step that runs.
  std::array<std::vector<uint32_t>, kNumQueues> stepOf;
  std::vector<uint32_t> leftInStep;
  uint32_t step = 0;
};
} // namespace

EventSimulation::EventSimulation(
    const Program &program, const Machine &machine,
    const std::function<bool(Queue, const Command &)> &onStart)
    : program(program), machine(machine), onStart(onStart) {
  size_t numCommands = 0;
  for (const std::vector<Command> &queue : program.queues)
    numCommands += queue.size();
  timeline.events.reserve(numCommands);
  if (!machine.overlap)
    findSteps();
}

void EventSimulation::findSteps() {
  struct Place {
    uint32_t sequence;
    uint32_t queue, index;
    Kind kind;
  };
  std::vector<Place> order;
  for (uint32_t q = 0; q < kNumQueues; ++q) {
    stepOf[q].resize(program.queues[q].size());
    for (uint32_t i = 0; i < program.queues[q].size(); ++i) {
      const Command &command = program.queues[q][i];
      order.push_back({command.sequence, q, i, kindOf(command.body)});
    }
  }
  std::sort(order.begin(), order.end(), [](const Place &a, const Place &b) {
    return std::tie(a.sequence, a.queue, a.index) <
           std::tie(b.sequence, b.queue, b.index);
  });
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || order[i].kind != order[i - 1].kind)
      leftInStep.push_back(0);
    ++leftInStep.back();
    stepOf[order[i].queue][order[i].index] =
        static_cast<uint32_t>(leftInStep.size() - 1);
  }
}

bool EventSimulation::mayStart(size_t queue) const {
  const QueueState &state = states[queue];
  if (state.running || isDone(queue))
    return false;
  if (!machine.overlap && stepOf[queue][state.next] != step)
    return false;
  return std::ranges::all_of(head(queue).waits, [&](const Wait &wait) {
    return states[static_cast<size_t>(wait.queue)].counter >= wait.count;
  });
}

void EventSimulation::account(const Command &command) {
  if (const auto *tensor = std::get_if<TensorCommand>(&command.body))
    timeline.macs += tensor->macs();
  const auto *dma = std::get_if<DmaCommand>(&command.body);
  if (!dma)
    return;
  auto bytes = static_cast<uint64_t>(dmaBytesCharged(*dma, machine));
  timeline.dramBytes += bytes;
  if (!dma->isStore)
    timeline.dramReadBytes += bytes;
}

void EventSimulation::start(size_t queue) {
  QueueState &state = states[queue];
  const Command &command = head(queue);
  account(command);
  state.running = true;
  state.event = timeline.events.size();
  timeline.events.push_back(
      {static_cast<Queue>(queue), state.next, command.sequence, now, now});
  if (const auto *dma = std::get_if<DmaCommand>(&command.body)) {
    state.transfers = false;
    state.bytesLeft = dmaBytesCharged(*dma, machine);
    state.end = now + machine.dmaSetupSeconds * machine.clockHz;
    return;
  }
  state.end = now + cyclesOf(command, static_cast<Queue>(queue), machine);
}

bool EventSimulation::startAll() {
  for (size_t q = 0; q < kNumQueues; ++q) {
    if (!mayStart(q))
      continue;
    start(q);
    if (onStart && !onStart(static_cast<Queue>(q), head(q)))
      return false;
  }
  return true;
}

void EventSimulation::finish(size_t queue) {
  QueueState &state = states[queue];
  Event &event = timeline.events[state.event];
  event.end = now;
  timeline.busy[queue] += event.end - event.start;
  state.counter += head(queue).notify;
  if (!machine.overlap && --leftInStep[stepOf[queue][state.next]] == 0)
    ++step;
  ++state.next;
  state.running = false;
  state.end = kNever;
}

double EventSimulation::bytesPerCycle() const {
  return machine.dramBytesPerSecond / machine.clockHz /
         static_cast<double>(std::max<size_t>(numTransfers, 1));
}

bool EventSimulation::advance() {
  double share = bytesPerCycle(), next = kNever;
  auto endOf = [&](const QueueState &state) {
    return state.transfers ? now + state.bytesLeft / share : state.end;
  };
  for (const QueueState &state : states)
    if (state.running)
      next = std::min(next, endOf(state));
  if (next == kNever)
    return false;
  // What ends at `next` is found before time moves: afterwards rounding could
  // leave a transfer with a fraction of a byte.
  std::array<bool, kNumQueues> ends{};
  for (size_t q = 0; q < kNumQueues; ++q)
    ends[q] = states[q].running && endOf(states[q]) <= next;
  for (QueueState &state : states)
    if (state.running && state.transfers)
      state.bytesLeft -= (next - now) * share;
  now = next;
  for (size_t q = 0; q < kNumQueues; ++q) {
    if (!ends[q])
      continue;
    QueueState &state = states[q];
    bool isDma = std::holds_alternative<DmaCommand>(head(q).body);
    if (isDma && !state.transfers) {
      state.transfers = true;
      ++numTransfers;
      continue;
    }
    if (isDma) {
      state.transfers = false;
      --numTransfers;
    }
    finish(q);
  }
  return true;
}

std::string EventSimulation::describeDeadlock() const {
  std::string text;
  for (size_t q = 0; q < kNumQueues; ++q) {
    if (isDone(q))
      continue;
    text += concat(text.empty() ? "deadlock: " : "; ",
                   describe(program, static_cast<Queue>(q), states[q].next));
    bool waits = false;
    for (const Wait &wait : head(q).waits) {
      uint32_t counter = states[static_cast<size_t>(wait.queue)].counter;
      if (counter >= wait.count)
        continue;
      text +=
          concat(waits ? " and for " : " waits for ", npu::nameOf(wait.queue),
                 " to count ", wait.count, " but it stays at ", counter);
      waits = true;
    }
    if (!waits)
      text += " is before its turn in the serial order";
  }
  return text;
}

Timeline EventSimulation::run() {
  while (startAll() && advance()) {
  }
  bool stopped = std::ranges::any_of(
      states, [](const QueueState &state) { return state.running; });
  for (size_t q = 0; q < kNumQueues && !stopped; ++q)
    timeline.deadlocked |= !isDone(q);
  if (timeline.deadlocked)
    timeline.problem = describeDeadlock();
  timeline.cycles = now;
  return std::move(timeline);
}

Timeline
npu::simulateTime(const Program &program, const Machine &machine,
                  const std::function<bool(Queue, const Command &)> &onStart) {
  return EventSimulation(program, machine, onStart).run();
}
