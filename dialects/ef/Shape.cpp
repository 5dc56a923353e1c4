// Operations that only rearrange or repeat elements: reshape, transpose,
// broadcast.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/StridedCopy.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace efc::ef;

/// The splat of `type` with the value of `attr`, or null if that is no splat
/// constant.
static Attribute splatOf(Attribute attr, Type type) {
  auto splat = dyn_cast_if_present<SplatElementsAttr>(attr);
  return splat ? splat.resizeSplat(cast<ShapedType>(type)) : Attribute();
}

//===----------------------------------------------------------------------===//
// reshape
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  auto from = cast<RankedTensorType>(getInput().getType()),
       to = cast<RankedTensorType>(getType());
  if (from.getElementType() != to.getElementType())
    return emitOpError() << "cannot change the element type from "
                         << from.getElementType() << " to "
                         << to.getElementType() << "; that takes an ef.cast";
  if (from.getNumElements() != to.getNumElements())
    return emitOpError() << "cannot give the " << from.getNumElements()
                         << " elements of " << from << " the shape of " << to
                         << ", which has " << to.getNumElements();
  return success();
}

LogicalResult ReshapeOp::evaluate(ArrayRef<HostTensor> operands,
                                  SmallVectorImpl<HostTensor> &results) {
  results.push_back(operands[0].withType(cast<RankedTensorType>(getType())));
  return success();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (auto dense = dyn_cast_if_present<DenseElementsAttr>(adaptor.getInput()))
    return dense.reshape(cast<ShapedType>(getType()));
  if (auto inner = getInput().getDefiningOp<ReshapeOp>()) {
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

//===----------------------------------------------------------------------===//
// transpose
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  ArrayRef<int64_t> permutation = adaptor.getPermutation();
  SmallVector<int64_t> shape;
  llvm::SmallBitVector seen(input.getRank());
  for (int64_t dim : permutation) {
    if (dim < 0 || dim >= input.getRank() || seen.test(dim))
      break;
    seen.set(dim);
    shape.push_back(input.getDimSize(dim));
  }
  if (static_cast<int64_t>(permutation.size()) != input.getRank() ||
      !seen.all())
    return emitOptionalError(
        location, "ef.transpose needs each dimension of ", input,
        " exactly once in its permutation, but has [", permutation, "]");
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult TransposeOp::verify() { return success(); }

LogicalResult TransposeOp::evaluate(ArrayRef<HostTensor> operands,
                                    SmallVectorImpl<HostTensor> &results) {
  HostTensor result(cast<RankedTensorType>(getType()));
  SmallVector<int64_t> inputStrides = getStrides(operands[0].getShape());
  SmallVector<int64_t> fromStrides =
      applyPermutation(inputStrides, getPermutation());
  copyStrided(operands[0].getBytes().data(), fromStrides,
              result.getMutableBytes().data(), getStrides(result.getShape()),
              result.getShape(), getElementBytes(result.getElementType()));
  results.push_back(std::move(result));
  return success();
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (isIdentityPermutation(getPermutation()))
    return getInput();
  if (Attribute splat = splatOf(adaptor.getInput(), getType()))
    return splat;
  if (auto inner = getInput().getDefiningOp<TransposeOp>()) {
    setPermutation(applyPermutation(inner.getPermutation(), getPermutation()));
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

//===----------------------------------------------------------------------===//
// broadcast
//===----------------------------------------------------------------------===//

LogicalResult BroadcastOp::verify() {
  auto from = cast<RankedTensorType>(getInput().getType()),
       to = cast<RankedTensorType>(getType());
  if (from.getElementType() != to.getElementType())
    return emitOpError() << "cannot change the element type from "
                         << from.getElementType() << " to "
                         << to.getElementType();
  int64_t added = to.getRank() - from.getRank();
  if (added < 0)
    return emitOpError() << "cannot broadcast " << from
                         << " to the lower rank of " << to;
  for (auto [dim, extent] : llvm::enumerate(from.getShape()))
    if (extent != 1 && extent != to.getDimSize(dim + added))
      return emitOpError() << "cannot broadcast " << from << " to " << to
                           << ": dimension " << dim << " is " << extent
                           << ", neither 1 nor " << to.getDimSize(dim + added);
  return success();
}

LogicalResult BroadcastOp::evaluate(ArrayRef<HostTensor> operands,
                                    SmallVectorImpl<HostTensor> &results) {
  HostTensor result(cast<RankedTensorType>(getType()));
  ArrayRef<int64_t> from = operands[0].getShape();
  SmallVector<int64_t> fromStrides(result.getShape().size() - from.size(), 0);
  for (auto [extent, stride] : llvm::zip_equal(from, getStrides(from)))
    fromStrides.push_back(extent == 1 ? 0 : stride);
  copyStrided(operands[0].getBytes().data(), fromStrides,
              result.getMutableBytes().data(), getStrides(result.getShape()),
              result.getShape(), getElementBytes(result.getElementType()));
  results.push_back(std::move(result));
  return success();
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (Attribute splat = splatOf(adaptor.getInput(), getType()))
    return splat;
  if (auto inner = getInput().getDefiningOp<BroadcastOp>()) {
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}
