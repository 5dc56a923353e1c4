// The input of a tensor command as dense rows of channels, and where the window
// of an output position meets it.
#ifndef EFRT_NPU_SIMULATOR_TENSORINPUT_H
#define EFRT_NPU_SIMULATOR_TENSORINPUT_H

#include "npu/simulator/Execution.h"

namespace efrt::npu::simulator {

/// T: int16_t, read in place if its channels are contiguous, or float.
template <typename T> class TensorInput {
public:
  TensorInput(const TensorCommand &tensor, ExecutionContext &context);

  /// The channels that output position (y, x) meets at tap (ky, kx); zeros
  /// outside.
  const T *rowOf(uint32_t y, uint32_t x, uint32_t ky, uint32_t kx) const {
    int64_t row = int64_t(y) * tensor.strideY + int64_t(ky) * tensor.dilationY -
                  tensor.padTop,
            column = int64_t(x) * tensor.strideX +
                     int64_t(kx) * tensor.dilationX - tensor.padLeft;
    if (row < 0 || row >= tensor.input.extents[1] || column < 0 ||
        column >= tensor.input.extents[2])
      return zeros.data();
    return base + row * rowStride + column * columnStride;
  }

  size_t numChannels() const { return tensor.input.extents[3]; }
  /// Largest magnitude (int16_t only).
  int32_t maxAbs(ExecutionContext &context) const;

private:
  void copy(ExecutionContext &context, std::vector<T> &buffer);

  const TensorCommand &tensor;
  const T *base = nullptr;
  int64_t rowStride = 0, columnStride = 0; ///< In elements.
  std::vector<T> zeros;
};

} // namespace efrt::npu::simulator

#endif
