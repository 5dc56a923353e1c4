// Program <-> the bytes of an artifact's NpuCommands section. The layout, word
// by word: docs/exynos-npu.md, "Binary encoding".
#ifndef EFRT_NPU_ENCODING_H
#define EFRT_NPU_ENCODING_H

#include "efrt/Status.h"
#include "npu/Timing.h"

#include <span>
#include <vector>

namespace efrt::npu {

/// Fails with Internal for what has no encoding: a count, offset or index that
/// is too large for its field, more than one wait for a queue. Deterministic.
Result<std::vector<std::byte>> encodeProgram(const Program &program);

/// `bytes` may be anything: fails with CorruptData, one sentence that names the
/// queue and command, unless all of it is a program as encodeProgram() writes
/// it. What is decoded is well-formed (enumerators, counts, indices into the
/// program's own tables, sequence numbers); whether it makes sense on a machine
/// is for verifyProgram() and checkCommand() to say.
///
/// decode(encode(p)) equals p but for strides of dimensions of extent 1, which
/// become 0, and waits, which are sorted by queue.
Result<Program> decodeProgram(std::span<const std::byte> bytes);

/// The NpuSchedule section: a program's events in the order of `timeline`.
std::vector<std::byte> encodeSchedule(const Timeline &timeline);
/// Fails with CorruptData unless each command of `program` is in it once.
Result<std::vector<Event>> decodeSchedule(std::span<const std::byte> bytes,
                                          const Program &program);

} // namespace efrt::npu

#endif
