// The patterns of efc-simplify that have files of their own.
#ifndef EFC_PASSES_CANONICALIZE_SIMPLIFYPATTERNS_H
#define EFC_PASSES_CANONICALIZE_SIMPLIFYPATTERNS_H

#include "mlir/IR/PatternMatch.h"

namespace efc::ef {

void populateSlicePatterns(mlir::RewritePatternSet &patterns);

} // namespace efc::ef

#endif
