// The simulator of the NPU: works on what encoded bytes decode to, gives each
// program its simulated times by the event model, and executes commands in the
// order in which they start there.
#ifndef EFRT_NPU_SIMULATOR_SIMULATOR_H
#define EFRT_NPU_SIMULATOR_SIMULATOR_H

#include "npu/Timing.h"
#include "npu/simulator/Execution.h"
#include "runtime/core/AlignedMemory.h"

#include <functional>
#include <memory>

namespace efrt::npu {

class Simulator {
public:
  /// `threads` as in SessionOptions; with `timingOnly` nothing is executed.
  static Result<std::unique_ptr<Simulator>>
  create(const Machine &machine, unsigned threads, bool timingOnly);

  /// Decodes `bytes`, checks every command, simulates the program's time and,
  /// unless timingOnly, what hardware would not forgive in it: accesses that
  /// overlap in time, reads of what nothing wrote. Fails with CorruptData,
  /// naming the command and its ONNX node.
  Status addProgram(std::string name, std::span<const std::byte> bytes);

  size_t numPrograms() const { return programs.size(); }
  const std::string &nameOf(size_t index) const { return programs[index].name; }
  const Program &program(size_t index) const { return programs[index].program; }
  /// Simulated.
  const Timeline &timeline(size_t index) const {
    return programs[index].timeline;
  }
  const Machine &machine() const { return theMachine; }

  /// Executes a program; tensors are its slots, of its sizes. Does nothing with
  /// timingOnly. The scratchpad's content does not outlive it.
  Status run(size_t index, std::span<void *const> tensors);

private:
  struct LoadedProgram {
    std::string name;
    Program program;
    Timeline timeline;
  };

  Simulator() = default;

  Machine theMachine;
  bool timingOnly = false;
  std::vector<LoadedProgram> programs;
  AlignedMemory scratch;
  simulator::Workbench workbench;
  std::unique_ptr<ThreadPool> pool; ///< Null with timingOnly.
};

} // namespace efrt::npu

#endif
