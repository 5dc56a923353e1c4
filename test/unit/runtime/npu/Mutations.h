// Schedules broken on purpose: what a compiler with a bug in its allocation or
// synchronisation could emit. Each must be caught by the verifier or the
// simulator, or be proved harmless by equal results.
#ifndef EFC_TEST_UNIT_RUNTIME_NPU_MUTATIONS_H
#define EFC_TEST_UNIT_RUNTIME_NPU_MUTATIONS_H

#include "npu/Machine.h"

#include <functional>
#include <random>
#include <string>

namespace efrt::npu::test {

enum class MutationKind {
  SwappedWaits, ///< Of two commands of a queue.
  MissingWait,
  LoweredWait, ///< Holds one notification too early.
  MissingNotify,
  SwappedCommands,    ///< Neighbours in a queue.
  OverlappingBuffers, ///< A buffer, with all that use it, moved onto others.
  WrongAddress,       ///< Of one operand in the scratchpad.
  WrongOffset,        ///< Of one transfer in DRAM.
  ShortenedDma,
};
inline constexpr size_t kNumMutationKinds =
    static_cast<size_t>(MutationKind::ShortenedDma) + 1;
const char *nameOf(MutationKind kind);

struct Mutation {
  MutationKind kind = MutationKind::SwappedWaits;
  std::string command; ///< Which one was changed.
  Program program;
};

/// A random change; the same generator state gives the same one.
Mutation mutate(const Program &program, std::mt19937 &generator);

enum class Outcome { CaughtByVerifier, CaughtBySimulator, Harmless, Missed };

struct Judgement {
  Outcome outcome;
  std::string message; ///< What caught it.
};

/// `outputsOf` runs a program and returns the bytes of its outputs; `expected`
/// are those of the unchanged one.
Judgement
judge(const Program &program, const Machine &machine,
      const std::vector<std::byte> &expected,
      const std::function<std::vector<std::byte>(const Program &)> &outputsOf);

} // namespace efrt::npu::test

#endif
