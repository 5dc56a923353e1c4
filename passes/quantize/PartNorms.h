// Group norms of a concatenation whose parts are of very different size.
#ifndef EFC_PASSES_QUANTIZE_PARTNORMS_H
#define EFC_PASSES_QUANTIZE_PARTNORMS_H

#include "passes/quantize/CalibrationTable.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace efc {

/// Rewrites norm(concat(a, b)) to concat(norm(a), norm(b)), with the
/// element-wise functions that follow, where no group has channels of two parts
/// and one scale for both parts would cost the smaller one more than four bits.
/// The real values stay the same. Gives the number of norms rewritten.
size_t normalizeParts(mlir::func::FuncOp function,
                      const CalibrationTable &table);

} // namespace efc

#endif
