#include "Mutations.h"

#include "npu/Verifier.h"

#include <algorithm>
#include <optional>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::test;

const char *test::nameOf(MutationKind kind) {
  static constexpr const char *names[kNumMutationKinds] = {
      "swapped waits",  "missing wait",     "lowered wait",
      "missing notify", "swapped commands", "overlapping buffers",
      "wrong address",  "wrong offset",     "shortened DMA"};
  return names[static_cast<size_t>(kind)];
}

/// Calls visit(address) for each place of the scratchpad that a command names.
template <typename Visit> static void forEachAddress(Body &body, Visit visit) {
  auto program = [&](VectorProgram &vector) {
    for (View &operand : vector.operands)
      visit(operand.address);
    visit(vector.result.address);
  };
  if (auto *dma = std::get_if<DmaCommand>(&body)) {
    visit(dma->address);
  } else if (auto *tensor = std::get_if<TensorCommand>(&body)) {
    visit(tensor->input.address);
    visit(tensor->weights.address);
    if (tensor->gated)
      visit(tensor->gateWeights.address);
    program(tensor->epilogue);
  } else if (auto *vector = std::get_if<VectorCommand>(&body)) {
    program(vector->program);
  } else if (auto *softmax = std::get_if<SoftmaxCommand>(&body)) {
    for (View *view : {&softmax->input, &softmax->result, &softmax->sums})
      visit(view->address);
  } else if (auto *stats = std::get_if<NormStatsCommand>(&body)) {
    visit(stats->input.address);
    visit(stats->stats.address);
  } else if (auto *factors = std::get_if<NormFactorsCommand>(&body)) {
    for (View *view : {&factors->stats, &factors->gamma, &factors->beta,
                       &factors->factors, &factors->biases})
      visit(view->address);
  } else if (auto *norm = std::get_if<LayerNormCommand>(&body)) {
    for (View *view : {&norm->input, &norm->gamma, &norm->beta})
      visit(view->address);
    program(norm->epilogue);
  }
}

namespace {
class Mutator {
public:
  Mutator(Program &program, std::mt19937 &generator)
      : program(program), generator(generator) {}

  /// False if the program has nothing that could be changed so.
  bool apply(MutationKind kind);
  std::string changed; ///< Which command.

private:
  uint32_t below(size_t bound) {
    return static_cast<uint32_t>(generator() % bound);
  }
  /// A random command for which `isFit` holds; null: a hundred were not.
  template <typename Fit> Command *pick(Fit isFit);
  bool swapWaits();
  bool changeWait(bool lower);
  bool dropNotify();
  bool swapCommands();
  bool overlapBuffers();
  bool changeAddress();
  bool changeOffset();
  bool shortenDma();

  Program &program;
  std::mt19937 &generator;
  size_t queue = 0, index = 0; ///< Of what pick() found.
};
} // namespace

template <typename Fit> Command *Mutator::pick(Fit isFit) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    queue = below(kNumQueues);
    if (program.queues[queue].empty())
      continue;
    index = below(program.queues[queue].size());
    Command &command = program.queues[queue][index];
    if (!isFit(command))
      continue;
    changed = describe(program, static_cast<Queue>(queue),
                       static_cast<uint32_t>(index));
    return &command;
  }
  return nullptr;
}

bool Mutator::swapWaits() {
  Command *first =
      pick([](const Command &command) { return !command.waits.empty(); });
  if (!first)
    return false;
  std::vector<Command> &commands = program.queues[queue];
  Command &second = commands[below(commands.size())];
  std::swap(first->waits, second.waits);
  return &second != first;
}

bool Mutator::changeWait(bool lower) {
  Command *command =
      pick([](const Command &command) { return !command.waits.empty(); });
  if (!command)
    return false;
  auto wait = command->waits.begin() + below(command->waits.size());
  if (lower && wait->count > 1)
    --wait->count;
  else
    command->waits.erase(wait);
  return true;
}

bool Mutator::dropNotify() {
  Command *command =
      pick([](const Command &command) { return command.notify; });
  if (command)
    command->notify = false;
  return command != nullptr;
}

bool Mutator::swapCommands() {
  Command *command = pick([&](const Command &) {
    return index + 1 < program.queues[queue].size();
  });
  if (!command)
    return false;
  // The bodies change places, waits and notifications stay.
  std::swap(command->body, program.queues[queue][index + 1].body);
  std::swap(command->sequence, program.queues[queue][index + 1].sequence);
  return true;
}

bool Mutator::overlapBuffers() {
  Command *writer = pick([](const Command &) { return true; });
  if (!writer || program.scratchpadBytes < 128)
    return false;
  std::optional<Access> buffer;
  for (const Access &access : accessesOf(*writer))
    if (access.isWrite && access.slot < 0)
      buffer = access;
  if (!buffer)
    return false;
  uint64_t end = buffer->base + buffer->rowBytes;
  for (size_t i = 0; i < 4; ++i)
    end += (buffer->extents[i] - 1) * static_cast<uint64_t>(buffer->strides[i]);
  // Until something else is written there.
  uint32_t first = writer->sequence, last = UINT32_MAX;
  for (const std::vector<Command> &commands : program.queues)
    for (const Command &command : commands)
      for (const Access &access : accessesOf(command))
        if (access.isWrite && access.slot < 0 && access.base == buffer->base &&
            command.sequence > first)
          last = std::min(last, command.sequence);
  uint32_t room = program.scratchpadBytes - static_cast<uint32_t>(end) +
                  static_cast<uint32_t>(buffer->base);
  uint32_t target = below(room / 64 + 1) * 64;
  if (target == buffer->base)
    return false;
  for (std::vector<Command> &commands : program.queues)
    for (Command &command : commands)
      if (command.sequence >= first && command.sequence < last)
        forEachAddress(command.body, [&](uint32_t &address) {
          if (address >= buffer->base && address < end)
            address = address - static_cast<uint32_t>(buffer->base) + target;
        });
  return true;
}

bool Mutator::changeAddress() {
  Command *command = pick([](const Command &) { return true; });
  if (!command)
    return false;
  size_t count = 0;
  forEachAddress(command->body, [&](uint32_t &) { ++count; });
  size_t chosen = below(count), at = 0;
  uint32_t target = below(2) ? below(program.scratchpadBytes / 64 + 1) * 64 : 0;
  int32_t step = (below(2) ? 1 : -1) * int32_t(64 << below(6));
  bool isChanged = false;
  forEachAddress(command->body, [&](uint32_t &address) {
    if (at++ != chosen)
      return;
    uint32_t before = address;
    address = target > 0 ? target : address + static_cast<uint32_t>(step);
    isChanged = address != before;
  });
  return isChanged;
}

static bool isDma(const Command &command) {
  return std::holds_alternative<DmaCommand>(command.body);
}

bool Mutator::changeOffset() {
  Command *command = pick(isDma);
  if (!command)
    return false;
  auto &dma = std::get<DmaCommand>(command->body);
  uint64_t step = uint64_t(64) << below(10);
  dma.offset =
      below(2) && dma.offset >= step ? dma.offset - step : dma.offset + step;
  return true;
}

bool Mutator::shortenDma() {
  Command *command = pick(isDma);
  if (!command)
    return false;
  auto &dma = std::get<DmaCommand>(command->body);
  size_t dimension = below(dma.extents.size());
  if (dma.extents[dimension] == 1)
    return false;
  dma.extents[dimension] -= 1 + below(dma.extents[dimension] - 1);
  return true;
}

bool Mutator::apply(MutationKind kind) {
  switch (kind) {
  case MutationKind::SwappedWaits:
    return swapWaits();
  case MutationKind::MissingWait:
    return changeWait(/*lower=*/false);
  case MutationKind::LoweredWait:
    return changeWait(/*lower=*/true);
  case MutationKind::MissingNotify:
    return dropNotify();
  case MutationKind::SwappedCommands:
    return swapCommands();
  case MutationKind::OverlappingBuffers:
    return overlapBuffers();
  case MutationKind::WrongAddress:
    return changeAddress();
  case MutationKind::WrongOffset:
    return changeOffset();
  case MutationKind::ShortenedDma:
    return shortenDma();
  }
  return false;
}

Mutation test::mutate(const Program &program, std::mt19937 &generator) {
  for (;;) {
    Mutation mutation;
    mutation.program = program;
    mutation.kind = static_cast<MutationKind>(generator() % kNumMutationKinds);
    Mutator mutator(mutation.program, generator);
    if (!mutator.apply(mutation.kind))
      continue;
    mutation.command = mutator.changed;
    return mutation;
  }
}

Judgement test::judge(
    const Program &program, const Machine &machine,
    const std::vector<std::byte> &expected,
    const std::function<std::vector<std::byte>(const Program &)> &outputsOf) {
  if (Status status = verifyProgram(program, machine); !status.ok())
    return {Outcome::CaughtByVerifier, status.message()};
  Timeline timeline = simulateTime(program, machine);
  if (timeline.deadlocked)
    return {Outcome::CaughtBySimulator, timeline.problem};
  if (Status status = checkTimeline(program, timeline); !status.ok())
    return {Outcome::CaughtBySimulator, status.message()};
  return {outputsOf(program) == expected ? Outcome::Harmless : Outcome::Missed,
          ""};
}
