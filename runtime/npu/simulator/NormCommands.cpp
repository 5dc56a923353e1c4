// Softmax, norm statistics and factors, layer norm. Float sums are binary64 for
// statistics, binary32 for softmax, in the order of the elements.
#include "npu/simulator/Execution.h"
#include "npu/simulator/ScalarFunctions.h"
#include "npu/simulator/VectorPrograms.h"

#include <algorithm>
#include <cstring>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::simulator;

/// The address of element [0, j, k, l].
static std::byte *at(const ExecutionContext &context, const View &view,
                     int64_t j, int64_t k, int64_t l) {
  return context.memory.scratch + view.address + j * view.strides[1] +
         k * view.strides[2] + l * view.strides[3];
}

template <typename T>
static void put(std::byte *dst, int64_t stride, const T *values, size_t count) {
  if (stride == sizeof(T)) {
    std::memcpy(dst, values, count * sizeof(T));
    return;
  }
  for (size_t i = 0; i < count; ++i, dst += stride)
    std::memcpy(dst, values + i, sizeof(T));
}

/// The integers of a row, in place if they are dense, else copied to `buffer`.
static const int16_t *integersOf(const std::byte *src, int64_t stride,
                                 size_t count, std::vector<int16_t> &buffer) {
  if (stride == sizeof(int16_t) || count == 1)
    return reinterpret_cast<const int16_t *>(src);
  buffer.resize(count);
  for (size_t i = 0; i < count; ++i, src += stride)
    std::memcpy(&buffer[i], src, sizeof(int16_t));
  return buffer.data();
}

/// Columns of row i that take part; the others give e = 0.
static size_t visibleColumns(const SoftmaxCommand &softmax, int64_t row) {
  int64_t columns = softmax.input.extents[3];
  int64_t visible = row + softmax.causalOffset + 1;
  return static_cast<size_t>(std::clamp<int64_t>(visible, 0, columns));
}

static void softmaxRowI16(const SoftmaxCommand &softmax, int64_t row,
                          ExecutionContext &context,
                          std::vector<int16_t> &buffer,
                          std::vector<int16_t> &result) {
  const View &input = softmax.input;
  size_t columns = input.extents[3], visible = visibleColumns(softmax, row);
  const int16_t *src = integersOf(at(context, input, 0, row, 0),
                                  input.strides[3], columns, buffer);
  result.assign(columns, 0);
  int32_t sum = 0;
  if (visible > 0)
    sum = static_cast<int32_t>(
        context.kernels.softmaxI16(src, visible, input.scale, result.data()));
  put(at(context, softmax.result, 0, row, 0), softmax.result.strides[3],
      result.data(), columns);
  std::memcpy(at(context, softmax.sums, 0, row, 0), &sum, sizeof(sum));
}

static void softmaxRowF16(const SoftmaxCommand &softmax, int64_t row,
                          ExecutionContext &context, std::vector<float> &values,
                          std::vector<uint16_t> &halves) {
  const View &input = softmax.input;
  size_t columns = input.extents[3], visible = visibleColumns(softmax, row);
  values.assign(columns, 0.0f);
  halves.resize(columns);
  float sum = 0;
  if (visible > 0) {
    loadElements(context.kernels, DType::F16, 1, at(context, input, 0, row, 0),
                 input.strides[3], values.data(), visible);
    sum = context.kernels.softmaxF32(values.data(), visible, values.data());
  }
  context.kernels.storeF16(values.data(), halves.data(), columns);
  put(at(context, softmax.result, 0, row, 0), softmax.result.strides[3],
      halves.data(), columns);
  std::memcpy(at(context, softmax.sums, 0, row, 0), &sum, sizeof(sum));
}

void simulator::execute(const SoftmaxCommand &softmax,
                        ExecutionContext &context) {
  parallelFor(context.pool, softmax.input.extents[2],
              [&](int64_t begin, int64_t end) {
                std::vector<int16_t> buffer, result;
                std::vector<float> values;
                std::vector<uint16_t> halves;
                for (int64_t row = begin; row < end; ++row)
                  if (softmax.input.dtype == DType::I16)
                    softmaxRowI16(softmax, row, context, buffer, result);
                  else
                    softmaxRowF16(softmax, row, context, values, halves);
              });
}

template <typename T>
static void addStats(const NormStatsCommand &stats, int64_t group, T sum,
                     T squares, ExecutionContext &context) {
  std::array<T, 2> total = {sum, squares};
  for (int64_t i = 0; i < 2; ++i) {
    std::byte *address = at(context, stats.stats, 0, group, i);
    if (stats.accumulate) {
      T before;
      std::memcpy(&before, address, sizeof(before));
      total[static_cast<size_t>(i)] += before;
    }
    std::memcpy(address, &total[static_cast<size_t>(i)], sizeof(T));
  }
}

static void sumGroup(const NormStatsCommand &stats, int64_t group,
                     ExecutionContext &context) {
  const View &input = stats.input;
  size_t channels = input.extents[3];
  std::vector<int16_t> buffer;
  std::vector<float> values(channels);
  int64_t sum = 0, squares = 0;
  double floatSum = 0, floatSquares = 0;
  for (int64_t row = 0; row < input.extents[1]; ++row) {
    const std::byte *src = at(context, input, row, group, 0);
    if (input.dtype == DType::I16) {
      context.kernels.sumsI16(
          integersOf(src, input.strides[3], channels, buffer), channels, sum,
          squares);
      continue;
    }
    loadElements(context.kernels, DType::F16, 1, src, input.strides[3],
                 values.data(), channels);
    for (float value : values) {
      double wide = value;
      floatSum += wide;
      floatSquares += wide * wide;
    }
  }
  if (input.dtype == DType::I16)
    addStats(stats, group, sum, squares, context);
  else
    addStats(stats, group, floatSum, floatSquares, context);
}

void simulator::execute(const NormStatsCommand &stats,
                        ExecutionContext &context) {
  parallelFor(context.pool, stats.input.extents[2],
              [&](int64_t begin, int64_t end) {
                for (int64_t group = begin; group < end; ++group)
                  sumGroup(stats, group, context);
              });
}

/// As numerics::normStatistics, from sums that are binary64 already.
static numerics::NormStatistics floatStatistics(double sum, double squares,
                                                double count, double epsilon,
                                                bool rms) {
  double mean = rms ? 0.0 : sum / count;
  double square = mean * mean;
  double variance = squares / count - square;
  variance = variance < 0.0 ? 0.0 : variance;
  return {mean, 1.0 / std::sqrt(variance + epsilon)};
}

static numerics::NormStatistics statisticsOf(const NormFactorsCommand &factors,
                                             int64_t group,
                                             const ExecutionContext &context) {
  const std::byte *sum = at(context, factors.stats, 0, group, 0),
                  *squares = at(context, factors.stats, 0, group, 1);
  if (factors.stats.dtype == DType::I64) {
    std::array<int64_t, 2> values;
    std::memcpy(&values[0], sum, 8);
    std::memcpy(&values[1], squares, 8);
    return numerics::normStatistics(values[0], values[1],
                                    static_cast<int64_t>(factors.count),
                                    factors.inputScale, factors.epsilon, false);
  }
  std::array<double, 2> values;
  std::memcpy(&values[0], sum, 8);
  std::memcpy(&values[1], squares, 8);
  return floatStatistics(values[0], values[1],
                         static_cast<double>(factors.count), factors.epsilon,
                         false);
}

void simulator::execute(const NormFactorsCommand &factors,
                        ExecutionContext &context) {
  for (int64_t group = 0; group < factors.gamma.extents[2]; ++group) {
    numerics::NormStatistics statistics = statisticsOf(factors, group, context);
    for (int64_t c = 0; c < factors.gamma.extents[3]; ++c) {
      float gamma, beta;
      std::memcpy(&gamma, at(context, factors.gamma, 0, group, c), 4);
      std::memcpy(&beta, at(context, factors.beta, 0, group, c), 4);
      numerics::NormFactors result =
          numerics::groupNormFactors(statistics, gamma, beta);
      std::memcpy(at(context, factors.factors, 0, group, c), &result.a, 4);
      std::memcpy(at(context, factors.biases, 0, group, c), &result.b, 4);
    }
  }
}

namespace {
/// What the rows of a layer norm have in common.
struct LayerNormRows {
  const LayerNormCommand &norm;
  ExecutionContext &context;
  std::vector<float> gamma, beta;

  LayerNormRows(const LayerNormCommand &norm, ExecutionContext &context);
  numerics::NormFactors factorsOf(int64_t row, const float *values,
                                  std::vector<int16_t> &buffer) const;
  void run(int64_t begin, int64_t end) const;
};
} // namespace

LayerNormRows::LayerNormRows(const LayerNormCommand &norm,
                             ExecutionContext &context)
    : norm(norm), context(context) {
  size_t columns = norm.input.extents[3];
  for (auto [view, values] :
       {std::pair(&norm.gamma, &gamma), std::pair(&norm.beta, &beta)}) {
    values->resize(columns);
    loadElements(context.kernels, DType::F32, 1, at(context, *view, 0, 0, 0),
                 columns == 1 ? 0 : view->strides[3], values->data(), columns);
  }
}

numerics::NormFactors
LayerNormRows::factorsOf(int64_t row, const float *values,
                         std::vector<int16_t> &buffer) const {
  const View &input = norm.input;
  size_t columns = input.extents[3];
  if (input.dtype == DType::I16) {
    int64_t sum = 0, squares = 0;
    context.kernels.sumsI16(integersOf(at(context, input, 0, row, 0),
                                       input.strides[3], columns, buffer),
                            columns, sum, squares);
    return numerics::layerNormFactors(
        numerics::normStatistics(sum, squares, static_cast<int64_t>(columns),
                                 input.scale, norm.epsilon, norm.rms));
  }
  double sum = 0, squares = 0;
  for (size_t i = 0; i < columns; ++i) {
    double wide = values[i];
    sum += wide;
    squares += wide * wide;
  }
  return numerics::layerNormFactors(floatStatistics(
      sum, squares, static_cast<double>(columns), norm.epsilon, norm.rms));
}

void LayerNormRows::run(int64_t begin, int64_t end) const {
  const View &input = norm.input;
  size_t columns = input.extents[3];
  std::vector<float> values(columns), result(columns);
  std::vector<int16_t> buffer;
  ProgramRunner runner(norm.epilogue, context.memory.scratch, context.kernels);
  for (int64_t row = begin; row < end; ++row) {
    // q itself: the factors hold the scale.
    loadElements(context.kernels, input.dtype, 1, at(context, input, 0, row, 0),
                 columns == 1 ? 0 : input.strides[3], values.data(), columns);
    auto [a, b] = factorsOf(row, values.data(), buffer);
    context.kernels.normalise(values.data(), a, b, !norm.rms, gamma.data(),
                              beta.data(), result.data(), columns);
    runner.runRows(static_cast<uint64_t>(row), static_cast<uint64_t>(row) + 1,
                   result.data());
  }
}

void simulator::execute(const LayerNormCommand &norm,
                        ExecutionContext &context) {
  LayerNormRows rows(norm, context);
  parallelFor(context.pool, norm.input.extents[2],
              [&](int64_t begin, int64_t end) { rows.run(begin, end); });
}
