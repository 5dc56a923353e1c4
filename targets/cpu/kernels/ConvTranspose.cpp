// Transposed convolution: gathers, for each result element, the inputs that
// reach it. Element by element (ConvGeneric.cpp).
#include "targets/cpu/kernels/ConvGeneric.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static SmallVector<int64_t> shapeOf(Value value) {
  return SmallVector<int64_t>(
      cast<RankedTensorType>(value.getType()).getShape());
}

Lowered efc::cpu::lowerConvTranspose(const KernelView &view, OpBuilder &main,
                                     DispatchBuilder &dispatches,
                                     const KernelOptions &) {
  auto op = dyn_cast_or_null<ef::ConvTransposeOp>(view.anchor);
  if (!op)
    return std::nullopt;
  GenericConv conv;
  conv.input = view.outer(op.getInput());
  conv.filter = view.outer(op.getFilter());
  if (!conv.input || !conv.filter)
    return std::nullopt;
  conv.transposed = true;
  conv.channelsLast = op.getLayout() == ef::Layout::ChannelsLast;
  conv.inputShape = shapeOf(op.getInput());
  conv.filterShape = shapeOf(op.getFilter());
  conv.resultShape = shapeOf(op.getResult());
  conv.strides.assign(op.getStrides().begin(), op.getStrides().end());
  conv.dilations.assign(op.getDilations().begin(), op.getDilations().end());
  conv.pads.assign(op.getPads().begin(),
                   op.getPads().begin() + conv.strides.size());
  conv.groups = op.getGroups();
  return emitGenericConv(view, conv, "conv_transpose", main, dispatches);
}
