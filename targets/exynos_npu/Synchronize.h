// Waits between queues.
#ifndef EFC_TARGETS_EXYNOSNPU_SYNCHRONIZE_H
#define EFC_TARGETS_EXYNOSNPU_SYNCHRONIZE_H

#include "dialects/npu/NpuDialect.h"

namespace efc::npu {

struct SynchronizeResult {
  int64_t waits = 0, notifies = 0;
};

/// Sets `waits` and `notify` so that commands of different queues that touch
/// the same granule, one of them writing, run in serial order. All commands
/// have queues and addresses.
SynchronizeResult synchronizeProgram(ProgramOp program);

} // namespace efc::npu

#endif
