// Cutting and joining: slice, concat.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/StridedCopy.h"

using namespace mlir;
using namespace efc::ef;

//===----------------------------------------------------------------------===//
// slice
//===----------------------------------------------------------------------===//

LogicalResult SliceOp::verify() {
  auto from = cast<RankedTensorType>(getInput().getType()),
       to = cast<RankedTensorType>(getType());
  size_t rank = from.getRank();
  if (from.getElementType() != to.getElementType() ||
      from.getRank() != to.getRank())
    return emitOpError() << "must keep element type and rank, but takes "
                         << from << " to " << to;
  if (getStarts().size() != rank || getSteps().size() != rank)
    return emitOpError() << "needs a start and a step for each of the " << rank
                         << " dimensions of " << from;
  for (size_t dim = 0; dim < rank; ++dim) {
    int64_t start = getStarts()[dim], step = getSteps()[dim],
            count = to.getDimSize(dim), extent = from.getDimSize(dim);
    if (step == 0)
      return emitOpError() << "has step 0 in dimension " << dim;
    int64_t last = 0;
    bool overflows = __builtin_mul_overflow(count - 1, step, &last) ||
                     __builtin_add_overflow(last, start, &last);
    if (count > 0 && (overflows || start < 0 || start >= extent || last < 0 ||
                      last >= extent))
      return emitOpError() << "takes " << count << " elements from " << start
                           << " by steps of " << step << " in dimension " << dim
                           << ", which leaves its extent of " << extent;
  }
  return success();
}

LogicalResult SliceOp::evaluate(ArrayRef<HostTensor> operands,
                                SmallVectorImpl<HostTensor> &results) {
  HostTensor result(cast<RankedTensorType>(getType()));
  size_t elementBytes = getElementBytes(result.getElementType());
  SmallVector<int64_t> fromStrides = getStrides(operands[0].getShape());
  int64_t begin = 0;
  for (size_t dim = 0; dim < fromStrides.size(); ++dim) {
    begin += getStarts()[dim] * fromStrides[dim];
    fromStrides[dim] *= getSteps()[dim];
  }
  if (result.getNumElements())
    copyStrided(operands[0].getBytes().data() +
                    begin * static_cast<int64_t>(elementBytes),
                fromStrides, result.getMutableBytes().data(),
                getStrides(result.getShape()), result.getShape(), elementBytes);
  results.push_back(std::move(result));
  return success();
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  bool takesAll = getInput().getType() == getType() &&
                  llvm::all_of(getStarts(), [](int64_t s) { return s == 0; }) &&
                  llvm::all_of(getSteps(), [](int64_t s) { return s == 1; });
  if (takesAll)
    return getInput();
  if (auto splat = dyn_cast_if_present<SplatElementsAttr>(adaptor.getInput()))
    return splat.resizeSplat(cast<ShapedType>(getType()));
  auto inner = getInput().getDefiningOp<SliceOp>();
  if (!inner || cast<ShapedType>(getType()).getNumElements() == 0)
    return {};
  SmallVector<int64_t> starts, steps;
  for (size_t dim = 0; dim < getStarts().size(); ++dim) {
    starts.push_back(inner.getStarts()[dim] +
                     getStarts()[dim] * inner.getSteps()[dim]);
    // A single element has no step, and the product of two arbitrary steps
    // could overflow.
    bool single = cast<ShapedType>(getType()).getDimSize(dim) == 1;
    steps.push_back(single ? 1 : inner.getSteps()[dim] * getSteps()[dim]);
  }
  setStarts(starts);
  setSteps(steps);
  getInputMutable().assign(inner.getInput());
  return getResult();
}

//===----------------------------------------------------------------------===//
// concat
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  if (adaptor.getInputs().empty())
    return emitOptionalError(location, "ef.concat needs at least one operand");
  auto first = cast<RankedTensorType>(adaptor.getInputs().front().getType());
  int64_t axis = adaptor.getAxis();
  if (axis < 0 || axis >= first.getRank())
    return emitOptionalError(location, "ef.concat has axis ", axis, ", but ",
                             first, " has ", first.getRank(), " dimensions");
  SmallVector<int64_t> shape(first.getShape());
  shape[axis] = 0;
  for (auto [index, value] : llvm::enumerate(adaptor.getInputs())) {
    auto type = cast<RankedTensorType>(value.getType());
    bool matches = type.getElementType() == first.getElementType() &&
                   type.getRank() == first.getRank();
    for (int64_t dim = 0; matches && dim < first.getRank(); ++dim)
      matches = dim == axis || type.getDimSize(dim) == first.getDimSize(dim);
    if (!matches)
      return emitOptionalError(
          location, "ef.concat cannot join operand ", index, " of type ", type,
          " to the first one of type ", first, " along dimension ", axis,
          ": element types and all other dimensions must be equal");
    shape[axis] += type.getDimSize(axis);
  }
  types.push_back(first.clone(shape));
  return success();
}

LogicalResult ConcatOp::verify() { return success(); }

LogicalResult ConcatOp::evaluate(ArrayRef<HostTensor> operands,
                                 SmallVectorImpl<HostTensor> &results) {
  HostTensor result(cast<RankedTensorType>(getType()));
  size_t elementBytes = getElementBytes(result.getElementType());
  SmallVector<int64_t> toStrides = getStrides(result.getShape());
  char *to = result.getMutableBytes().data();
  for (const HostTensor &operand : operands) {
    copyStrided(operand.getBytes().data(), getStrides(operand.getShape()), to,
                toStrides, operand.getShape(), elementBytes);
    to += operand.getShape()[getAxis()] * toStrides[getAxis()] *
          static_cast<int64_t>(elementBytes);
  }
  results.push_back(std::move(result));
  return success();
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  return getInputs().size() == 1 ? OpFoldResult(getInputs().front())
                                 : OpFoldResult();
}
