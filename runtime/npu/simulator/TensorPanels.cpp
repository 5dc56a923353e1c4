// See TensorPanels.h.
#include "npu/simulator/TensorPanels.h"

#include "npu/simulator/VectorPrograms.h"

#include <algorithm>
#include <atomic>
#include <cstring>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::simulator;

/// Packing kernels take 8 pairs at a time.
static constexpr size_t kPairStep = 8, kStepElements = 2 * kPairStep;

namespace {
/// Packs one block after the other.
template <typename T> class Packer {
public:
  Packer(const View &weights, ExecutionContext &context)
      : weights(weights), context(context),
        base(context.memory.scratch + weights.address) {}

  size_t pairs() const { return (weights.extents[3] + 1) / 2; }
  size_t taps() const {
    return size_t(weights.extents[1]) * weights.extents[2];
  }
  size_t numBlocks() const {
    return (weights.extents[0] + kBlockOutputs - 1) / kBlockOutputs;
  }
  void packBlock(size_t block, int16_t *panel);
  int32_t maxAbs() const;

private:
  void packTap(uint32_t firstOutput, uint32_t ky, uint32_t kx, int16_t *panel);
  T element(int64_t offset) const {
    T value;
    std::memcpy(&value, base + offset, sizeof(T));
    return value;
  }

  const View &weights;
  ExecutionContext &context;
  const std::byte *base;
  /// 16 outputs x some channels, padded with zeros.
  std::vector<T> rows;
};
} // namespace

template <typename T>
void Packer<T>::packTap(uint32_t firstOutput, uint32_t ky, uint32_t kx,
                        int16_t *panel) {
  auto pack = [&](const T *source, size_t rowElements, size_t count,
                  int16_t *target) {
    if constexpr (sizeof(T) == 1)
      context.kernels.packI8(source, rowElements, count, target);
    else
      context.kernels.packI16(source, rowElements, count, target);
  };
  uint32_t outputs =
      std::min<uint32_t>(kBlockOutputs, weights.extents[0] - firstOutput);
  size_t channels = weights.extents[3];
  int64_t stride = weights.strides[3],
          outputStride = weights.extents[0] == 1 ? 0 : weights.strides[0];
  int64_t start = firstOutput * outputStride +
                  ky * int64_t(weights.strides[1]) +
                  kx * int64_t(weights.strides[2]);
  size_t direct = 0; // Channels that can be packed from where they are.
  if (outputs == kBlockOutputs && stride == int64_t(sizeof(T)) &&
      outputStride > 0)
    direct = channels / kStepElements * kStepElements;
  if (direct > 0)
    pack(reinterpret_cast<const T *>(base + start),
         static_cast<size_t>(outputStride) / sizeof(T), direct / 2, panel);
  if (direct == channels)
    return;
  size_t left = channels - direct,
         width = (left + kStepElements - 1) / kStepElements * kStepElements;
  rows.assign(kBlockOutputs * width, 0);
  // Along the dimension whose elements are neighbours.
  if (outputStride == int64_t(sizeof(T)) && outputs > 1)
    for (size_t c = 0; c < left; ++c)
      for (uint32_t n = 0; n < outputs; ++n)
        rows[n * width + c] =
            element(start + n * outputStride + int64_t(direct + c) * stride);
  else
    for (uint32_t n = 0; n < outputs; ++n)
      for (size_t c = 0; c < left; ++c)
        rows[n * width + c] =
            element(start + n * outputStride + int64_t(direct + c) * stride);
  std::vector<int16_t> padded(width * kBlockOutputs);
  pack(rows.data(), width, width / 2, padded.data());
  std::memcpy(panel + direct * kBlockOutputs, padded.data(),
              (pairs() - direct / 2) * 2 * kBlockOutputs * sizeof(int16_t));
}

template <typename T> void Packer<T>::packBlock(size_t block, int16_t *panel) {
  for (uint32_t ky = 0; ky < weights.extents[1]; ++ky)
    for (uint32_t kx = 0; kx < weights.extents[2]; ++kx) {
      packTap(static_cast<uint32_t>(block * kBlockOutputs), ky, kx, panel);
      panel += pairs() * 2 * kBlockOutputs;
    }
}

template <typename T> int32_t Packer<T>::maxAbs() const {
  std::atomic<int32_t> most = 0;
  const std::array<uint32_t, 4> &extents = weights.extents;
  parallelFor(context.pool, extents[0], [&](int64_t begin, int64_t end) {
    int32_t part = 0;
    for (int64_t n = begin; n < end; ++n)
      for (int64_t ky = 0; ky < extents[1]; ++ky)
        for (int64_t kx = 0; kx < extents[2]; ++kx) {
          int64_t offset = n * weights.strides[0] + ky * weights.strides[1] +
                           kx * weights.strides[2];
          if (weights.strides[3] == int64_t(sizeof(T))) {
            const auto *row = reinterpret_cast<const T *>(base + offset);
            if constexpr (sizeof(T) == 1)
              part = std::max(part, context.kernels.maxAbsI8(row, extents[3]));
            else
              part = std::max(part, context.kernels.maxAbsI16(row, extents[3]));
            continue;
          }
          for (uint32_t c = 0; c < extents[3]; ++c)
            part = std::max<int32_t>(
                part, std::abs(int32_t(
                          element(offset + c * int64_t(weights.strides[3])))));
        }
    int32_t seen = most;
    while (seen < part && !most.compare_exchange_weak(seen, part)) {
    }
  });
  return most;
}

static size_t safeProducts(int32_t maxInput, int32_t maxWeight) {
  int64_t product = std::max<int64_t>(int64_t(maxInput) * maxWeight, 1);
  // A kernel adds products in pairs.
  return static_cast<size_t>(INT32_MAX / product / 2 * 2);
}

template <typename T>
static IntegerPanels packWith(const View &weights, int32_t maxInput,
                              size_t offset, ExecutionContext &context) {
  // Fewer than this between two flushes cost more than twice the products.
  constexpr size_t minSafeChannels = 64;
  Packer<T> packer(weights, context);
  IntegerPanels panels;
  int32_t maxWeight = sizeof(T) == 1 ? 128 : packer.maxAbs();
  panels.safeChannels = safeProducts(maxInput, maxWeight);
  panels.isSplit =
      panels.safeChannels <
      std::min<size_t>(minSafeChannels, (packer.pairs() * packer.taps()) * 2);
  if (panels.isSplit)
    panels.safeChannels = safeProducts(maxInput, 255);
  panels.tapElements = packer.pairs() * 2 * kBlockOutputs;
  panels.blockElements = panels.tapElements * packer.taps();
  int16_t *data = context.workbench.panels.data() + offset;
  panels.data = data;
  parallelFor(
      context.pool, packer.numBlocks(), [&](int64_t begin, int64_t end) {
        Packer<T> own(weights, context);
        std::vector<int16_t> whole(panels.isSplit ? panels.blockElements : 0);
        for (auto block = static_cast<size_t>(begin);
             block < static_cast<size_t>(end); ++block) {
          if (!panels.isSplit) {
            own.packBlock(block, data + block * panels.blockElements);
            continue;
          }
          own.packBlock(block, whole.data());
          int16_t *first = data + 2 * block * panels.blockElements;
          context.kernels.splitPanel(whole.data(), panels.blockElements / 32,
                                     first, first + panels.blockElements);
        }
      });
  return panels;
}

static size_t paddedOutputs(const View &weights) {
  return (size_t(weights.extents[0]) + kBlockOutputs - 1) / kBlockOutputs *
         kBlockOutputs;
}

size_t simulator::integerPanelElements(const View &weights) {
  size_t elements = paddedOutputs(weights) * weights.extents[1] *
                    weights.extents[2] * ((weights.extents[3] + 1) / 2) * 2;
  return weights.dtype == DType::I8 ? elements : 2 * elements;
}

IntegerPanels simulator::packIntegers(const View &weights, int32_t maxInput,
                                      size_t offset,
                                      ExecutionContext &context) {
  return weights.dtype == DType::I8
             ? packWith<int8_t>(weights, maxInput, offset, context)
             : packWith<int16_t>(weights, maxInput, offset, context);
}

size_t simulator::floatPanelElements(const View &weights) {
  return paddedOutputs(weights) * weights.extents[1] * weights.extents[2] *
         weights.extents[3];
}

static void packFloatTap(const View &weights, uint32_t firstOutput, uint32_t ky,
                         uint32_t kx, ExecutionContext &context,
                         std::vector<float> &row, float *panel) {
  size_t channels = weights.extents[3];
  row.resize(channels);
  for (uint32_t n = 0; n < kBlockOutputs; ++n) {
    bool isThere = firstOutput + n < weights.extents[0];
    if (isThere)
      loadElements(context.kernels, DType::F16, 1,
                   context.memory.scratch + weights.address +
                       int64_t(firstOutput + n) * weights.strides[0] +
                       ky * int64_t(weights.strides[1]) +
                       kx * int64_t(weights.strides[2]),
                   channels == 1 ? 0 : weights.strides[3], row.data(),
                   channels);
    for (size_t c = 0; c < channels; ++c)
      panel[c * kBlockOutputs + n] = isThere ? row[c] : 0.0f;
  }
}

FloatPanels simulator::packFloats(const View &weights, size_t offset,
                                  ExecutionContext &context) {
  FloatPanels panels;
  float *data = context.workbench.floatPanels.data() + offset;
  panels.data = data;
  panels.tapElements = size_t(weights.extents[3]) * kBlockOutputs;
  panels.blockElements =
      panels.tapElements * weights.extents[1] * weights.extents[2];
  parallelFor(context.pool, paddedOutputs(weights) / kBlockOutputs,
              [&](int64_t begin, int64_t end) {
                std::vector<float> row;
                for (int64_t block = begin; block < end; ++block) {
                  float *panel =
                      data + static_cast<size_t>(block) * panels.blockElements;
                  for (uint32_t ky = 0; ky < weights.extents[1]; ++ky)
                    for (uint32_t kx = 0; kx < weights.extents[2]; ++kx) {
                      packFloatTap(weights,
                                   static_cast<uint32_t>(block) * kBlockOutputs,
                                   ky, kx, context, row, panel);
                      panel += panels.tapElements;
                    }
                }
              });
  return panels;
}
