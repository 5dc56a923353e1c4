// What each command is meant to read, taken before anything moves: the
// verifier's independent word on scheduling and allocation.
#ifndef EFC_TARGETS_EXYNOSNPU_DATAFLOW_H
#define EFC_TARGETS_EXYNOSNPU_DATAFLOW_H

#include "dialects/npu/NpuDialect.h"
#include "npu/Command.h"

namespace efc::npu {

/// The commands of a program as they were emitted, with every buffer at an
/// address of its own.
class EmittedCommands {
public:
  /// Before the schedule. Buffers must have no addresses.
  explicit EmittedCommands(ProgramOp program);

  /// After it: sets the program's `flow` for its commands in their new order.
  /// Leaves it out where buffers live too long to have addresses of their own
  /// in 32 bits.
  void setFlow(ProgramOp program);

private:
  /// False if the addresses would meet again while a buffer is alive.
  bool placeBuffers(ProgramOp program);

  llvm::DenseMap<mlir::Operation *, uint32_t> indices;
  std::vector<efrt::npu::Command> commands;
};

} // namespace efc::npu

#endif
