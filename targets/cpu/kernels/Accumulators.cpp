// See Accumulators.h. The weights of a model are read and quantised once more
// for this: rows of floats at a time, in loops that vectorise.
#include "targets/cpu/kernels/Accumulators.h"

#include "targets/cpu/WeightIntegers.h"

#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static constexpr int64_t kLargest = INT32_MAX;

int64_t SummationOrder::blocks() const {
  return llvm::divideCeil(source.k, kBlock) *
         llvm::divideCeil(source.taps, tapsPerBlock);
}

namespace {
/// sum |q| of each block and each column.
class Magnitudes {
public:
  Magnitudes(const SummationOrder &order, const QuantizedWeight &weight)
      : order(order), scales(weight.scales), n(order.source.n),
        tapBlocks(llvm::divideCeil(order.source.taps, order.tapsPerBlock)),
        sums(order.blocks() * n, 0) {}

  ArrayRef<int64_t> block(int64_t index) const {
    return ArrayRef(sums).slice(index * n, n);
  }

  void add(const char *bytes) {
    if (order.source.nStride == 1)
      addRows(bytes);
    else
      addColumns(bytes);
  }

private:
  int64_t *blockOf(int64_t k, int64_t tap) {
    int64_t block = k / order.kBlock * tapBlocks + tap / order.tapsPerBlock;
    return sums.data() + block * n;
  }

  /// Rows of all columns, one a step of k.
  void addRows(const char *bytes) {
    std::vector<float> row(n);
    std::vector<int32_t> magnitudes(n);
    for (int64_t tap = 0; tap < order.source.taps; ++tap)
      for (int64_t k = 0; k < order.source.k; ++k) {
        int64_t first = tap * order.source.tapStride + k * order.source.kStride;
        std::memcpy(row.data(), bytes + first * sizeof(float),
                    n * sizeof(float));
        int64_t *sum = blockOf(k, tap);
        const float *from = row.data(), *scale = scales.data();
        int32_t *to = magnitudes.data();
#pragma clang loop vectorize(enable)
        for (int64_t j = 0; j < n; ++j)
          to[j] =
              static_cast<int32_t>(std::abs(quantizeWeight(from[j], scale[j])));
        for (int64_t j = 0; j < n; ++j)
          sum[j] += to[j];
      }
  }

  /// Columns that hold all steps and taps of k, in any order.
  void addColumns(const char *bytes) {
    const PackSource &source = order.source;
    int64_t steps = source.taps * source.k;
    std::vector<float> column(steps);
    std::vector<int32_t> magnitudes(steps);
    for (int64_t j = 0; j < n; ++j) {
      std::memcpy(column.data(), bytes + j * source.nStride * sizeof(float),
                  steps * sizeof(float));
      const float *from = column.data(), scale = scales[j];
      int32_t *to = magnitudes.data();
#pragma clang loop vectorize(enable)
      for (int64_t i = 0; i < steps; ++i)
        to[i] = static_cast<int32_t>(std::abs(quantizeWeight(from[i], scale)));
      addColumn(to, j);
    }
  }

  void addColumn(const int32_t *magnitudes, int64_t column) {
    const PackSource &source = order.source;
    for (int64_t firstTap = 0; firstTap < source.taps;
         firstTap += order.tapsPerBlock)
      for (int64_t firstK = 0; firstK < source.k; firstK += order.kBlock) {
        int64_t lastTap = std::min(firstTap + order.tapsPerBlock, source.taps);
        int64_t lastK = std::min(firstK + order.kBlock, source.k), sum = 0;
        for (int64_t k = firstK; k < lastK; ++k)
          for (int64_t tap = firstTap; tap < lastTap; ++tap)
            sum += magnitudes[k * source.kStride + tap * source.tapStride];
        blockOf(firstK, firstTap)[column] += sum;
      }
  }

  const SummationOrder &order;
  ArrayRef<float> scales;
  int64_t n, tapBlocks;
  std::vector<int64_t> sums;
};
} // namespace

/// Whether columns hold exactly the steps of one channel, side by side.
static bool isDense(const PackSource &source) {
  if (source.nStride == 1)
    return source.k == 1 || source.kStride >= source.n;
  return source.nStride == source.k * source.taps;
}

/// The largest sum over the columns of `length` blocks from a multiple of
/// `length` on.
static int64_t largestChunk(const Magnitudes &magnitudes, int64_t blocks,
                            int64_t n, int64_t length) {
  int64_t largest = 0;
  std::vector<int64_t> total(n);
  for (int64_t first = 0; first < blocks; first += length) {
    std::fill(total.begin(), total.end(), 0);
    for (int64_t i = first; i < std::min(first + length, blocks); ++i)
      for (auto [sum, part] : llvm::zip_equal(total, magnitudes.block(i)))
        sum += part;
    for (int64_t sum : total)
      largest = std::max(largest, sum);
  }
  return largest;
}

/// Chunks are powers of two of blocks, so that few kernels differ in them.
static std::optional<Accumulation>
choose(const SummationOrder &order,
       llvm::function_ref<int64_t(int64_t)> largestSum) {
  int64_t blocks = order.blocks(), unit = order.limit * order.factor;
  Accumulation result;
  result.bound = largestSum(blocks) * order.limit;
  if (largestSum(blocks) <= kLargest / unit)
    return result;
  for (int64_t length = llvm::PowerOf2Ceil(blocks) / 2; length >= 1;
       length /= 2)
    if (largestSum(length) <= kLargest / unit) {
      result.chunkBlocks = length;
      return result;
    }
  return std::nullopt;
}

std::optional<Accumulation>
AccumulatorBounds::prove(const SummationOrder &order) {
  int64_t blocks = order.blocks(), n = order.source.n;
  auto steps = [&](int64_t length) {
    return std::min(length * order.blockSteps(),
                    order.source.k * order.source.taps);
  };
  auto assumeLargest = [&] {
    return choose(order, [&](int64_t length) { return 127 * steps(length); });
  };
  std::optional<QuantizedWeight> weight = matchQuantizedWeight(order.weight);
  if (!weight || static_cast<int64_t>(weight->scales.size()) != n ||
      !isDense(order.source))
    return assumeLargest();
  llvm::Expected<ef::HostTensor> floats = store.evaluate(weight->floats);
  if (!floats) {
    llvm::consumeError(floats.takeError());
    return assumeLargest();
  }
  Magnitudes magnitudes(order, *weight);
  magnitudes.add(floats->getBytes().data());
  return choose(order, [&](int64_t length) {
    return largestChunk(magnitudes, blocks, n, length);
  });
}

void efc::cpu::setAccumulation(Launch &launch, const Accumulation &accumulation,
                               int64_t steps) {
  launch.accumulatorBound = accumulation.bound;
  launch.accumulatorChunk = accumulation.chunkBlocks * steps;
  launch.key += "|chunk " + std::to_string(accumulation.chunkBlocks) + " of " +
                std::to_string(steps);
}
