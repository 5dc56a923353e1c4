// The softmax of an attention and what stands between it and its two matrix
// products.
#ifndef EFC_PASSES_CANONICALIZE_ATTENTIONPATTERN_H
#define EFC_PASSES_CANONICALIZE_ATTENTIONPATTERN_H

#include "dialects/ef/EfDialect.h"

#include <string>

namespace efc::ef {

/// matmul -> scale, mask, casts, softmax, NaN guard, casts -> matmul, as found
/// around one softmax.
struct AttentionPattern {
  MatmulOp scores;        ///< queries times keys
  MatmulOp output;        ///< probabilities times values
  unsigned probabilities; ///< which operand of `output` they are
  double scale = 1;       ///< product of the scales on the scores
  struct Mask {
    mlir::Value value; ///< float: added to the scores; i1: keeps where true
    llvm::SmallVector<int64_t>
        scoresShape;      ///< the shape of the scores where the mask meets them
    bool negated = false; ///< i1: keeps where false
  };
  llvm::SmallVector<Mask, 2> masks;
  /// Why there is no match, once both matrix products were found: for people.
  std::string failure;
};

/// Matches around `softmax`. Returns nothing where this is no attention at all;
/// sets `failure` where it nearly is one.
std::optional<AttentionPattern> matchAttention(SoftmaxOp softmax);

} // namespace efc::ef

#endif
