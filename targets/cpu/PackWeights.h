// The bytes of what @main holds constant: weights as they are, expressions over
// them, and cpu.pack.
#ifndef EFC_TARGETS_CPU_PACKWEIGHTS_H
#define EFC_TARGETS_CPU_PACKWEIGHTS_H

#include "dialects/ef/WeightStore.h"

namespace efc::cpu {

/// Evaluates `value`; the element type of a cpu.pack may be narrower than its
/// operand's (bf16 from f32, rounded to nearest even).
llvm::Expected<ef::HostTensor> evaluateConstant(mlir::Value value,
                                                ef::WeightStore &store);

} // namespace efc::cpu

#endif
