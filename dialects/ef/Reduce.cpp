// Operations along axes: ef.reduce, ef.arg_reduce, ef.cumsum, ef.top_k.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Scalar.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"

#include <cmath>
#include <limits>
#include <numeric>

using namespace mlir;
using namespace efc::ef;

static LogicalResult checkAxis(std::optional<Location> location, StringRef name,
                               int64_t axis, RankedTensorType input) {
  if (axis >= 0 && axis < input.getRank())
    return success();
  return emitOptionalError(location, name, ": axis ", axis,
                           " does not exist in the input ",
                           formatShape(input.getShape()));
}

//===--- reduce
//-------------------------------------------------------------------------------------------------------------------------===//

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  bool isExtremum = adaptor.getKind() == ReduceKind::Max ||
                    adaptor.getKind() == ReduceKind::Min;
  if (input.getElementType().isInteger(1) && !isExtremum)
    return emitOptionalError(location, "reduce ",
                             stringifyReduceKind(adaptor.getKind()),
                             " is not defined for booleans");
  SmallVector<bool> isReduced(input.getRank(), false);
  for (int64_t axis : adaptor.getAxes()) {
    if (failed(checkAxis(location, "reduce", axis, input)))
      return failure();
    if (isReduced[axis])
      return emitOptionalError(location, "reduce: axis ", axis,
                               " is listed twice");
    isReduced[axis] = true;
  }
  Shape shape;
  for (auto [dim, extent] : llvm::enumerate(input.getShape())) {
    if (!isReduced[dim])
      shape.push_back(extent);
    else if (adaptor.getKeepDims())
      shape.push_back(1);
  }
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult ReduceOp::verify() { return success(); }

/// What an empty reduction gives (ONNX: the smallest value of the type for max,
/// the largest for min).
template <typename T> static T getNeutralElement(ReduceKind kind, Type type) {
  bool isMax = kind == ReduceKind::Max;
  if (kind == ReduceKind::Prod)
    return 1;
  if (!isMax && kind != ReduceKind::Min)
    return 0;
  if constexpr (std::is_same_v<T, double>) {
    return isMax ? -std::numeric_limits<double>::infinity()
                 : std::numeric_limits<double>::infinity();
  } else {
    unsigned width = type.getIntOrFloatBitWidth();
    bool isUnsigned = std::is_unsigned_v<T>;
    APInt extreme = isUnsigned ? (isMax ? APInt::getMinValue(width)
                                        : APInt::getMaxValue(width))
                               : (isMax ? APInt::getSignedMinValue(width)
                                        : APInt::getSignedMaxValue(width));
    return static_cast<T>(isUnsigned
                              ? extreme.getZExtValue()
                              : static_cast<uint64_t>(extreme.getSExtValue()));
  }
}

static BinaryKind getCombiner(ReduceKind kind) {
  switch (kind) {
  case ReduceKind::Sum:
  case ReduceKind::Mean:
    return BinaryKind::Add;
  case ReduceKind::Max:
    return BinaryKind::Max;
  case ReduceKind::Min:
    return BinaryKind::Min;
  case ReduceKind::Prod:
    return BinaryKind::Mul;
  }
  llvm_unreachable("all kinds are handled");
}

template <typename T>
static HostTensor reduce(ReduceOp op, const HostTensor &input) {
  ArrayRef<int64_t> shape = input.getShape();
  Shape kept(shape);
  for (int64_t axis : op.getAxes())
    kept[axis] = 1;
  Shape strides = getBroadcastStrides(kept, shape);
  std::vector<T> values = readValues<T>(input);
  std::vector<T> result(
      op.getType().getNumElements(),
      getNeutralElement<T>(op.getKind(), input.getElementType()));
  BinaryKind combiner = getCombiner(op.getKind());
  for (size_t index = 0; index < values.size(); ++index) {
    int64_t rest = index, target = 0;
    for (size_t dim = shape.size(); dim-- > 0; rest /= shape[dim])
      target += rest % shape[dim] * strides[dim];
    result[target] = applyBinary(combiner, result[target], values[index]);
  }
  if (op.getKind() == ReduceKind::Mean) {
    int64_t count = 1;
    for (int64_t axis : op.getAxes())
      count *= shape[axis];
    for (T &value : result)
      if (count != 0 || std::is_same_v<T, double>)
        value /= static_cast<T>(count);
  }
  return makeTensor<T>(op.getType(), result);
}

LogicalResult ReduceOp::evaluate(ArrayRef<HostTensor> operands,
                                 SmallVectorImpl<HostTensor> &results) {
  results.push_back(
      dispatchValueType(getType().getElementType(), [&](auto zero) {
        return reduce<decltype(zero)>(*this, operands[0]);
      }));
  return success();
}

//===--- arg_reduce
//---------------------------------------------------------------------------------------------------------------------===//

/// `a` stands before `b` among the largest; NaN counts as larger than
/// everything.
template <typename T> static bool isLarger(T a, T b) {
  if constexpr (std::is_same_v<T, double>)
    if (std::isnan(a) || std::isnan(b))
      return std::isnan(a) && !std::isnan(b);
  return a > b;
}

LogicalResult ArgReduceOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  int64_t axis = adaptor.getAxis();
  if (failed(checkAxis(location, "arg_reduce", axis, input)))
    return failure();
  if (input.getDimSize(axis) == 0)
    return emitOptionalError(location, "arg_reduce: axis ", axis,
                             " of the input ", formatShape(input.getShape()),
                             " is empty");
  Shape shape(input.getShape());
  if (adaptor.getKeepDims())
    shape[axis] = 1;
  else
    shape.erase(shape.begin() + axis);
  types.push_back(RankedTensorType::get(shape, IntegerType::get(context, 64)));
  return success();
}

LogicalResult ArgReduceOp::verify() { return success(); }

LogicalResult ArgReduceOp::evaluate(ArrayRef<HostTensor> operands,
                                    SmallVectorImpl<HostTensor> &results) {
  AxisView view(operands[0].getShape(), getAxis());
  HostTensor result(getType());
  dispatchValueType(operands[0].getElementType(), [&](auto zero) {
    auto values = readValues<decltype(zero)>(operands[0]);
    for (int64_t outer = 0; outer < view.outer; ++outer)
      for (int64_t inner = 0; inner < view.inner; ++inner) {
        auto at = [&](int64_t i) {
          return values[(outer * view.extent + i) * view.inner + inner];
        };
        int64_t best = 0;
        for (int64_t i = 1; i < view.extent; ++i) {
          bool better = getMinimum() ? isLarger(at(best), at(i))
                                     : isLarger(at(i), at(best));
          bool worse = getMinimum() ? isLarger(at(i), at(best))
                                    : isLarger(at(best), at(i));
          if (better || (getSelectLast() && !worse))
            best = i;
        }
        result.setInt(outer * view.inner + inner, best);
      }
  });
  results.push_back(result);
  return success();
}

//===--- cumsum
//-------------------------------------------------------------------------------------------------------------------------===//

LogicalResult CumSumOp::verify() {
  if (getType().getElementType().isInteger(1))
    return emitOpError() << "is not defined for booleans";
  return checkAxis(getLoc(), "cumsum", getAxis(), getType());
}

LogicalResult CumSumOp::evaluate(ArrayRef<HostTensor> operands,
                                 SmallVectorImpl<HostTensor> &results) {
  AxisView view(getType().getShape(), getAxis());
  results.push_back(
      dispatchValueType(getType().getElementType(), [&](auto zero) {
        using T = decltype(zero);
        std::vector<T> values = readValues<T>(operands[0]);
        for (int64_t outer = 0; outer < view.outer; ++outer)
          for (int64_t inner = 0; inner < view.inner; ++inner) {
            T sum = 0;
            for (int64_t step = 0; step < view.extent; ++step) {
              int64_t i = getReverse() ? view.extent - 1 - step : step;
              T &value = values[(outer * view.extent + i) * view.inner + inner];
              T next = applyBinary(BinaryKind::Add, sum, value);
              value = getExclusive() ? sum : next;
              sum = next;
            }
          }
        return makeTensor<T>(getType(), values);
      }));
  return success();
}

//===--- top_k
//--------------------------------------------------------------------------------------------------------------------------===//

LogicalResult TopKOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> location,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  int64_t axis = adaptor.getAxis(), k = adaptor.getK();
  if (failed(checkAxis(location, "top_k", axis, input)))
    return failure();
  if (k < 0 || k > input.getDimSize(axis))
    return emitOptionalError(location, "top_k: k = ", k, ", but axis ", axis,
                             " of the input ", formatShape(input.getShape()),
                             " has ", input.getDimSize(axis), " elements");
  Shape shape(input.getShape());
  shape[axis] = k;
  types.push_back(input.clone(shape));
  types.push_back(RankedTensorType::get(shape, IntegerType::get(context, 64)));
  return success();
}

LogicalResult TopKOp::verify() { return success(); }

LogicalResult TopKOp::evaluate(ArrayRef<HostTensor> operands,
                               SmallVectorImpl<HostTensor> &results) {
  AxisView view(operands[0].getShape(), getAxis());
  HostTensor valuesOut(getValues().getType()),
      indicesOut(getIndices().getType());
  int64_t k = getK();
  dispatchValueType(operands[0].getElementType(), [&](auto zero) {
    auto values = readValues<decltype(zero)>(operands[0]);
    std::vector<int64_t> order(view.extent);
    for (int64_t outer = 0; outer < view.outer; ++outer)
      for (int64_t inner = 0; inner < view.inner; ++inner) {
        auto at = [&](int64_t i) {
          return values[(outer * view.extent + i) * view.inner + inner];
        };
        std::iota(order.begin(), order.end(), 0);
        // Equal elements stay in the order of their indices.
        llvm::sort(order, [&](int64_t i, int64_t j) {
          auto first = getSmallest() ? at(j) : at(i),
               second = getSmallest() ? at(i) : at(j);
          if (isLarger(first, second) || isLarger(second, first))
            return isLarger(first, second);
          return i < j;
        });
        for (int64_t i = 0; i < k; ++i) {
          int64_t target = (outer * k + i) * view.inner + inner;
          storeValue(valuesOut, target, at(order[i]));
          indicesOut.setInt(target, order[i]);
        }
      }
  });
  results.append({valuesOut, indicesOut});
  return success();
}
