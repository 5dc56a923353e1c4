// See Simulator.h.
#include "npu/simulator/Simulator.h"

#include "npu/Encoding.h"
#include "npu/Verifier.h"
#include "runtime/core/Text.h"

#include <cstring>

using namespace efrt;
using namespace efrt::npu;

Result<std::unique_ptr<Simulator>>
Simulator::create(const Machine &machine, unsigned threads, bool timingOnly) {
  std::unique_ptr<Simulator> result(new Simulator());
  result->theMachine = machine;
  result->timingOnly = timingOnly;
  if (timingOnly)
    return result;
  Result<AlignedMemory> scratch = AlignedMemory::allocate(
      size_t(machine.scratchpadBytes) + simulator::kScratchSlackBytes,
      "the NPU's scratchpad");
  if (!scratch)
    return scratch.status();
  result->scratch = std::move(*scratch);
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
  if (!pool)
    return pool.status();
  result->pool = std::move(*pool);
  return result;
}

static Status invalid(std::string_view name, std::string_view reason) {
  return Status(StatusCode::CorruptData,
                concat("the NPU program ", quote(name), ": ", reason));
}

/// What makes execution safe.
static Status checkExecution(const Program &program, const Machine &machine) {
  if (program.scratchpadBytes > machine.scratchpadBytes)
    return Status(StatusCode::CorruptData,
                  concat("it needs ", program.scratchpadBytes,
                         " bytes of scratchpad and the machine ",
                         quote(machine.name), " has ",
                         machine.scratchpadBytes));
  if (std::string problem = npu::checkCommands(program, machine);
      !problem.empty())
    return Status(StatusCode::CorruptData, problem);
  return Status();
}

Status Simulator::addProgram(std::string name,
                             std::span<const std::byte> bytes) {
  Result<Program> decoded = decodeProgram(bytes);
  if (!decoded)
    return Status(decoded.status().getCode(),
                  invalid(name, decoded.status().message()).message());
  if (Status status = checkExecution(*decoded, theMachine); !status.ok())
    return invalid(name, status.message());
  Timeline timeline = simulateTime(*decoded, theMachine);
  if (timeline.deadlocked)
    return invalid(name, timeline.problem);
  if (!timingOnly)
    if (Status status = checkTimeline(*decoded, timeline); !status.ok())
      return invalid(name, status.message());
  programs.push_back(
      {std::move(name), std::move(*decoded), std::move(timeline)});
  return Status();
}

Status Simulator::run(size_t index, std::span<void *const> tensors) {
  if (timingOnly)
    return Status();
  const LoadedProgram &loaded = programs[index];
  simulator::ExecutionContext context = {
      simulator::hostKernels(), *pool, workbench, {scratch.data(), tensors}};
  for (const Event &event : loaded.timeline.events) {
    const Command &command =
        loaded.program.queues[static_cast<size_t>(event.queue)][event.index];
    std::visit([&](const auto &body) { simulator::execute(body, context); },
               command.body);
  }
  return Status();
}
