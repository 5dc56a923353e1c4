// Replays the counters: commands run one by one as soon as their waits hold.
#include "npu/HappensBefore.h"

#include "npu/Verifier.h"
#include "runtime/core/Text.h"

#include <algorithm>

using namespace efrt;
using namespace efrt::npu;

namespace {
class Replay {
public:
  explicit Replay(const Program &program) : program(program) {}
  Result<HappensBefore> run();

private:
  bool isReady(const Command &command) const;
  void step(size_t queue);
  Status describeDeadlock() const;

  const Program &program;
  HappensBefore result;
  std::array<uint32_t, kNumQueues> next = {};
  /// Of each queue, the commands that have notified so far.
  std::array<std::vector<uint32_t>, kNumQueues> notified;
};
} // namespace

bool Replay::isReady(const Command &command) const {
  return std::ranges::all_of(command.waits, [&](const Wait &wait) {
    return notified[static_cast<size_t>(wait.queue)].size() >= wait.count;
  });
}

void Replay::step(size_t queue) {
  uint32_t index = next[queue]++;
  const Command &command = program.queues[queue][index];
  Clock clock = {};
  auto join = [&](size_t other, uint32_t finished) {
    const Clock &before = result.clocks[other][finished];
    for (size_t i = 0; i < kNumQueues; ++i)
      clock[i] = std::max(clock[i], before[i]);
    clock[other] = std::max(clock[other], finished + 1);
  };
  if (index > 0)
    join(queue, index - 1);
  for (const Wait &wait : command.waits)
    if (wait.count > 0) {
      auto other = static_cast<size_t>(wait.queue);
      join(other, notified[other][wait.count - 1]);
    }
  result.clocks[queue].push_back(clock);
  result.order.push_back({static_cast<Queue>(queue), index});
  if (command.notify)
    notified[queue].push_back(index);
}

Status Replay::describeDeadlock() const {
  std::string text;
  for (size_t queue = 0; queue < kNumQueues; ++queue) {
    if (next[queue] == program.queues[queue].size())
      continue;
    const Command &command = program.queues[queue][next[queue]];
    text += concat(text.empty() ? "" : "; ",
                   describe(program, static_cast<Queue>(queue), next[queue]));
    const char *joint = " waits for ";
    for (const Wait &wait : command.waits) {
      size_t counter = notified[static_cast<size_t>(wait.queue)].size();
      if (counter >= wait.count)
        continue;
      text += concat(joint, nameOf(wait.queue), " to count ", wait.count,
                     ", which stays at ", counter);
      joint = " and for ";
    }
  }
  return Status(StatusCode::Internal, concat("the program deadlocks: ", text));
}

Result<HappensBefore> Replay::run() {
  size_t numCommands = 0;
  for (const std::vector<Command> &queue : program.queues)
    numCommands += queue.size();
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t queue = 0; queue < kNumQueues; ++queue)
      while (next[queue] < program.queues[queue].size() &&
             isReady(program.queues[queue][next[queue]])) {
        step(queue);
        moved = true;
      }
  }
  if (result.order.size() != numCommands)
    return describeDeadlock();
  return std::move(result);
}

Result<HappensBefore> npu::computeHappensBefore(const Program &program) {
  return Replay(program).run();
}
