// Tensor commands: an implicit GEMM. Output positions in strips of 8 blocks of
// 6; for each panel of 16 outputs and each tap (10 KB of weights for 320
// channels, which stay in the first cache level) the kernel goes through the
// strip's blocks, reading input rows where they lie. Integer sums are exact: in
// int32 as long as the values' magnitudes prove that they fit, then moved to
// binary64, which holds integers below 2^53. Float sums go through taps and
// channels in order. A strip's results are the epilogue's register 0 (and 1).
#include "npu/simulator/Execution.h"
#include "npu/simulator/TensorInput.h"
#include "npu/simulator/TensorPanels.h"
#include "npu/simulator/VectorPrograms.h"

#include <algorithm>
#include <memory>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::simulator;

static constexpr unsigned kStripBlocks = 8;
static constexpr uint32_t kStripRows = kStripBlocks * kBlockRows;

namespace {
/// Up to 48 output positions.
struct Strip {
  unsigned numRows;
  std::array<uint32_t, kStripRows> y, x;

  unsigned numBlocks() const { return (numRows + kBlockRows - 1) / kBlockRows; }
  unsigned rowsOf(unsigned block) const {
    return std::min(kBlockRows, numRows - block * kBlockRows);
  }
};

/// [row][output of the panel]
template <typename T>
using StripSums = std::array<T, size_t(kStripRows) * kBlockOutputs>;

class IntegerProducts {
public:
  IntegerProducts(const TensorCommand &tensor, ExecutionContext &context)
      : tensor(tensor), kernels(context.kernels), input(tensor, context) {
    const View &weights = tensor.weights;
    size_t elements = integerPanelElements(weights);
    std::vector<int16_t> &storage = context.workbench.panels;
    storage.resize(std::max(storage.size(), (tensor.gated ? 2 : 1) * elements));
    int32_t maxInput = input.maxAbs(context);
    panels[0] = packIntegers(weights, maxInput, 0, context);
    if (tensor.gated)
      panels[1] = packIntegers(tensor.gateWeights, maxInput, elements, context);
  }

  /// Of one product (0, 1: the gate's), all outputs of the strip's positions;
  /// dst[row][output], dense.
  void run(const Strip &strip, unsigned product, float *dst) const;

private:
  struct Sums {
    alignas(32) StripSums<int32_t> partial;
    StripSums<double> wide;
    bool isWide; ///< There is something in `wide`.
    size_t used; ///< Products in each partial sum.
  };

  void runPanel(const Strip &strip, const IntegerPanels &from,
                const int16_t *panel, Sums &sums) const;
  void runTap(const Strip &strip, const IntegerPanels &from, uint32_t ky,
              uint32_t kx, const int16_t *panel, Sums &sums) const;
  static void flush(Sums &sums);

  const TensorCommand &tensor;
  const Kernels &kernels;
  TensorInput<int16_t> input;
  std::array<IntegerPanels, 2> panels;
};

class FloatProducts {
public:
  FloatProducts(const TensorCommand &tensor, ExecutionContext &context)
      : tensor(tensor), kernels(context.kernels), input(tensor, context) {
    size_t elements = floatPanelElements(tensor.weights);
    std::vector<float> &storage = context.workbench.floatPanels;
    storage.resize(std::max(storage.size(), (tensor.gated ? 2 : 1) * elements));
    panels[0] = packFloats(tensor.weights, 0, context);
    if (tensor.gated)
      panels[1] = packFloats(tensor.gateWeights, elements, context);
  }

  void run(const Strip &strip, unsigned product, float *dst) const;

private:
  const TensorCommand &tensor;
  const Kernels &kernels;
  TensorInput<float> input;
  std::array<FloatPanels, 2> panels;
};
} // namespace

void IntegerProducts::flush(Sums &sums) {
  if (!sums.isWide)
    sums.wide.fill(0);
  for (size_t i = 0; i < sums.partial.size(); ++i)
    sums.wide[i] += sums.partial[i];
  sums.partial.fill(0);
  sums.isWide = true;
  sums.used = 0;
}

void IntegerProducts::runTap(const Strip &strip, const IntegerPanels &from,
                             uint32_t ky, uint32_t kx, const int16_t *panel,
                             Sums &sums) const {
  std::array<const int16_t *, kStripRows> rows;
  for (unsigned r = 0; r < strip.numRows; ++r)
    rows[r] = input.rowOf(strip.y[r], strip.x[r], ky, kx);
  size_t channels = input.numChannels();
  for (size_t begin = 0; begin < channels;) {
    if (sums.used == from.safeChannels)
      flush(sums);
    // An odd last channel has a zero beside it in the panel.
    size_t count = std::min(channels - begin, from.safeChannels - sums.used),
           pairs = (count + 1) / 2;
    for (unsigned block = 0; block < strip.numBlocks(); ++block)
      kernels.multiplyI16(rows.data() + block * kBlockRows, strip.rowsOf(block),
                          panel + begin * kBlockOutputs, pairs,
                          sums.partial.data() +
                              size_t(block) * kBlockRows * kBlockOutputs);
    begin += count;
    sums.used = std::min(sums.used + pairs * 2, from.safeChannels);
    for (unsigned r = 0; r < strip.numRows; ++r)
      rows[r] += count;
  }
}

void IntegerProducts::runPanel(const Strip &strip, const IntegerPanels &from,
                               const int16_t *panel, Sums &sums) const {
  sums.partial.fill(0);
  sums.isWide = false;
  sums.used = 0;
  for (uint32_t ky = 0; ky < tensor.weights.extents[1]; ++ky)
    for (uint32_t kx = 0; kx < tensor.weights.extents[2]; ++kx) {
      runTap(strip, from, ky, kx, panel, sums);
      panel += from.tapElements;
    }
  if (sums.isWide)
    flush(sums);
}

/// From sums to binary32, rounded once: binary64 holds them exactly.
template <typename T>
static void storeSums(const T *sums, bool isSplit, unsigned count, float *dst) {
  if (!isSplit)
    for (unsigned n = 0; n < count; ++n)
      dst[n] = static_cast<float>(sums[n]);
  else
    for (unsigned n = 0; n < count; ++n)
      dst[n] = static_cast<float>(double(sums[n]) * 256.0 +
                                  double(sums[n + kBlockOutputs / 2]));
}

void IntegerProducts::run(const Strip &strip, unsigned product,
                          float *dst) const {
  const IntegerPanels &from = panels[product];
  uint32_t outputs = tensor.weights.extents[0];
  unsigned panelOutputs = from.isSplit ? kBlockOutputs / 2 : kBlockOutputs;
  const int16_t *panel = from.data;
  Sums sums;
  for (uint32_t first = 0; first < outputs; first += panelOutputs) {
    runPanel(strip, from, panel, sums);
    panel += from.blockElements;
    unsigned count = std::min(panelOutputs, outputs - first);
    for (unsigned r = 0; r < strip.numRows; ++r) {
      float *target = dst + size_t(r) * outputs + first;
      size_t row = size_t(r) * kBlockOutputs;
      if (sums.isWide)
        storeSums(sums.wide.data() + row, from.isSplit, count, target);
      else
        storeSums(sums.partial.data() + row, from.isSplit, count, target);
    }
  }
}

void FloatProducts::run(const Strip &strip, unsigned product,
                        float *dst) const {
  uint32_t outputs = tensor.weights.extents[0];
  const float *panel = panels[product].data;
  alignas(32) StripSums<float> sums;
  for (uint32_t first = 0; first < outputs; first += kBlockOutputs) {
    sums.fill(0);
    for (uint32_t ky = 0; ky < tensor.weights.extents[1]; ++ky)
      for (uint32_t kx = 0; kx < tensor.weights.extents[2]; ++kx) {
        std::array<const float *, kStripRows> rows;
        for (unsigned r = 0; r < strip.numRows; ++r)
          rows[r] = input.rowOf(strip.y[r], strip.x[r], ky, kx);
        for (unsigned block = 0; block < strip.numBlocks(); ++block)
          kernels.multiplyF32(rows.data() + block * kBlockRows,
                              strip.rowsOf(block), panel, input.numChannels(),
                              sums.data() +
                                  size_t(block) * kBlockRows * kBlockOutputs);
        panel += panels[product].tapElements;
      }
    unsigned count = std::min(kBlockOutputs, outputs - first);
    for (unsigned r = 0; r < strip.numRows; ++r)
      std::copy_n(sums.data() + size_t(r) * kBlockOutputs, count,
                  dst + size_t(r) * outputs + first);
  }
}

/// Positions [begin, end) of the result, row by row.
template <typename Products>
static void runStrip(const TensorCommand &tensor, const Products &products,
                     const ProgramRunner &runner, uint64_t begin,
                     uint64_t end) {
  uint32_t outputs = tensor.weights.extents[0],
           width = tensor.epilogue.result.extents[2];
  Strip strip;
  strip.numRows = static_cast<unsigned>(end - begin);
  for (unsigned r = 0; r < strip.numRows; ++r) {
    strip.y[r] = static_cast<uint32_t>((begin + r) / width);
    strip.x[r] = static_cast<uint32_t>((begin + r) % width);
  }
  std::array<std::unique_ptr<float[]>, 2> results;
  for (unsigned product = 0; product < (tensor.gated ? 2u : 1u); ++product) {
    results[product] =
        std::make_unique_for_overwrite<float[]>((end - begin) * outputs);
    products.run(strip, product, results[product].get());
  }
  runner.runRows(begin, end, results[0].get(), results[1].get());
}

template <typename Products>
static void runDense(const TensorCommand &tensor, ExecutionContext &context) {
  Products products(tensor, context);
  ProgramRunner runner(tensor.epilogue, context.memory.scratch,
                       context.kernels);
  uint64_t positions = runner.numRows();
  // Short strips rather than idle threads.
  uint64_t strip = kStripRows;
  while (strip > kBlockRows &&
         (positions + strip - 1) / strip < 4 * context.pool.numThreads())
    strip = (strip / 2 + kBlockRows - 1) / kBlockRows * kBlockRows;
  parallelFor(context.pool, (positions + strip - 1) / strip,
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  uint64_t first = static_cast<uint64_t>(i) * strip;
                  runStrip(tensor, products, runner, first,
                           std::min(first + strip, positions));
                }
              });
}

/// One channel a product: no reduction over channels, so no GEMM. `Sum` is
/// exact for integers and in order for floats.
template <typename T, typename Sum, typename Weight>
static void runDepthwise(const TensorCommand &tensor,
                         ExecutionContext &context) {
  TensorInput<T> input(tensor, context);
  ProgramRunner runner(tensor.epilogue, context.memory.scratch,
                       context.kernels);
  uint32_t channels = tensor.weights.extents[0],
           width = tensor.epilogue.result.extents[2];
  // Weights as [product][tap][channel].
  auto weightsOf = [&](const View &view) {
    std::vector<Weight> values;
    for (int64_t ky = 0; ky < view.extents[1]; ++ky)
      for (int64_t kx = 0; kx < view.extents[2]; ++kx)
        for (int64_t n = 0; n < channels; ++n) {
          const std::byte *src = context.memory.scratch + view.address +
                                 n * view.strides[0] + ky * view.strides[1] +
                                 kx * view.strides[2];
          float value;
          loadElements(context.kernels, view.dtype, 1, src, 0, &value, 1);
          values.push_back(static_cast<Weight>(value)); // Exact.
        }
    return values;
  };
  std::array<std::vector<Weight>, 2> weights = {weightsOf(tensor.weights), {}};
  if (tensor.gated)
    weights[1] = weightsOf(tensor.gateWeights);
  parallelFor(context.pool, runner.numRows(), [&](int64_t begin, int64_t end) {
    std::vector<Sum> sums(channels);
    std::array<std::vector<float>, 2> results;
    for (int64_t at = begin; at < end; ++at) {
      for (size_t product = 0; product < (tensor.gated ? 2u : 1u); ++product) {
        std::fill(sums.begin(), sums.end(), Sum(0));
        const Weight *weight = weights[product].data();
        for (uint32_t ky = 0; ky < tensor.weights.extents[1]; ++ky)
          for (uint32_t kx = 0; kx < tensor.weights.extents[2]; ++kx) {
            const T *row =
                input.rowOf(static_cast<uint32_t>(at / width),
                            static_cast<uint32_t>(at % width), ky, kx);
            for (uint32_t n = 0; n < channels; ++n)
              sums[n] += Sum(row[n]) * Sum(weight[n]);
            weight += channels;
          }
        results[product].assign(sums.begin(), sums.end());
      }
      runner.runRows(static_cast<uint64_t>(at), static_cast<uint64_t>(at) + 1,
                     results[0].data(),
                     tensor.gated ? results[1].data() : nullptr);
    }
  });
}

void simulator::execute(const TensorCommand &tensor,
                        ExecutionContext &context) {
  bool isFloat = tensor.input.dtype == DType::F16;
  if (tensor.depthwise)
    return isFloat ? runDepthwise<float, float, float>(tensor, context)
                   : runDepthwise<int16_t, int64_t, int16_t>(tensor, context);
  if (isFloat)
    runDense<FloatProducts>(tensor, context);
  else
    runDense<IntegerProducts>(tensor, context);
}
