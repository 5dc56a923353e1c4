// The static verifier: one pass over the commands in an order in which they can
// run, with a shadow of every memory.
#include "npu/Verifier.h"

#include "npu/HappensBefore.h"
#include "npu/ShadowMemory.h"
#include "runtime/core/Text.h"

#include <algorithm>

using namespace efrt;
using namespace efrt::npu;

namespace {
using ScratchShadow = ShadowMemory<kScratchGranule, kNumQueues>;
using DramShadow = ShadowMemory<kDramGranule, 2>;

/// Mixes numbers, one after the other.
class Fingerprint {
public:
  void add(uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
  }
  uint32_t value() const { return static_cast<uint32_t>(hash >> 16); }

private:
  uint64_t hash = 0x243f6a8885a308d3;
};

/// The writers of what a command reads, as runs of granules that one access
/// wrote one after the other.
class Runs {
public:
  explicit Runs(Fingerprint &print) : print(print) {}

  /// `place`: of the granule in what was written.
  void add(uint32_t writer, uint32_t part, uint64_t place, uint64_t count) {
    if (length == 0 || writer != this->writer || part != this->part ||
        place != first + length) {
      end();
      this->writer = writer;
      this->part = part;
      first = place;
    }
    length += count;
  }
  void end() {
    if (length > 0) {
      print.add(uint64_t(writer) << 32 | part);
      print.add(first);
      print.add(length);
    }
    length = 0;
  }

private:
  Fingerprint &print;
  uint32_t writer = 0, part = 0;
  uint64_t first = 0, length = 0;
};

class MemoryPass {
public:
  explicit MemoryPass(const Program &program);

  /// In an order in which the commands can run; checks each access.
  void run(const HappensBefore &happensBefore);
  /// Only for the flow.
  void run(std::span<const uint32_t> order);
  void checkOutputs();

  std::vector<uint32_t> flow; ///< By sequence.
  Status status;

private:
  struct Current {
    CommandPlace place;
    const Command *command;
    uint32_t id; ///< As ShadowMemory counts.
    const Clock *clock;
    std::vector<Access> accesses;
    const Access *access = nullptr; ///< Of these, the one at hand.
  };

  void visit(const CommandPlace &place, const Clock *clock);
  template <typename Shadow>
  void access(Shadow &shadow, const Access &access, Fingerprint &print);
  void addGeometry(const Access &access, Fingerprint &print) const;
  template <typename Shadow>
  bool read(typename Shadow::State &state, uint64_t mask, uint64_t granule);
  template <typename Shadow>
  bool write(typename Shadow::State &state, uint64_t mask, uint64_t granule);
  bool fail(std::string_view text, uint32_t other, uint64_t granule,
            uint64_t granuleBytes);
  bool isOrdered(uint32_t writer) const;
  uint32_t sequenceOf(uint32_t writer) const {
    const CommandPlace &place = places[writer - 1];
    return program.queues[static_cast<size_t>(place.queue)][place.index]
        .sequence;
  }
  DramShadow *shadowOf(int32_t slot);
  std::string bytesOf(uint64_t begin, uint64_t end) const;

  const Program &program;
  ScratchShadow scratch;
  std::vector<DramShadow> tensors;  ///< Workspace, outputs.
  std::vector<CommandPlace> places; ///< By id - 1.
  Current current;
  int32_t slot = -1; ///< Of the access at hand.
};
} // namespace

static uint64_t padded(uint64_t bytes) { return std::max<uint64_t>(bytes, 1); }

MemoryPass::MemoryPass(const Program &program)
    : program(program), scratch(padded(program.scratchpadBytes)) {
  size_t numCommands = 0;
  for (const std::vector<Command> &queue : program.queues)
    numCommands += queue.size();
  flow.resize(numCommands);
  places.reserve(numCommands);
  tensors.emplace_back(padded(program.slotBytes[1]));
  for (size_t i = 2 + program.numInputs; i < program.slotBytes.size(); ++i)
    tensors.emplace_back(padded(program.slotBytes[i]));
}

/// Null for what is never written: weights and inputs.
DramShadow *MemoryPass::shadowOf(int32_t slot) {
  auto number = static_cast<uint32_t>(slot);
  if (number == 1)
    return &tensors[0];
  return number >= 2 + program.numInputs
             ? &tensors[number - 1 - program.numInputs]
             : nullptr;
}

std::string MemoryPass::bytesOf(uint64_t begin, uint64_t end) const {
  std::string range = concat("bytes [", begin, ", ", end, ") of ");
  if (slot < 0)
    return range + "the scratchpad";
  if (slot == 1)
    return range + "the workspace";
  return concat(range, "output ",
                static_cast<uint32_t>(slot) - 2 - program.numInputs);
}

/// `text` stands between the two commands' names.
bool MemoryPass::fail(std::string_view text, uint32_t other, uint64_t granule,
                      uint64_t granuleBytes) {
  std::string second;
  if (other > 0)
    second =
        describe(program, places[other - 1].queue, places[other - 1].index);
  status = Status(
      StatusCode::Internal,
      concat(describe(program, current.place.queue, current.place.index), ' ',
             text, second, ", ",
             bytesOf(granule * granuleBytes, (granule + 1) * granuleBytes)));
  return false;
}

/// Is the command with this id certainly finished when the current one starts?
bool MemoryPass::isOrdered(uint32_t writer) const {
  const CommandPlace &place = places[writer - 1];
  return place.index < (*current.clock)[static_cast<size_t>(place.queue)];
}

template <typename Shadow>
bool MemoryPass::read(typename Shadow::State &state, uint64_t mask,
                      uint64_t granule) {
  if (current.clock) {
    if ((state.written & mask) != mask)
      return fail("reads what nothing wrote", 0, granule, Shadow::kGranule);
    if (state.writer != current.id && !isOrdered(state.writer))
      return fail("may run before or beside what writes its operand, ",
                  state.writer, granule, Shadow::kGranule);
  }
  if (current.clock)
    state.readers[static_cast<size_t>(current.place.queue)] =
        current.place.index + 1;
  return true;
}

template <typename Shadow>
bool MemoryPass::write(typename Shadow::State &state, uint64_t mask,
                       uint64_t granule) {
  if (current.clock) {
    if (state.writer != 0 && state.writer != current.id &&
        !isOrdered(state.writer))
      return fail("may run before or beside another that writes there, ",
                  state.writer, granule, Shadow::kGranule);
    for (size_t queue = 0; queue < state.readers.size(); ++queue) {
      uint32_t reader = state.readers[queue];
      bool isSelf = static_cast<size_t>(current.place.queue) == queue &&
                    reader == current.place.index + 1;
      if (reader == 0 || isSelf || reader <= (*current.clock)[queue])
        continue;
      status = Status();
      return fail(
          concat("may overwrite what is still to be read by ",
                 describe(program, static_cast<Queue>(queue), reader - 1)),
          0, granule, Shadow::kGranule);
    }
  }
  state.byWriter = state.writer == current.id ? state.byWriter | mask : mask;
  state.written |= mask;
  state.writer = current.id;
  state.origin = static_cast<uint32_t>(current.access->base / Shadow::kGranule);
  state.part = static_cast<uint32_t>(current.access - current.accesses.data());
  state.readers.fill(0);
  return true;
}

void MemoryPass::addGeometry(const Access &access, Fingerprint &print) const {
  print.add(static_cast<uint64_t>(access.slot + 1) << 1 | access.isWrite);
  print.add(access.rowBytes);
  for (uint64_t extent : access.extents)
    print.add(extent);
  if (access.slot < 0)
    return;
  print.add(access.base);
  for (int64_t stride : access.strides)
    print.add(static_cast<uint64_t>(stride));
}

template <typename Shadow>
void MemoryPass::access(Shadow &shadow, const Access &access,
                        Fingerprint &print) {
  Runs runs(print);
  auto visitGranules = [&](typename Shadow::State &state, uint64_t mask,
                           uint64_t granule, uint64_t count) {
    if (access.isWrite)
      return write<Shadow>(state, mask, granule);
    // Neighbours in DRAM share granules, and a load may pass the store of what
    // it does not read: there only whole granules have one writer.
    bool isKnown =
        state.writer > 0 &&
        (access.slot < 0 || (mask & state.byWriter) == Shadow::kAllBytes);
    if (isKnown)
      runs.add(sequenceOf(state.writer), state.part, granule - state.origin,
               count);
    else
      runs.end();
    return read<Shadow>(state, mask, granule);
  };
  forEachRow(access, [&](uint64_t begin, uint64_t end) {
    return shadow.visitRow(begin, end, visitGranules);
  });
  runs.end();
}

void MemoryPass::visit(const CommandPlace &place, const Clock *clock) {
  places.push_back(place);
  const Command &command =
      program.queues[static_cast<size_t>(place.queue)][place.index];
  current = {place, &command, static_cast<uint32_t>(places.size()), clock,
             accessesOf(command)};
  Fingerprint print;
  for (const Access &access : current.accesses) {
    addGeometry(access, print);
    current.access = &access;
    slot = access.slot;
    if (slot < 0)
      this->access(scratch, access, print);
    else if (DramShadow *shadow = shadowOf(slot))
      this->access(*shadow, access, print);
    if (!status.ok())
      return;
  }
  flow[command.sequence] = print.value();
}

void MemoryPass::run(const HappensBefore &happensBefore) {
  for (const CommandPlace &place : happensBefore.order) {
    if (!status.ok())
      return;
    visit(place,
          &happensBefore.clocks[static_cast<size_t>(place.queue)][place.index]);
  }
}

void MemoryPass::run(std::span<const uint32_t> order) {
  std::vector<CommandPlace> sorted;
  for (size_t queue = 0; queue < kNumQueues; ++queue)
    for (uint32_t i = 0; i < program.queues[queue].size(); ++i)
      sorted.push_back({static_cast<Queue>(queue), i});
  std::ranges::sort(sorted, {}, [&](const CommandPlace &place) {
    uint32_t sequence =
        program.queues[static_cast<size_t>(place.queue)][place.index].sequence;
    return order.empty() ? sequence : order[sequence];
  });
  for (const CommandPlace &place : sorted)
    visit(place, nullptr);
}

void MemoryPass::checkOutputs() {
  for (size_t i = 2 + program.numInputs; i < program.slotBytes.size(); ++i) {
    uint64_t bytes = program.slotBytes[i];
    slot = static_cast<int32_t>(i);
    if (bytes == 0)
      continue;
    shadowOf(slot)->visitRow(
        0, bytes,
        [&](DramShadow::State &state, uint64_t mask, uint64_t granule,
            uint64_t) {
          if ((state.written & mask) == mask)
            return true;
          uint64_t begin = granule * kDramGranule;
          status = Status(
              StatusCode::Internal,
              concat("no command writes all of ",
                     bytesOf(begin, std::min(begin + kDramGranule, bytes))));
          return false;
        });
    if (!status.ok())
      return;
  }
}

static Status checkTables(const Program &program, const Machine &machine) {
  auto fail = [](const auto &...parts) {
    return Status(StatusCode::Internal, concat("the NPU program ", parts...));
  };
  if (program.slotBytes.size() < 2 + size_t(program.numInputs))
    return fail("has ", program.slotBytes.size(), " tensors and ",
                program.numInputs, " inputs");
  if (program.scratchpadBytes > machine.scratchpadBytes)
    return fail("needs ", program.scratchpadBytes,
                " bytes of scratchpad and the machine ", quote(machine.name),
                " has ", machine.scratchpadBytes);
  size_t numCommands = 0;
  for (const std::vector<Command> &queue : program.queues)
    numCommands += queue.size();
  std::vector<bool> isThere(numCommands);
  for (const std::vector<Command> &queue : program.queues)
    for (const Command &command : queue) {
      if (command.sequence >= numCommands || isThere[command.sequence])
        return fail("has sequence number ", command.sequence,
                    " twice or beyond its ", numCommands, " commands");
      isThere[command.sequence] = true;
      if (command.source >= program.sources.size())
        return fail("has a command of source ", command.source, " of ",
                    program.sources.size());
    }
  if (!program.flow.empty() && program.flow.size() != numCommands)
    return fail("knows the data flow of ", program.flow.size(), " commands of ",
                numCommands);
  return Status();
}

static Status checkFlow(const Program &program,
                        const std::vector<uint32_t> &flow) {
  for (size_t queue = 0; queue < kNumQueues; ++queue)
    for (uint32_t i = 0; i < program.queues[queue].size(); ++i) {
      uint32_t sequence = program.queues[queue][i].sequence;
      if (!program.flow.empty() && program.flow[sequence] != flow[sequence])
        return Status(StatusCode::Internal,
                      concat(describe(program, static_cast<Queue>(queue), i),
                             " reads or writes other bytes than it was meant "
                             "to: an address is wrong or live ranges overlap"));
    }
  return Status();
}

std::string npu::checkCommands(const Program &program, const Machine &machine) {
  for (size_t queue = 0; queue < kNumQueues; ++queue)
    for (uint32_t i = 0; i < program.queues[queue].size(); ++i)
      if (std::string problem =
              checkCommand(program.queues[queue][i], static_cast<Queue>(queue),
                           program, machine);
          !problem.empty())
        return concat(describe(program, static_cast<Queue>(queue), i), ": ",
                      problem);
  return {};
}

Status npu::verifyProgram(const Program &program, const Machine &machine) {
  if (Status status = checkTables(program, machine); !status.ok())
    return status;
  if (std::string problem = checkCommands(program, machine); !problem.empty())
    return Status(StatusCode::Internal, problem);
  Result<HappensBefore> happensBefore = computeHappensBefore(program);
  if (!happensBefore)
    return happensBefore.status();
  MemoryPass pass(program);
  pass.run(*happensBefore);
  if (pass.status.ok())
    pass.checkOutputs();
  if (!pass.status.ok())
    return pass.status;
  return checkFlow(program, pass.flow);
}

/// Of each command, what has ended when it starts.
static HappensBefore finishedAtStart(const Program &program,
                                     const Timeline &timeline) {
  HappensBefore result;
  std::array<std::vector<double>, kNumQueues> ends;
  for (size_t queue = 0; queue < kNumQueues; ++queue) {
    ends[queue].resize(program.queues[queue].size());
    result.clocks[queue].resize(program.queues[queue].size());
  }
  for (const Event &event : timeline.events)
    ends[static_cast<size_t>(event.queue)][event.index] = event.end;
  Clock finished = {};
  for (const Event &event : timeline.events) { // By start.
    for (size_t queue = 0; queue < kNumQueues; ++queue)
      while (finished[queue] < ends[queue].size() &&
             ends[queue][finished[queue]] <= event.start)
        ++finished[queue];
    result.clocks[static_cast<size_t>(event.queue)][event.index] = finished;
    result.order.push_back({event.queue, event.index});
  }
  return result;
}

Status npu::checkTimeline(const Program &program, const Timeline &timeline) {
  HappensBefore finished = finishedAtStart(program, timeline);
  MemoryPass pass(program);
  pass.run(finished);
  if (pass.status.ok())
    pass.checkOutputs();
  return pass.status.ok() ? checkFlow(program, pass.flow) : pass.status;
}

std::vector<uint32_t> npu::dataFlowOf(const Program &program,
                                      std::span<const uint32_t> order) {
  MemoryPass pass(program);
  pass.run(order);
  return std::move(pass.flow);
}
