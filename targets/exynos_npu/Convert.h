// From the `npu` dialect to the runtime's structures.
#ifndef EFC_TARGETS_EXYNOSNPU_CONVERT_H
#define EFC_TARGETS_EXYNOSNPU_CONVERT_H

#include "dialects/ef/WeightStore.h"
#include "dialects/npu/NpuDialect.h"
#include "npu/Machine.h"

namespace efc::npu {

/// The command of an operation: addresses are the allocations' (0 where they
/// have none yet) plus the views'. `sequence` and `source` are left 0.
efrt::npu::Command toCommand(CommandOpInterface op);

/// A scheduled and synchronised program. Fails with a diagnostic at an
/// operation that has no queue or a buffer that has no address.
llvm::FailureOr<efrt::npu::Program> toProgram(ProgramOp program);

/// The constants of a program in the order of their offsets in its weights,
/// which do not overlap.
llvm::SmallVector<ConstantOp> constantsOf(ProgramOp program);
int64_t bytesOf(ConstantOp constant);
/// Evaluates a constant and writes its elements in the order that commands read
/// them. `bytes` has bytesOf(constant) bytes.
llvm::Error writeConstant(ConstantOp constant, ef::WeightStore &store,
                          llvm::MutableArrayRef<char> bytes);

} // namespace efc::npu

#endif
