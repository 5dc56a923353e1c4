// ef.quantize and ef.dequantize, per tensor, per channel and blocked: one pass,
// with scale and zero point read by strides. An axis that is no multiple of the
// block size is done in two loop nests, the second for the last block.
#include "targets/cpu/kernels/NormsCommon.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

#include <cmath>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

namespace {
struct QuantizeKernel {
  Operation *op;
  RankedTensorType inputType, scaleType;
  Type quantizedType, resultElementType;
  int64_t axis, blockSize;
  bool hasZeroPoint;
  SmallVector<StridedLoop> loops;

  template <typename OpT>
  explicit QuantizeKernel(OpT op)
      : op(op), inputType(op.getInput().getType()),
        scaleType(op.getScale().getType()),
        quantizedType(isa<ef::QuantizeOp>(op.getOperation())
                          ? op.getType().getElementType()
                          : inputType.getElementType()),
        resultElementType(op.getType().getElementType()), axis(op.getAxis()),
        blockSize(op.getBlockSize()), hasZeroPoint(!!op.getZeroPoint()) {
    buildLoops();
  }
  void emit(KernelBuilder &b);

private:
  void buildLoops();
  void addBlocks(int64_t firstBlock, int64_t numBlocks, int64_t size);
  Value quantize(KernelBuilder &b, Value x, Value scale, Value zeroPoint);
  Value dequantize(KernelBuilder &b, Value q, Value scale, Value zeroPoint);
};
} // namespace

void QuantizeKernel::buildLoops() {
  ArrayRef<int64_t> shape = inputType.getShape();
  SmallVector<int64_t> strides = getRowMajorStrides(shape);
  bool perTensor = scaleType.getNumElements() == 1;
  if (perTensor || blockSize == 0) {
    StridedAccess element{strides, 0}, scale;
    scale.strides.assign(shape.size(), 0);
    if (!perTensor)
      scale.strides[axis] = 1;
    loops.emplace_back(shape, ArrayRef<StridedAccess>{element, scale});
    return;
  }
  int64_t whole = shape[axis] / blockSize, rest = shape[axis] % blockSize;
  if (whole > 0)
    addBlocks(0, whole, blockSize);
  if (rest > 0)
    addBlocks(whole, 1, rest);
}

/// Blocks of `size` elements along the axis, which becomes two dimensions.
void QuantizeKernel::addBlocks(int64_t firstBlock, int64_t numBlocks,
                               int64_t size) {
  SmallVector<int64_t> shape(inputType.getShape());
  StridedAccess element{getRowMajorStrides(shape), 0};
  StridedAccess scale{getRowMajorStrides(scaleType.getShape()), 0};
  int64_t elementStride = element.strides[axis];
  element.offset = firstBlock * blockSize * elementStride;
  scale.offset = firstBlock * scale.strides[axis];
  shape[axis] = numBlocks;
  shape.insert(shape.begin() + axis + 1, size);
  element.strides[axis] = blockSize * elementStride;
  element.strides.insert(element.strides.begin() + axis + 1, elementStride);
  scale.strides.insert(scale.strides.begin() + axis + 1, 0);
  loops.emplace_back(shape, ArrayRef<StridedAccess>{element, scale});
}

/// saturate(round_half_even(x / scale) + zero_point); the quotient is in f32
/// (f64 for f64), as in ONNX's own reference.
Value QuantizeKernel::quantize(KernelBuilder &b, Value x, Value scale,
                               Value zeroPoint) {
  auto integer = cast<IntegerType>(quantizedType);
  int width = integer.getWidth();
  Type f64 = b.getF64Type();
  Type scaleElement = scaleType.getElementType();
  Type xElement = inputType.getElementType();
  if (xElement.isF64() || scaleElement.isF64()) {
    x = emitCast(b, x, xElement, f64);
    scale = emitCast(b, scale, scaleElement, f64);
  }
  FloatMath quotientMath(b, x.getType());
  Value rounded = quotientMath.roundEven(quotientMath.div(x, scale));
  // f32 does not hold all sums with a 32-bit zero point.
  if (width == 32)
    rounded = toDouble(b, rounded);
  FloatMath m(b, rounded.getType());
  if (zeroPoint)
    rounded = m.add(rounded, emitCast(b, zeroPoint, quantizedType,
                                      getElementTypeOrSelf(rounded.getType())));
  double low = integer.isUnsigned() ? 0 : -std::ldexp(1, width - 1);
  double high = std::ldexp(1, integer.isUnsigned() ? width : width - 1) - 1;
  rounded = m.clampAbove(m.clampBelow(rounded, low), high);
  return emitCast(b, rounded, getElementTypeOrSelf(rounded.getType()),
                  quantizedType);
}

/// (q - zero_point) * scale, the difference being exact.
Value QuantizeKernel::dequantize(KernelBuilder &b, Value q, Value scale,
                                 Value zeroPoint) {
  bool isWide = quantizedType.getIntOrFloatBitWidth() == 32;
  Type exact = isWide ? b.getI64Type() : b.getI32Type();
  Value difference = emitCast(b, q, quantizedType, exact);
  if (zeroPoint)
    difference = arith::SubIOp::create(
        b, difference, emitCast(b, zeroPoint, quantizedType, exact));
  Type scaleElement = scaleType.getElementType();
  bool inDouble = isWide || scaleElement.isF64();
  Type math = inDouble ? Type(b.getF64Type()) : Type(b.getF32Type());
  Value product = arith::MulFOp::create(b, emitCast(b, difference, exact, math),
                                        emitCast(b, scale, scaleElement, math));
  return emitCast(b, product, math, resultElementType);
}

void QuantizeKernel::emit(KernelBuilder &b) {
  KernelTensor input{b.pointer(b.input(0)), inputType.getElementType()};
  KernelTensor scales{b.pointer(b.input(1)), scaleType.getElementType()};
  KernelTensor zeroPoints{hasZeroPoint ? b.pointer(b.input(2)) : Value(),
                          quantizedType};
  Value result = b.pointer(b.result(0));
  int64_t base = 0;
  for (const StridedLoop &loop : loops) {
    int64_t stride = loop.getInnerStride(1), count = loop.getNumWorkItems();
    Value start = arith::MaxSIOp::create(b, b.begin(), b.index(base));
    Value end = b.min(b.end(), b.index(base + count));
    auto body = [&](ArrayRef<Value> offsets, int64_t lanes) {
      Value x = input.load(b, offsets[0], lanes);
      Value scale = scales.load(b, offsets[1], lanes, stride);
      Value zeroPoint;
      if (hasZeroPoint)
        zeroPoint = zeroPoints.load(b, offsets[1], lanes, stride);
      Value value = isa<ef::QuantizeOp>(op)
                        ? quantize(b, x, scale, zeroPoint)
                        : dequantize(b, x, scale, zeroPoint);
      storeElements(b, value, result, offsets[0], resultElementType);
    };
    loop.emit(b, b.sub(start, b.index(base)), b.sub(end, b.index(base)),
              b.variant.lanes, body);
    base += count;
  }
}

Lowered efc::cpu::lowerQuantize(const KernelView &view, OpBuilder &main,
                                DispatchBuilder &dispatches,
                                const KernelOptions &) {
  if (!isa_and_nonnull<ef::QuantizeOp, ef::DequantizeOp>(view.anchor))
    return std::nullopt;
  auto quantize = dyn_cast<ef::QuantizeOp>(view.anchor);
  QuantizeKernel kernel =
      quantize ? QuantizeKernel(quantize)
               : QuantizeKernel(cast<ef::DequantizeOp>(view.anchor));
  Launch launch{view.root->getLoc(),
                view.anchor->getName().stripDialect().str(),
                view.label(),
                view.key(),
                {},
                SmallVector<Type>(view.root->getResultTypes())};
  for (Value operand : view.anchor->getOperands())
    launch.inputs.push_back(view.outer(operand));
  launch.work = 0;
  for (const StridedLoop &loop : kernel.loops)
    launch.work += loop.getNumWorkItems();
  launch.work = std::max<int64_t>(launch.work, 1);
  ResultRange results = dispatches.launch(
      main, launch, [&](KernelBuilder &b) { kernel.emit(b); });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
