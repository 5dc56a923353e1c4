// Permutations of dimensions; see Permutation.h.
#include "passes/layout/Permutation.h"

#include "llvm/ADT/STLExtras.h"

#include <numeric>

using namespace efc;
using llvm::ArrayRef;

Permutation efc::getToChannelsFirst(int64_t rank) {
  Permutation result(rank);
  std::iota(result.begin(), result.end(), 0);
  std::rotate(result.begin() + 1, result.end() - 1, result.end());
  return result;
}

Permutation efc::getToChannelsLast(int64_t rank) {
  Permutation result(rank);
  std::iota(result.begin(), result.end(), 0);
  std::rotate(result.begin() + 1, result.begin() + 2, result.end());
  return result;
}

bool efc::isIdentity(ArrayRef<int64_t> permutation) {
  return llvm::all_of(llvm::enumerate(permutation), [](auto entry) {
    return static_cast<int64_t>(entry.index()) == entry.value();
  });
}

llvm::SmallVector<int64_t> efc::permute(ArrayRef<int64_t> values,
                                        ArrayRef<int64_t> permutation) {
  return llvm::map_to_vector(permutation,
                             [&](int64_t dim) { return values[dim]; });
}

Permutation efc::compose(ArrayRef<int64_t> first, ArrayRef<int64_t> second) {
  return permute(first, second);
}

bool efc::movesNothing(ArrayRef<int64_t> shape, ArrayRef<int64_t> permutation) {
  int64_t last = -1;
  for (int64_t dim : permutation) {
    if (shape[dim] == 1)
      continue;
    if (dim < last)
      return false;
    last = dim;
  }
  return true;
}
