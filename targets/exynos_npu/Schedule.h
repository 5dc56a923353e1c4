// The order of a program's commands and the places of its buffers.
#ifndef EFC_TARGETS_EXYNOSNPU_SCHEDULE_H
#define EFC_TARGETS_EXYNOSNPU_SCHEDULE_H

#include "dialects/npu/NpuDialect.h"
#include "npu/Machine.h"

namespace efc::npu {

struct ScheduleOptions {
  /// Loads move up over at most this many commands; 0: not at all.
  int64_t lookahead = 512;
};

struct ScheduleResult {
  int64_t prefetched = 0; ///< Loads that moved up.
  int64_t peakBytes = 0;  ///< Highest address used.
  int64_t liveBytes = 0;  ///< Largest sum of buffers alive in serial order.
};

/// Moves loads up as far as memory allows, gives each buffer its address, each
/// command its queue and estimate. Fails with a diagnostic if a buffer finds no
/// place: required and available bytes, the memory map, what to do.
llvm::FailureOr<ScheduleResult>
scheduleProgram(ProgramOp program, const efrt::npu::Machine &machine,
                const ScheduleOptions &options);

} // namespace efc::npu

#endif
