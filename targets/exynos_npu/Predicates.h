// What the NPU executes. One table of constraints for each kind of operation:
// the partitioner asks it, the report of what stays on the CPU quotes it, and
// docs/supported-ops.md is printed from it.
#ifndef EFC_TARGETS_EXYNOSNPU_PREDICATES_H
#define EFC_TARGETS_EXYNOSNPU_PREDICATES_H

#include "mlir/IR/Operation.h"

#include <optional>
#include <string>

namespace efc::npu {

/// Why an operation stays on the CPU.
struct Refusal {
  std::string constraint; ///< What does not hold, as in docs/supported-ops.md.
  std::string advice;     ///< What the user can do; may be empty.
  /// "constraint; advice".
  std::string text() const;
};

/// Nothing if the NPU can execute `op`, an operation of @main that is no
/// constant expression.
std::optional<Refusal> findRefusal(mlir::Operation *op);

/// Moves or renames elements; worth no launch of its own.
bool isMovementOnly(mlir::Operation *op);

/// docs/supported-ops.md.
void printSupportedOps(llvm::raw_ostream &os);

} // namespace efc::npu

#endif
