// The leaves of the graph: ef.constant and ef.weight.
#include "dialects/ef/EfDialect.h"

using namespace mlir;
using namespace efc::ef;

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

LogicalResult ConstantOp::evaluate(ArrayRef<HostTensor>,
                                   SmallVectorImpl<HostTensor> &results) {
  auto dense = dyn_cast<DenseElementsAttr>(getValue());
  if (!dense || !getElementBytes(dense.getElementType()))
    return emitOpError("holds a value that is neither dense nor of a numeric "
                       "type; it cannot be evaluated");
  results.push_back(HostTensor::fromAttr(dense));
  return success();
}

LogicalResult WeightOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  if (!getElementBytes(type.getElementType()))
    return emitOpError()
           << "'" << getName() << "' has element type " << type.getElementType()
           << ", which has no size in a file; use an integer or float type";
  if (getFile().empty())
    return emitOpError() << "'" << getName() << "' names no file";
  if (static_cast<int64_t>(getOffset()) < 0)
    return emitOpError() << "'" << getName()
                         << "' starts at the negative offset "
                         << static_cast<int64_t>(getOffset());
  int64_t bytes = getElementBytes(type.getElementType());
  for (int64_t extent : type.getShape())
    if (__builtin_mul_overflow(bytes, extent, &bytes))
      return emitOpError() << "'" << getName()
                           << "' has a shape of more than 2^63 bytes: " << type;
  return success();
}
