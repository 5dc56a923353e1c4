// The entry for normalisations, and what NormsCommon.h declares. Mean and
// variance are accumulated in f64: one conversion an element costs less than
// the memory traffic, and the results do not suffer from a large mean.
#include "targets/cpu/kernels/NormsCommon.h"

#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

Value efc::cpu::toDouble(KernelBuilder &b, Value value) {
  if (getElementTypeOrSelf(value.getType()).isF64())
    return value;
  return arith::ExtFOp::create(b, withShapeOf(value.getType(), b.getF64Type()),
                               value);
}

Value efc::cpu::fromDouble(KernelBuilder &b, Value value, Type elementType) {
  Type type = withShapeOf(value.getType(), getComputeType(elementType));
  if (type == value.getType())
    return value;
  return arith::TruncFOp::create(b, type, value);
}

Value efc::cpu::sumLanes(KernelBuilder &b, Value value) {
  auto type = dyn_cast<VectorType>(value.getType());
  if (!type)
    return value;
  // Halving adds lane i to lane i + n / 2.
  for (int64_t lanes = type.getNumElements(); lanes > 1; lanes /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < lanes / 2; ++i) {
      low.push_back(i);
      high.push_back(lanes / 2 + i);
    }
    Value lower = vector::ShuffleOp::create(b, value, value, low);
    Value upper = vector::ShuffleOp::create(b, value, value, high);
    value = arith::AddFOp::create(b, lower, upper);
  }
  return vector::ExtractOp::create(b, value, 0);
}

SmallVector<Value>
efc::cpu::emitSums(KernelBuilder &b, Value lower, Value upper, size_t count,
                   function_ref<SmallVector<Value>(Value, int64_t)> term) {
  int64_t lanes = b.variant.lanes;
  Value zero = arith::ConstantOp::create(b, b.getF64FloatAttr(0));
  SmallVector<Value> initial(count, b.splat(zero, lanes));
  Value end =
      b.add(lower, b.mul(b.divFloor(b.sub(upper, lower), lanes), lanes));
  auto accumulate = [&](int64_t width) {
    return [&, width](Value i, ValueRange sums) {
      SmallVector<Value> next;
      for (auto [sum, value] : llvm::zip_equal(sums, term(i, width)))
        next.push_back(arith::AddFOp::create(b, sum, value));
      return next;
    };
  };
  SmallVector<Value> vectors =
      emitReductionLoop(b, lower, end, lanes, initial, accumulate(lanes));
  SmallVector<Value> sums;
  for (Value vector : vectors)
    sums.push_back(sumLanes(b, vector));
  return emitReductionLoop(b, end, upper, 1, sums, accumulate(1));
}

BroadcastRows::BroadcastRows(RankedTensorType from, RankedTensorType to)
    : shape(to.getShape()),
      strides(getBroadcastStrides(from.getShape(), to.getShape())) {
  if (shape.empty()) {
    shape.push_back(1);
    strides.push_back(1);
  }
}

Value BroadcastRows::getRowOffset(KernelBuilder &b, Value row) const {
  Value offset = b.index(0), rest = row;
  for (size_t d = shape.size() - 1; d-- > 0;) {
    if (strides[d] != 0)
      offset = b.add(offset,
                     b.mul(d == 0 ? rest : b.mod(rest, shape[d]), strides[d]));
    rest = b.divFloor(rest, shape[d]);
  }
  return offset;
}

LogicalResult efc::cpu::checkFusion(const KernelView &view) {
  std::string reason;
  if (!view.prologue.empty())
    reason = "it has operations before '" +
             view.anchor->getName().getStringRef().str() + "'";
  else if (Epilogue(view).isSupported(reason) && !Epilogue(view).isGated())
    return success();
  else if (reason.empty())
    reason = "its epilogue has a gate";
  return view.root->emitError("the CPU target cannot compile the kernel '")
         << view.label() << "': " << reason
         << "; compile without epilogue fusion";
}

int64_t efc::cpu::getRowsPerItem(int64_t columns) {
  return std::max<int64_t>(1, StridedLoop::kElementsPerItem /
                                  std::max<int64_t>(columns, 1));
}

Lowered efc::cpu::lowerNorm(const KernelView &view, OpBuilder &main,
                            DispatchBuilder &dispatches,
                            const KernelOptions &) {
  if (!isa_and_nonnull<ef::GroupNormOp, ef::LayerNormOp, ef::SoftmaxOp>(
          view.anchor))
    return std::nullopt;
  if (failed(checkFusion(view)))
    return FailureOr<SmallVector<Value>>(failure());
  if (isa<ef::GroupNormOp>(view.anchor))
    return lowerGroupNorm(view, main, dispatches);
  if (isa<ef::LayerNormOp>(view.anchor))
    return lowerLayerNorm(view, main, dispatches);
  return lowerSoftmax(view, main, dispatches);
}
