// Copies of n-dimensional boxes of elements: the common core of every
// evaluation that only moves data.
#ifndef EFC_DIALECTS_EF_STRIDEDCOPY_H
#define EFC_DIALECTS_EF_STRIDEDCOPY_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>

namespace efc::ef {

/// Copies a box of `shape` elements of `elementBytes` bytes. Strides are in
/// elements and may be zero or negative; `from` and `to` point at the box's
/// first element. The two boxes must not overlap.
void copyStrided(const char *from, llvm::ArrayRef<int64_t> fromStrides,
                 char *to, llvm::ArrayRef<int64_t> toStrides,
                 llvm::ArrayRef<int64_t> shape, size_t elementBytes);

/// Calls `visit` with every index of `shape` in row-major order, once with an
/// empty one for rank zero.
void forEachIndex(llvm::ArrayRef<int64_t> shape,
                  llvm::function_ref<void(llvm::ArrayRef<int64_t>)> visit);

} // namespace efc::ef

#endif
