// Shape arithmetic that the operations, the importer and the passes share:
// broadcasting, axes, windows, strides.
#ifndef EFC_DIALECTS_EF_SHAPES_H
#define EFC_DIALECTS_EF_SHAPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <optional>
#include <string>

namespace efc::ef {

using Shape = llvm::SmallVector<int64_t>;

/// The shape that numpy's rules broadcast `a` and `b` to, or nothing if two
/// extents differ and neither is one.
std::optional<Shape> broadcastShapes(llvm::ArrayRef<int64_t> a,
                                     llvm::ArrayRef<int64_t> b);

/// True if a tensor of `shape` broadcasts to exactly `target` (so that `target`
/// is not enlarged by it).
bool broadcastsTo(llvm::ArrayRef<int64_t> shape,
                  llvm::ArrayRef<int64_t> target);

/// `axis` counted from the front, or nothing unless -rank <= axis < rank.
std::optional<int64_t> normalizeAxis(int64_t axis, int64_t rank);

/// Number of window positions of a convolution or pooling along one dimension:
/// floor((in + pads - dilated kernel) / stride) + 1; zero or less where the
/// kernel does not fit.
int64_t convOutputExtent(int64_t input, int64_t kernel, int64_t stride,
                         int64_t padBegin, int64_t padEnd, int64_t dilation);

/// Extent of a transposed convolution: stride * (in - 1) + output padding +
/// dilated kernel - pads.
int64_t convTransposeOutputExtent(int64_t input, int64_t kernel, int64_t stride,
                                  int64_t padBegin, int64_t padEnd,
                                  int64_t dilation, int64_t outputPadding);

int64_t getNumElements(llvm::ArrayRef<int64_t> shape);

/// Row-major strides in elements.
Shape getStrides(llvm::ArrayRef<int64_t> shape);

/// For each dimension of `target`, by how many elements a row-major tensor of
/// `shape` that broadcasts to it advances: 0 where it repeats.
Shape getBroadcastStrides(llvm::ArrayRef<int64_t> shape,
                          llvm::ArrayRef<int64_t> target);

/// "[1, 3, 48, 192]", for messages.
std::string formatShape(llvm::ArrayRef<int64_t> shape);

/// A tensor seen along one axis: element (o, i, n) stands at (o * extent + i) *
/// inner + n.
struct AxisView {
  int64_t outer = 1, extent = 1, inner = 1;
  AxisView(llvm::ArrayRef<int64_t> shape, int64_t axis);
};

} // namespace efc::ef

#endif
