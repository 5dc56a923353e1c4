// See QuantizedOperands.h.
#include "targets/cpu/kernels/QuantizedOperands.h"

#include "targets/cpu/kernels/ScalarEmitterMath.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

quant::UniformQuantizedType efc::cpu::getQuantized(Type type) {
  return dyn_cast<quant::UniformQuantizedType>(getElementTypeOrSelf(type));
}

bool efc::cpu::isQuantized(const KernelView &view) {
  auto isQuantizedType = [](Type type) {
    return isa<quant::QuantizedType>(getElementTypeOrSelf(type));
  };
  return llvm::any_of(view.root->getOperandTypes(), isQuantizedType) ||
         llvm::any_of(view.root->getResultTypes(), isQuantizedType);
}

float efc::cpu::getScale(Type type) {
  return static_cast<float>(getQuantized(type).getScale());
}

float efc::cpu::getReciprocalScale(Type type) { return 1.0f / getScale(type); }

int64_t efc::cpu::getLimit(Type type) {
  return getQuantized(type).getStorageTypeMax();
}

bool efc::cpu::isQuantizationCast(Operation *op) {
  if (auto dcast = dyn_cast<quant::DequantizeCastOp>(op))
    return static_cast<bool>(getQuantized(dcast.getInput()));
  if (auto qcast = dyn_cast<quant::QuantizeCastOp>(op))
    return static_cast<bool>(getQuantized(qcast.getResult()));
  return false;
}

float efc::cpu::getCastFactor(Operation *op) {
  if (auto dcast = dyn_cast<quant::DequantizeCastOp>(op))
    return getScale(dcast.getInput().getType());
  return getReciprocalScale(op->getResult(0).getType());
}

Value efc::cpu::createScalars(OpBuilder &main, Location loc,
                              ArrayRef<float> numbers) {
  if (numbers.empty())
    return {};
  auto type = RankedTensorType::get({static_cast<int64_t>(numbers.size())},
                                    main.getF32Type());
  return ef::ConstantOp::create(main, loc, type,
                                DenseElementsAttr::get<float>(type, numbers));
}

Value efc::cpu::loadScalar(KernelBuilder &b, size_t input, unsigned slot) {
  Type f32 = b.getF32Type();
  return b.load(b.offsetPointer(b.pointer(b.input(input)), b.index(slot), f32),
                f32);
}

Value efc::cpu::createChannelFactors(OpBuilder &main, Location loc,
                                     Type activation, Type weight,
                                     int64_t channels, int64_t padded) {
  Type element = getElementTypeOrSelf(weight);
  SmallVector<float> factors(padded, 0);
  for (int64_t n = 0; n < channels; ++n) {
    float scale;
    if (auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(element))
      scale = static_cast<float>(perAxis.getScales()[n]);
    else
      scale = getScale(element);
    factors[n] = getScale(activation) * scale;
  }
  return createScalars(main, loc, factors);
}

Value efc::cpu::emitDequantize(KernelBuilder &b, Value q, Value factor) {
  Type type = withShapeOf(q.getType(), b.getF32Type());
  FloatMath m(b, type);
  return m.mul(arith::SIToFPOp::create(b, type, q), factor);
}

Value efc::cpu::emitRint(KernelBuilder &b, Value x) {
  // The rounding mode is always the default one. A conversion that rounds is
  // one instruction less than rounding and then cutting off.
  Type i32 = withShapeOf(x.getType(), b.getI32Type());
  std::string suffix = "i32.f32";
  if (auto vector = dyn_cast<VectorType>(x.getType()))
    suffix = llvm::formatv("v{0}i32.v{0}f32", vector.getNumElements());
  return LLVM::CallIntrinsicOp::create(
             b, i32, b.getStringAttr("llvm.lrint." + suffix), x)
      .getResult(0);
}

Value efc::cpu::emitNarrow(KernelBuilder &b, Value x) {
  Type i32 = x.getType();
  x = arith::MaxSIOp::create(b, x, integerConstant(b, i32, INT16_MIN));
  x = arith::MinSIOp::create(b, x, integerConstant(b, i32, INT16_MAX));
  return arith::TruncIOp::create(b, withShapeOf(i32, b.getI16Type()), x);
}

Value efc::cpu::emitQuantize(KernelBuilder &b, Value x, Value reciprocal,
                             quant::UniformQuantizedType type) {
  FloatMath m(b, x.getType());
  auto limit = static_cast<double>(type.getStorageTypeMax());
  Value scaled = m.mul(x, reciprocal);
  Value isNumber = m.compare(arith::CmpFPredicate::ORD, scaled, scaled);
  scaled = m.select(isNumber, scaled, m.constant(0));
  // The limits are integers, so that clamping first gives the same.
  scaled = m.clampBelow(m.clampAbove(scaled, limit), -limit);
  if (!getStorageType(type).isInteger(16))
    return arith::FPToSIOp::create(
        b, withShapeOf(x.getType(), getStorageType(type)), m.roundEven(scaled));
  return emitNarrow(b, emitRint(b, scaled));
}
