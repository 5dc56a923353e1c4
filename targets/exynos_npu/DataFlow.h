// What each command is meant to read, taken before anything moves: the
// verifier's independent word on scheduling and allocation.
#ifndef EFC_TARGETS_EXYNOSNPU_DATAFLOW_H
#define EFC_TARGETS_EXYNOSNPU_DATAFLOW_H

#include "dialects/npu/NpuDialect.h"
#include "npu/Command.h"

namespace efc::npu {

/// The commands of a program as they were emitted, with buffers at addresses
/// that no other buffer has from their first to their last use in that order.
class EmittedCommands {
public:
  /// Before the schedule. Buffers must have no addresses, and have none after.
  explicit EmittedCommands(ProgramOp program);

  /// After it: sets the program's `flow` for its commands in their new order.
  void setFlow(ProgramOp program);

private:
  void placeBuffers(ProgramOp program);

  llvm::DenseMap<mlir::Operation *, uint32_t> indices;
  std::vector<efrt::npu::Command> commands;
  uint64_t bytes = 0; ///< End of the highest buffer.
};

} // namespace efc::npu

#endif
