// A quantised weight's integers, computed from the mapped floats where they are
// needed: they are never held for a whole model.
#ifndef EFC_TARGETS_CPU_WEIGHTINTEGERS_H
#define EFC_TARGETS_CPU_WEIGHTINTEGERS_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace efc::cpu {

/// clamp(roundTiesToEven(w / scale)), docs/numerics.md. Adding and subtracting
/// 1.5 * 2^23 rounds a quotient below 2^22 to an integer, ties to even, in a
/// loop that vectorises; the clamp before it changes nothing and makes it so.
inline float quantizeWeight(float w, float scale) {
  constexpr float toInteger = 12582912.0f;
  float quotient = w / scale;
  quotient = quotient < -127.0f ? -127.0f : quotient;
  quotient = quotient > 127.0f ? 127.0f : quotient;
  return (quotient + toInteger) - toInteger;
}

/// The float weight and the scales of a quant.qcast to int8 with one scale an
/// index of `axis`.
struct QuantizedWeight {
  mlir::Value floats;
  std::vector<float> scales;
  int32_t axis;
};
std::optional<QuantizedWeight> matchQuantizedWeight(mlir::Value value);

} // namespace efc::cpu

#endif
