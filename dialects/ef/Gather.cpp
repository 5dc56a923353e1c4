// Reading by index: gather, gather_elements, gather_nd. Negative indices count
// from the end, as in ONNX.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/IndexRange.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/StridedCopy.h"

#include <cstring>

using namespace mlir;
using namespace efc::ef;

//===----------------------------------------------------------------------===//
// gather
//===----------------------------------------------------------------------===//

LogicalResult GatherOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  ArrayRef<int64_t> indices =
      cast<RankedTensorType>(adaptor.getIndices().getType()).getShape();
  int64_t axis = adaptor.getAxis();
  if (axis < 0 || axis >= input.getRank())
    return emitOptionalError(location, "ef.gather has axis ", axis, ", but ",
                             input, " has ", input.getRank(), " dimensions");
  SmallVector<int64_t> shape(input.getShape().take_front(axis));
  shape.append(indices.begin(), indices.end());
  llvm::append_range(shape, input.getShape().drop_front(axis + 1));
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult GatherOp::verify() { return success(); }

LogicalResult GatherOp::evaluate(ArrayRef<HostTensor> operands,
                                 SmallVectorImpl<HostTensor> &results) {
  const HostTensor &input = operands[0], &indices = operands[1];
  HostTensor result(cast<RankedTensorType>(getType()));
  ArrayRef<int64_t> shape = input.getShape();
  int64_t axis = getAxis(), extent = shape[axis], outer = 1;
  size_t innerBytes = getElementBytes(input.getElementType());
  for (int64_t dim : shape.take_front(axis))
    outer *= dim;
  for (int64_t dim : shape.drop_front(axis + 1))
    innerBytes *= dim;
  char *to = result.getMutableBytes().data();
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t k = 0, count = indices.getNumElements(); k < count;
         ++k, to += innerBytes) {
      FailureOr<int64_t> index =
          normalizeIndex(*this, indices.getInt(k), extent, axis);
      if (failed(index))
        return failure();
      std::memcpy(to,
                  input.getBytes().data() + (i * extent + *index) * innerBytes,
                  innerBytes);
    }
  results.push_back(std::move(result));
  return success();
}

//===----------------------------------------------------------------------===//
// gather_elements
//===----------------------------------------------------------------------===//

LogicalResult GatherElementsOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> location, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  auto indices = cast<RankedTensorType>(adaptor.getIndices().getType());
  if (failed(checkElementIndices("ef.gather_elements", location, input, indices,
                                 adaptor.getAxis())))
    return failure();
  types.push_back(input.clone(indices.getShape()));
  return success();
}

LogicalResult GatherElementsOp::verify() { return success(); }

LogicalResult GatherElementsOp::evaluate(ArrayRef<HostTensor> operands,
                                         SmallVectorImpl<HostTensor> &results) {
  const HostTensor &input = operands[0], &indices = operands[1];
  HostTensor result(cast<RankedTensorType>(getType()));
  int64_t axis = getAxis(), position = 0;
  size_t elementBytes = getElementBytes(input.getElementType());
  SmallVector<int64_t> strides = getStrides(input.getShape());
  char *to = result.getMutableBytes().data();
  bool valid = true;
  forEachIndex(indices.getShape(), [&](ArrayRef<int64_t> place) {
    if (!valid)
      return;
    FailureOr<int64_t> index = normalizeIndex(*this, indices.getInt(position),
                                              input.getShape()[axis], axis);
    if (!(valid = succeeded(index)))
      return;
    int64_t from = 0;
    for (auto [dim, coordinate] : llvm::enumerate(place))
      from += (static_cast<int64_t>(dim) == axis ? *index : coordinate) *
              strides[dim];
    std::memcpy(to + position++ * elementBytes,
                input.getBytes().data() + from * elementBytes, elementBytes);
  });
  results.push_back(std::move(result));
  return success(valid);
}

//===----------------------------------------------------------------------===//
// gather_nd
//===----------------------------------------------------------------------===//

LogicalResult GatherNDOp::inferReturnTypes(MLIRContext *,
                                           std::optional<Location> location,
                                           Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  auto indices = cast<RankedTensorType>(adaptor.getIndices().getType());
  int64_t batchDims = adaptor.getBatchDims();
  if (batchDims < 0 || batchDims >= input.getRank() ||
      batchDims >= indices.getRank())
    return emitOptionalError(location, "ef.gather_nd has ", batchDims,
                             " batch dimensions, too many for ", input, " and ",
                             indices);
  if (input.getShape().take_front(batchDims) !=
      indices.getShape().take_front(batchDims))
    return emitOptionalError(location, "ef.gather_nd: the first ", batchDims,
                             " dimensions of ", input, " and ", indices,
                             " differ");
  int64_t depth = indices.getShape().back();
  if (depth < 1 || depth > input.getRank() - batchDims)
    return emitOptionalError(location, "ef.gather_nd has indices of ", depth,
                             " coordinates into the ",
                             input.getRank() - batchDims,
                             " indexed dimensions of ", input);
  SmallVector<int64_t> shape(indices.getShape().drop_back());
  llvm::append_range(shape, input.getShape().drop_front(batchDims + depth));
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult GatherNDOp::verify() { return success(); }

LogicalResult GatherNDOp::evaluate(ArrayRef<HostTensor> operands,
                                   SmallVectorImpl<HostTensor> &results) {
  const HostTensor &input = operands[0], &indices = operands[1];
  HostTensor result(cast<RankedTensorType>(getType()));
  int64_t batchDims = getBatchDims(), depth = indices.getShape().back(),
          tuples = 1, batches = 1;
  for (int64_t dim : indices.getShape().drop_back())
    tuples *= dim;
  for (int64_t dim : input.getShape().take_front(batchDims))
    batches *= dim;
  SmallVector<int64_t> strides = getStrides(input.getShape());
  size_t elementBytes = getElementBytes(input.getElementType());
  size_t sliceBytes = strides[batchDims + depth - 1] * elementBytes;
  int64_t batchStride = batches ? input.getNumElements() / batches : 0;
  char *to = result.getMutableBytes().data();
  for (int64_t tuple = 0; tuple < tuples; ++tuple, to += sliceBytes) {
    int64_t from = tuple / (tuples / batches) * batchStride;
    for (int64_t k = 0; k < depth; ++k) {
      int64_t dim = batchDims + k;
      FailureOr<int64_t> index = normalizeIndex(
          *this, indices.getInt(tuple * depth + k), input.getShape()[dim], dim);
      if (failed(index))
        return failure();
      from += *index * strides[dim];
    }
    std::memcpy(to, input.getBytes().data() + from * elementBytes, sliceBytes);
  }
  results.push_back(std::move(result));
  return success();
}
