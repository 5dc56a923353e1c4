// Types of quantised tensors. See Quantized.h.
#include "dialects/ef/Quantized.h"

#include "dialects/ef/EfDialect.h"

#include "mlir/IR/BuiltinTypes.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace efc::ef;
using quant::QuantizedType;
using quant::UniformQuantizedPerAxisType;
using quant::UniformQuantizedType;

bool efc::ef::isQuantized(Type type) {
  return isa<QuantizedType>(getElementTypeOrSelf(type));
}

/// Symmetric, signed, `width` bits, binary32 as the real values' type.
static bool isSymmetric(QuantizedType type, unsigned width) {
  int64_t low = type.getStorageTypeMin(), high = type.getStorageTypeMax();
  return type.isSigned() && type.getStorageTypeIntegralWidth() == width &&
         type.getExpressedType().isF32() && high > 0 &&
         (low == -high || low == -high - 1);
}

std::optional<ActivationFormat> efc::ef::getActivationFormat(Type type) {
  auto uniform = dyn_cast<UniformQuantizedType>(getElementTypeOrSelf(type));
  if (!uniform || !isSymmetric(uniform, 16) || uniform.getZeroPoint() != 0)
    return std::nullopt;
  return ActivationFormat{static_cast<float>(uniform.getScale()),
                          static_cast<int32_t>(uniform.getStorageTypeMax())};
}

std::optional<WeightFormat> efc::ef::getWeightFormat(Type type) {
  auto uniform =
      dyn_cast<UniformQuantizedPerAxisType>(getElementTypeOrSelf(type));
  auto isZero = [](int64_t point) { return point == 0; };
  if (!uniform || !isSymmetric(uniform, 8) ||
      uniform.getStorageTypeMin() != -kWeightLimit ||
      !llvm::all_of(uniform.getZeroPoints(), isZero))
    return std::nullopt;
  return WeightFormat{uniform.getScales(), uniform.getQuantizedDimension()};
}

Type efc::ef::makeActivationType(MLIRContext *context, float scale,
                                 int32_t limit) {
  int64_t low = limit == kActivationLimit ? -limit - 1 : -limit;
  return UniformQuantizedType::get(
      quant::QuantizationFlags::Signed, IntegerType::get(context, 16),
      Float32Type::get(context), scale, /*zeroPoint=*/0, low, limit);
}

Type efc::ef::makeWeightType(MLIRContext *context, ArrayRef<float> scales,
                             int32_t axis) {
  SmallVector<double> wide(scales.begin(), scales.end());
  SmallVector<int64_t> zeroPoints(scales.size(), 0);
  return UniformQuantizedPerAxisType::get(
      quant::QuantizationFlags::Signed, IntegerType::get(context, 8),
      Float32Type::get(context), wide, zeroPoints, axis, -kWeightLimit,
      kWeightLimit);
}

bool efc::ef::mayUseWinograd(ConvOp conv) {
  // Channels and filters in whole vectors of 16, as kernels take them.
  constexpr int64_t kVector = 16;
  auto isOne = [](int64_t value) { return value == 1; };
  ArrayRef<int64_t> filter = conv.getFilter().getType().getShape();
  return filter.drop_front(2) == ArrayRef<int64_t>{3, 3} &&
         llvm::all_of(conv.getStrides(), isOne) &&
         llvm::all_of(conv.getDilations(), isOne) && conv.getGroups() == 1 &&
         filter[0] % kVector == 0 && filter[1] % kVector == 0;
}

int32_t efc::ef::getScoreOperandLimit(int64_t depth) {
  int64_t largest = std::numeric_limits<int32_t>::max() / depth;
  auto limit = static_cast<int64_t>(std::sqrt(static_cast<double>(largest)));
  return static_cast<int32_t>(std::min<int64_t>(limit, kActivationLimit));
}

float efc::ef::makeScale(float largest, int32_t limit) {
  float scale = largest / static_cast<float>(limit);
  return scale >= std::numeric_limits<float>::min() ? scale : 1.0f;
}
