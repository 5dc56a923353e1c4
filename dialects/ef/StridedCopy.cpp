// Copies of n-dimensional boxes of elements.
#include "dialects/ef/StridedCopy.h"

#include "llvm/ADT/STLExtras.h"

#include <cstring>

using namespace efc::ef;
using llvm::ArrayRef;
using llvm::SmallVector;

void efc::ef::forEachIndex(ArrayRef<int64_t> shape,
                           llvm::function_ref<void(ArrayRef<int64_t>)> visit) {
  if (llvm::is_contained(shape, 0))
    return;
  SmallVector<int64_t> index(shape.size(), 0);
  while (true) {
    visit(index);
    size_t dim = shape.size();
    while (dim > 0 && ++index[dim - 1] == shape[dim - 1])
      index[--dim] = 0;
    if (dim == 0)
      return;
  }
}

template <size_t N>
static void copyRow(const char *from, int64_t fromStride, char *to,
                    int64_t toStride, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(to + i * toStride * static_cast<int64_t>(N),
                from + i * fromStride * static_cast<int64_t>(N), N);
}

static void copyInner(const char *from, int64_t fromStride, char *to,
                      int64_t toStride, int64_t count, size_t elementBytes) {
  if (fromStride == 1 && toStride == 1) {
    std::memcpy(to, from, count * elementBytes);
    return;
  }
  switch (elementBytes) {
  case 1:
    return copyRow<1>(from, fromStride, to, toStride, count);
  case 2:
    return copyRow<2>(from, fromStride, to, toStride, count);
  case 4:
    return copyRow<4>(from, fromStride, to, toStride, count);
  case 8:
    return copyRow<8>(from, fromStride, to, toStride, count);
  default:
    for (int64_t i = 0, step = elementBytes; i < count; ++i)
      std::memcpy(to + i * toStride * step, from + i * fromStride * step,
                  elementBytes);
  }
}

void efc::ef::copyStrided(const char *from, ArrayRef<int64_t> fromStrides,
                          char *to, ArrayRef<int64_t> toStrides,
                          ArrayRef<int64_t> shape, size_t elementBytes) {
  if (llvm::is_contained(shape, 0))
    return;
  if (shape.empty()) {
    std::memcpy(to, from, elementBytes);
    return;
  }
  int64_t bytes = elementBytes;
  if (shape.size() == 1)
    return copyInner(from, fromStrides[0], to, toStrides[0], shape[0],
                     elementBytes);
  for (int64_t i = 0; i < shape[0]; ++i)
    copyStrided(from + i * fromStrides[0] * bytes, fromStrides.drop_front(),
                to + i * toStrides[0] * bytes, toStrides.drop_front(),
                shape.drop_front(), elementBytes);
}
