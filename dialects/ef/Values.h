// Whole tensors as arrays of the type that reference evaluation computes in:
// double for floats, 64-bit integers for everything else.
#ifndef EFC_DIALECTS_EF_VALUES_H
#define EFC_DIALECTS_EF_VALUES_H

#include "dialects/ef/HostTensor.h"

#include <cstring>
#include <vector>

namespace efc::ef {

/// All elements of `tensor`, widened to T: double, int64_t or (bit pattern of
/// the two's complement) uint64_t.
template <typename T> std::vector<T> readValues(const HostTensor &tensor) {
  std::vector<T> values(tensor.getNumElements());
  if constexpr (std::is_same_v<T, double>) {
    if (tensor.getElementType().isF32()) {
      const char *bytes = tensor.getBytes().data();
      for (size_t i = 0; i < values.size(); ++i) {
        float value;
        std::memcpy(&value, bytes + i * sizeof(float), sizeof(float));
        values[i] = value;
      }
      return values;
    }
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = tensor.getFloat(i);
  } else {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<T>(tensor.getInt(i));
  }
  return values;
}

/// Stores one value, with the one rounding (floats) or wrap-around (integers)
/// of reference evaluation.
inline void storeValue(HostTensor &tensor, int64_t index, double value) {
  tensor.setFloat(index, value);
}
inline void storeValue(HostTensor &tensor, int64_t index, int64_t value) {
  tensor.setInt(index, value);
}
inline void storeValue(HostTensor &tensor, int64_t index, uint64_t value) {
  tensor.setInt(index, static_cast<int64_t>(value));
}

/// A tensor of `type` with the elements `values`.
template <typename T>
HostTensor makeTensor(mlir::RankedTensorType type, llvm::ArrayRef<T> values) {
  HostTensor tensor(type);
  if constexpr (std::is_same_v<T, double>) {
    if (type.getElementType().isF32()) {
      char *bytes = tensor.getMutableBytes().data();
      for (size_t i = 0; i < values.size(); ++i) {
        float value = static_cast<float>(values[i]);
        std::memcpy(bytes + i * sizeof(float), &value, sizeof(float));
      }
      return tensor;
    }
  }
  for (size_t i = 0; i < values.size(); ++i)
    storeValue(tensor, i, values[i]);
  return tensor;
}

/// Calls `function` with a zero of the type in which values of element type
/// `type` are computed.
template <typename Function>
auto dispatchValueType(mlir::Type type, Function &&function) {
  if (mlir::isa<mlir::FloatType>(type))
    return function(double());
  if (type.isUnsignedInteger() || type.isInteger(1))
    return function(uint64_t());
  return function(int64_t());
}

} // namespace efc::ef

#endif
