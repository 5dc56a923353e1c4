// Permutations of dimensions, and the one pair that the layout pass moves
// around: channels first <-> channels last.
//
// As in ef.transpose, result dimension i is input dimension permutation[i].
#ifndef EFC_PASSES_LAYOUT_PERMUTATION_H
#define EFC_PASSES_LAYOUT_PERMUTATION_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>

namespace efc {

using Permutation = llvm::SmallVector<int64_t>;

/// [N, spatial..., C] -> [N, C, spatial...]
Permutation getToChannelsFirst(int64_t rank);
/// [N, C, spatial...] -> [N, spatial..., C]
Permutation getToChannelsLast(int64_t rank);

bool isIdentity(llvm::ArrayRef<int64_t> permutation);

/// `values`, one per dimension of a transpose's input, in the order of its
/// result.
llvm::SmallVector<int64_t> permute(llvm::ArrayRef<int64_t> values,
                                   llvm::ArrayRef<int64_t> permutation);

/// The permutation of transposing by `first`, then by `second`.
Permutation compose(llvm::ArrayRef<int64_t> first,
                    llvm::ArrayRef<int64_t> second);

/// True if transposing a tensor of `shape` leaves its elements where they are,
/// because only dimensions of one change place.
bool movesNothing(llvm::ArrayRef<int64_t> shape,
                  llvm::ArrayRef<int64_t> permutation);

} // namespace efc

#endif
