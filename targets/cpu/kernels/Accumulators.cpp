// See Accumulators.h.
#include "targets/cpu/kernels/Accumulators.h"

#include "dialects/ef/Quantized.h"
#include "targets/cpu/RoundedWeights.h"

#include "llvm/Support/MathExtras.h"

#include <cstdlib>

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static constexpr int64_t kLargest = INT32_MAX;

int64_t SummationOrder::blocks() const {
  return llvm::divideCeil(source.k, kBlock) *
         llvm::divideCeil(source.taps, tapsPerBlock);
}

namespace {
int64_t magnitude(int q) { return std::abs(q); }
int64_t square(int q) { return int64_t(q) * q; }

/// sum |q| (or of another measure) of each block and each column.
template <auto measure> class BlockSums {
public:
  explicit BlockSums(const SummationOrder &order)
      : order(order), n(order.source.n),
        tapBlocks(llvm::divideCeil(order.source.taps, order.tapsPerBlock)),
        sums(order.blocks() * n, 0) {}

  ArrayRef<int64_t> block(int64_t index) const {
    return ArrayRef(sums).slice(index * n, n);
  }

  void add(const int8_t *weights) {
    if (order.source.nStride == 1)
      addRows(weights);
    else
      addColumns(weights);
  }

private:
  int64_t *blockOf(int64_t k, int64_t tap) {
    int64_t block = k / order.kBlock * tapBlocks + tap / order.tapsPerBlock;
    return sums.data() + block * n;
  }

  /// Rows of all columns, one a step of k.
  void addRows(const int8_t *weights) {
    for (int64_t tap = 0; tap < order.source.taps; ++tap)
      for (int64_t k = 0; k < order.source.k; ++k) {
        int64_t first = tap * order.source.tapStride + k * order.source.kStride;
        int64_t *sum = blockOf(k, tap);
        for (int64_t j = 0; j < n; ++j)
          sum[j] += measure(weights[first + j]);
      }
  }

  /// Columns that hold all steps and taps of k, in any order.
  void addColumns(const int8_t *weights) {
    for (int64_t j = 0; j < n; ++j)
      addColumn(weights + j * order.source.nStride, j);
  }

  void addColumn(const int8_t *weights, int64_t column) {
    const PackSource &source = order.source;
    for (int64_t firstTap = 0; firstTap < source.taps;
         firstTap += order.tapsPerBlock)
      for (int64_t firstK = 0; firstK < source.k; firstK += order.kBlock) {
        int64_t lastTap = std::min(firstTap + order.tapsPerBlock, source.taps);
        int64_t lastK = std::min(firstK + order.kBlock, source.k), sum = 0;
        for (int64_t k = firstK; k < lastK; ++k)
          for (int64_t tap = firstTap; tap < lastTap; ++tap)
            sum +=
                measure(weights[k * source.kStride + tap * source.tapStride]);
        blockOf(firstK, firstTap)[column] += sum;
      }
  }

  const SummationOrder &order;
  int64_t n, tapBlocks;
  std::vector<int64_t> sums;
};

using Magnitudes = BlockSums<magnitude>;
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
  const int8_t *weights = read(order);
  if (!weights)
    return assumeLargest();
  Magnitudes magnitudes(order);
  magnitudes.add(weights);
  return choose(order, [&](int64_t length) {
    return largestChunk(magnitudes, blocks, n, length);
  });
}

const int8_t *AccumulatorBounds::read(const SummationOrder &order) {
  std::optional<ef::WeightFormat> format =
      ef::getWeightFormat(order.weight.getType());
  if (!format ||
      static_cast<int64_t>(format->scales.size()) != order.source.n ||
      !isDense(order.source))
    return nullptr;
  if (known != order.weight) {
    llvm::Expected<ef::HostTensor> weight =
        RoundedWeights::of(order.weight.getContext()).get(order.weight, store);
    if (!weight) {
      llvm::consumeError(weight.takeError());
      return nullptr;
    }
    known = order.weight;
    integers = *weight;
  }
  return reinterpret_cast<const int8_t *>(integers.getBytes().data());
}

int64_t AccumulatorBounds::getLargestEnergy(const SummationOrder &order) {
  const int8_t *weights = read(order);
  if (!weights)
    return square(127) * order.blockSteps();
  BlockSums<square> energies(order);
  energies.add(weights);
  int64_t largest = 0;
  for (int64_t i = 0; i < order.blocks(); ++i)
    for (int64_t sum : energies.block(i))
      largest = std::max(largest, sum);
  return largest;
}

void efc::cpu::setAccumulation(Launch &launch, const Accumulation &accumulation,
                               int64_t steps) {
  launch.accumulatorBound = accumulation.bound;
  launch.accumulatorChunk = accumulation.chunkBlocks * steps;
  launch.key += "|chunk " + std::to_string(accumulation.chunkBlocks) + " of " +
                std::to_string(steps);
}
