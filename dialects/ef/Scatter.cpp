// Writing by index: scatter_elements, scatter_nd. Updates apply in row-major
// order, so that the last of two updates of one element stays.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/IndexRange.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/StridedCopy.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace efc::ef;

static HostTensor copyOf(const HostTensor &tensor) {
  HostTensor copy(tensor.getType());
  llvm::copy(tensor.getBytes(), copy.getMutableBytes().begin());
  return copy;
}

template <typename T> static T combine(ScatterKind kind, T old, T update) {
  switch (kind) {
  case ScatterKind::None:
    return update;
  case ScatterKind::Add:
    return old + update;
  case ScatterKind::Mul:
    return old * update;
  case ScatterKind::Max:
    return old > update || old != old ? old : update;
  case ScatterKind::Min:
    return old < update || old != old ? old : update;
  }
  llvm_unreachable("all kinds are handled");
}

/// Applies element `from` of `updates` to element `to` of `result`.
static void updateElement(ScatterKind kind, HostTensor &result, int64_t to,
                          const HostTensor &updates, int64_t from) {
  if (isa<FloatType>(result.getElementType()))
    return result.setFloat(
        to, combine<double>(kind, result.getFloat(to), updates.getFloat(from)));
  // Unsigned arithmetic wraps around and keeps the order of unsigned types;
  // signed types compare as signed.
  bool ordered = kind == ScatterKind::Max || kind == ScatterKind::Min;
  if (ordered && !result.getElementType().isUnsignedInteger())
    return result.setInt(
        to, combine<int64_t>(kind, result.getInt(to), updates.getInt(from)));
  result.setInt(
      to, combine<uint64_t>(kind, result.getInt(to), updates.getInt(from)));
}

//===----------------------------------------------------------------------===//
// scatter_elements
//===----------------------------------------------------------------------===//

LogicalResult ScatterElementsOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  auto updates = cast<RankedTensorType>(getUpdates().getType());
  if (updates.getShape() != indices.getShape() ||
      updates.getElementType() != input.getElementType())
    return emitOpError() << "needs one update of type "
                         << input.getElementType()
                         << " for each index, but has " << updates << " for "
                         << indices;
  return checkElementIndices("ef.scatter_elements", getLoc(), input, indices,
                             getAxis());
}

LogicalResult
ScatterElementsOp::evaluate(ArrayRef<HostTensor> operands,
                            SmallVectorImpl<HostTensor> &results) {
  const HostTensor &indices = operands[1], &updates = operands[2];
  HostTensor result = copyOf(operands[0]);
  SmallVector<int64_t> strides = getStrides(result.getShape());
  int64_t axis = getAxis(), position = 0;
  bool valid = true;
  forEachIndex(indices.getShape(), [&](ArrayRef<int64_t> place) {
    if (!valid)
      return;
    FailureOr<int64_t> index = normalizeIndex(*this, indices.getInt(position),
                                              result.getShape()[axis], axis);
    if (!(valid = succeeded(index)))
      return;
    int64_t to = 0;
    for (auto [dim, coordinate] : llvm::enumerate(place))
      to += (static_cast<int64_t>(dim) == axis ? *index : coordinate) *
            strides[dim];
    updateElement(getKind(), result, to, updates, position++);
  });
  results.push_back(std::move(result));
  return success(valid);
}

//===----------------------------------------------------------------------===//
// scatter_nd
//===----------------------------------------------------------------------===//

LogicalResult ScatterNDOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  auto updates = cast<RankedTensorType>(getUpdates().getType());
  int64_t depth = indices.getRank() ? indices.getShape().back() : 0;
  if (depth < 1 || depth > input.getRank())
    return emitOpError() << "has indices of " << depth
                         << " coordinates into the " << input.getRank()
                         << " dimensions of " << input;
  SmallVector<int64_t> expected(indices.getShape().drop_back());
  llvm::append_range(expected, input.getShape().drop_front(depth));
  if (updates != input.clone(expected))
    return emitOpError() << "needs updates of type " << input.clone(expected)
                         << ", but has " << updates;
  return success();
}

LogicalResult ScatterNDOp::evaluate(ArrayRef<HostTensor> operands,
                                    SmallVectorImpl<HostTensor> &results) {
  const HostTensor &indices = operands[1], &updates = operands[2];
  HostTensor result = copyOf(operands[0]);
  SmallVector<int64_t> strides = getStrides(result.getShape());
  int64_t depth = indices.getShape().back(), sliceElements = strides[depth - 1];
  for (int64_t tuple = 0, e = indices.getNumElements() / depth; tuple < e;
       ++tuple) {
    int64_t to = 0;
    for (int64_t dim = 0; dim < depth; ++dim) {
      FailureOr<int64_t> index =
          normalizeIndex(*this, indices.getInt(tuple * depth + dim),
                         result.getShape()[dim], dim);
      if (failed(index))
        return failure();
      to += *index * strides[dim];
    }
    for (int64_t i = 0; i < sliceElements; ++i)
      updateElement(getKind(), result, to + i, updates,
                    tuple * sliceElements + i);
  }
  results.push_back(std::move(result));
  return success();
}
