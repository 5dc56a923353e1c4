// Picks the algorithm of a convolution: a matrix product for 1x1, Winograd
// where it is the faster one, implicit GEMM for what is channels-last and not
// grouped, vectors of channels for depthwise ones, plain loops for the rest.
#include "targets/cpu/kernels/Conv.h"

#include "dialects/ef/WeightStore.h"
#include "targets/cpu/kernels/Gemm.h"
#include "targets/cpu/kernels/QuantizedOperands.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static std::string kernelLabel(ArrayRef<int64_t> kernel) {
  std::string label = "conv";
  for (auto [i, size] : llvm::enumerate(kernel))
    label += (i ? "x" : "") + std::to_string(size);
  return label;
}

/// The convolution in two dimensions; nothing if it is channels-first or
/// three-dimensional.
static std::optional<Conv2d> asConv2d(ef::ConvOp op, Value input,
                                      Value filter) {
  auto inputShape = cast<RankedTensorType>(input.getType()).getShape();
  auto filterShape = cast<RankedTensorType>(filter.getType()).getShape();
  auto shape = cast<RankedTensorType>(op.getResult().getType()).getShape();
  size_t spatial = inputShape.size() - 2;
  if (op.getLayout() != ef::Layout::ChannelsLast || spatial < 1 || spatial > 2)
    return std::nullopt;
  Conv2d conv;
  conv.n = shape[0];
  conv.c = inputShape.back();
  conv.m = shape.back();
  conv.groups = op.getGroups();
  conv.input = input;
  conv.filter = filter;
  conv.label = kernelLabel(filterShape.drop_front(2));
  size_t last = spatial - 1;
  conv.w = inputShape[1 + last];
  conv.outW = shape[1 + last];
  conv.kernelW = filterShape[2 + last];
  conv.strideW = op.getStrides()[last];
  conv.dilationW = op.getDilations()[last];
  conv.padLeft = op.getPads()[last];
  conv.padRight = op.getPads()[spatial + last];
  if (spatial == 1)
    return conv;
  conv.h = inputShape[1];
  conv.outH = shape[1];
  conv.kernelH = filterShape[2];
  conv.strideH = op.getStrides()[0];
  conv.dilationH = op.getDilations()[0];
  conv.padTop = op.getPads()[0];
  conv.padBottom = op.getPads()[2];
  return conv;
}

PackSource efc::cpu::packSourceOf(const Conv2d &conv) {
  return {conv.taps(), conv.c, conv.m, 1, conv.taps(), conv.c * conv.taps()};
}

static bool isMatrixProduct(const Conv2d &conv) {
  return conv.groups == 1 && conv.taps() == 1 && conv.strideH == 1 &&
         conv.strideW == 1 && conv.padTop == 0 && conv.padLeft == 0 &&
         conv.padBottom == 0 && conv.padRight == 0;
}

static Lowered lowerAsGemm(const KernelView &view, const Conv2d &conv,
                           OpBuilder &main, DispatchBuilder &dispatches,
                           const KernelOptions &options) {
  Gemm gemm;
  gemm.a = conv.input;
  gemm.m = conv.n * conv.h * conv.w;
  gemm.n = conv.m;
  gemm.k = conv.c;
  gemm.label = labelWith(view, conv.label);
  packOperand(gemm, conv.filter, packSourceOf(conv), main, dispatches, options);
  return emitGemm(view, main, dispatches, gemm);
}

Lowered efc::cpu::lowerConv(const KernelView &view, OpBuilder &main,
                            DispatchBuilder &dispatches,
                            const KernelOptions &options) {
  auto op = dyn_cast_or_null<ef::ConvOp>(view.anchor);
  if (!op)
    return std::nullopt;
  Value input = view.outer(op.getInput()), filter = view.outer(op.getFilter());
  if (!input || !filter)
    return std::nullopt;
  std::optional<Conv2d> conv = asConv2d(op, input, filter);
  if (!conv)
    return lowerConvGeneric(view, main, dispatches);
  if (isMatrixProduct(*conv))
    return lowerAsGemm(view, *conv, main, dispatches, options);
  if (conv->groups == 1) {
    bool constantFloats =
        ef::isConstantExpression(filter) && !getQuantized(input) &&
        getComputeType(getElementTypeOrSelf(input.getType())).isF32();
    if (options.winograd && constantFloats && isWinogradFaster(*conv))
      return lowerConvWinograd(view, *conv, main, dispatches, options);
    if (options.winograd && getQuantized(input) &&
        isIntegerWinogradFaster(*conv))
      return lowerConvIntegerWinograd(view, *conv, main, dispatches, options);
    return lowerConvDirect(view, *conv, main, dispatches, options);
  }
  bool depthwise = conv->groups == conv->c && conv->c == conv->m;
  if (depthwise && isa<FloatType>(getElementTypeOrSelf(input.getType())))
    return lowerConvDepthwise(view, *conv, main, dispatches, options);
  return lowerConvGeneric(view, main, dispatches);
}

//===----------------------------------------------------------------------===//
// Runs of elements
//===----------------------------------------------------------------------===//

/// Calls `body` with (first element, elements) for vectors of kPanelColumns and
/// then for single elements.
static void emitRun(KernelBuilder &b, Value count,
                    function_ref<void(Value, int64_t)> body) {
  Value vectors = b.mul(b.divFloor(count, kPanelColumns), kPanelColumns);
  b.loop(b.index(0), vectors, kPanelColumns,
         [&](Value first) { body(first, kPanelColumns); });
  b.loop(vectors, count, 1, [&](Value first) { body(first, 1); });
}

static Type runType(Type stored, int64_t elements) {
  return elements == 1 ? stored : Type(VectorType::get({elements}, stored));
}

void efc::cpu::emitCopyRun(KernelBuilder &b, Value from, Value to, Value count,
                           Type stored) {
  emitRun(b, count, [&](Value first, int64_t elements) {
    b.store(
        b.load(b.offsetPointer(from, first, stored), runType(stored, elements)),
        b.offsetPointer(to, first, stored));
  });
}

void efc::cpu::emitZeroRun(KernelBuilder &b, Value to, Value count,
                           Type stored) {
  emitRun(b, count, [&](Value first, int64_t elements) {
    Value zero =
        arith::ConstantOp::create(b, b.getZeroAttr(runType(stored, elements)));
    b.store(zero, b.offsetPointer(to, first, stored));
  });
}
