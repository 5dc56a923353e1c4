// Ctrl-C ends the work between two launches, so that nothing is left
// half-written.
#ifndef EFRT_TOOLS_INTERRUPT_H
#define EFRT_TOOLS_INTERRUPT_H

namespace efrun {

/// What a shell reports for a process that SIGINT ended.
inline constexpr int kInterruptedExitCode = 130;

/// From now on SIGINT and SIGTERM only set a flag; a second one ends the
/// process.
void catchInterrupts();

bool isInterrupted();

} // namespace efrun

#endif
