// Static checks of a program: what hardware would not forgive, found without
// running it. Independent of how the compiler schedules and allocates: it sees
// commands, addresses and waits only.
#ifndef EFRT_NPU_VERIFIER_H
#define EFRT_NPU_VERIFIER_H

#include "efrt/Status.h"
#include "npu/Timing.h"

#include <span>
#include <string>
#include <vector>

namespace efrt::npu {

/// "command 12 of gte0 (sequence 340: conv3x3+silu of '/unet/conv_in')".
std::string describe(const Program &program, Queue queue, uint32_t index);

/// Checks one command by itself: an engine that exists and runs this kind,
/// element types, extents that agree, addresses aligned and inside the
/// scratchpad and the tensors, registers that hold something, results whose
/// elements are apart. What passes is safe to execute on memory of the
/// program's sizes. The sentence does not name the command; empty: correct.
std::string checkCommand(const Command &command, Queue queue,
                         const Program &program, const Machine &machine);

/// checkCommand() of all commands: what is wrong with the first that it
/// refuses, which is named, or empty.
std::string checkCommands(const Program &program, const Machine &machine);

/// All of a program, by checkCommands() and then:
///  - waits: every command gets to run (no deadlock);
///  - races: two accesses of one granule, one of them writing, are ordered by
///    queue order and waits;
///  - reads only see bytes that something wrote; each byte of the outputs is
///    written; inputs and weights never are;
///  - overlapping live ranges: nothing is overwritten before it is read; and,
///  if
///    the program has `flow`, each command reads what it was meant to.
/// Returns the first problem: both commands (queue, index, sequence), their
/// ONNX nodes, the bytes. Fails with Internal: a wrong program is the
/// compiler's mistake.
Status verifyProgram(const Program &program, const Machine &machine);

/// The memory checks of verifyProgram() for one run in time: instead of queue
/// order and waits, a command is finished at its end in `timeline`. What the
/// simulator checks, on any machine that a program is run on.
Status checkTimeline(const Program &program, const Timeline &timeline);

/// For each command, by sequence, a fingerprint of what it reads: which command
/// wrote which of its bytes there (scratchpad, workspace), and from where in
/// which tensor, with commands taken in the order of `order[sequence]`, or of
/// `sequence` if that is empty. Addresses in the scratchpad do not enter. A
/// program whose buffers are all apart (each at an address of its own, a
/// multiple of kDramGranule), in the order in which its commands were meant,
/// gives what any schedule and allocation of it must give: Program::flow.
std::vector<uint32_t> dataFlowOf(const Program &program,
                                 std::span<const uint32_t> order = {});

} // namespace efrt::npu

#endif
