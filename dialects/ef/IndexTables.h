// Which elements of the input one index of the result is made from, dimension
// by dimension: the meaning of ef.pad and ef.resize in a form that both
// reference evaluation and code generation use.
#ifndef EFC_DIALECTS_EF_INDEXTABLES_H
#define EFC_DIALECTS_EF_INDEXTABLES_H

#include "dialects/ef/EfDialect.h"

#include <vector>

namespace efc::ef {

/// One index of ef.pad's result comes from this index of the input, or is
/// padding (-1).
std::vector<int64_t> makePadSources(PadOp op, int64_t dim);

/// The elements of the input that one element of ef.resize's result is the
/// weighted sum of. `first` may lie outside; outside is the edge element.
struct ResizeSample {
  int64_t first = 0;
  llvm::SmallVector<double, 4> weights;
  bool extrapolated = false;
};
/// One sample for each index of the result; all have as many weights.
std::vector<ResizeSample> makeResizeSamples(ResizeOp op, int64_t dim);
/// Whether dimension `dim` passes through unchanged.
bool isResizeUntouched(ResizeOp op, int64_t dim);

} // namespace efc::ef

#endif
