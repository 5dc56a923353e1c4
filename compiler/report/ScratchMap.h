// Which bytes of the scratchpad hold what, and when: for the address x time map
// of the report. Found from the commands alone, so it shows what the artifact
// does and not what the compiler meant.
#ifndef EFC_COMPILER_REPORT_SCRATCHMAP_H
#define EFC_COMPILER_REPORT_SCRATCHMAP_H

#include "compiler/report/CompileReport.h"

namespace efc {

/// A range of addresses from the command that begins to write it to the last
/// command that uses it before something else is written there.
struct ScratchBuffer {
  uint32_t address = 0, bytes = 0;
  double start = 0, end = 0; ///< Cycles.
  uint32_t event = 0;        ///< The first writer, in Timeline::events.
};

/// Most bytes that are in use at once.
uint64_t peakBytesOf(const std::vector<ScratchBuffer> &buffers);

/// By start.
std::vector<ScratchBuffer> scratchBuffersOf(const NpuPartition &partition);

} // namespace efc

#endif
