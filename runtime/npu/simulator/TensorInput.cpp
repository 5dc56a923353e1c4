// See TensorInput.h.
#include "npu/simulator/TensorInput.h"

#include "npu/simulator/VectorPrograms.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::simulator;

template <typename T>
TensorInput<T>::TensorInput(const TensorCommand &tensor,
                            ExecutionContext &context)
    // A kernel may read one channel more.
    : tensor(tensor), zeros(tensor.input.extents[3] + 1) {
  const View &input = tensor.input;
  if constexpr (std::is_same_v<T, int16_t>) {
    bool isDense = input.extents[3] == 1 || input.strides[3] == sizeof(int16_t);
    if (isDense) {
      base = reinterpret_cast<const int16_t *>(context.memory.scratch +
                                               input.address);
      rowStride = input.strides[1] / int64_t(sizeof(int16_t));
      columnStride = input.strides[2] / int64_t(sizeof(int16_t));
      return;
    }
    copy(context, context.workbench.dense);
  } else {
    copy(context, context.workbench.floatDense);
  }
}

template <typename T>
void TensorInput<T>::copy(ExecutionContext &context, std::vector<T> &buffer) {
  const View &input = tensor.input;
  auto [images, rows, columns, channels] = input.extents;
  size_t needed = size_t(rows) * columns * channels + 1;
  if (buffer.size() < needed)
    buffer.resize(needed);
  parallelFor(context.pool, rows, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y)
      for (int64_t x = 0; x < columns; ++x) {
        const std::byte *src = context.memory.scratch + input.address +
                               y * input.strides[1] + x * input.strides[2];
        T *dst = buffer.data() + (y * columns + x) * channels;
        if constexpr (std::is_same_v<T, float>)
          loadElements(context.kernels, input.dtype, 1, src,
                       channels == 1 ? 0 : input.strides[3], dst, channels);
        else
          for (uint32_t c = 0; c < channels; ++c, src += input.strides[3])
            std::memcpy(dst + c, src, sizeof(T));
      }
  });
  base = buffer.data();
  columnStride = channels;
  rowStride = int64_t(columns) * channels;
}

template <typename T>
int32_t TensorInput<T>::maxAbs(ExecutionContext &context) const {
  std::atomic<int32_t> most = 0;
  if constexpr (std::is_same_v<T, int16_t>)
    parallelFor(
        context.pool, tensor.input.extents[1], [&](int64_t begin, int64_t end) {
          int32_t part = 0;
          for (int64_t y = begin; y < end; ++y)
            for (int64_t x = 0; x < tensor.input.extents[2]; ++x)
              part = std::max(part, context.kernels.maxAbsI16(
                                        base + y * rowStride + x * columnStride,
                                        numChannels()));
          int32_t seen = most;
          while (seen < part && !most.compare_exchange_weak(seen, part)) {
          }
        });
  return most;
}

template class efrt::npu::simulator::TensorInput<int16_t>;
template class efrt::npu::simulator::TensorInput<float>;
