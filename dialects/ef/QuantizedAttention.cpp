// Reference evaluation of attention on int16 queries, keys and values
// (docs/numerics.md), one row of scores at a time.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/QuantizedProducts.h"
#include "runtime/npu/Numerics.h"

#include "mlir/IR/Threading.h"

using namespace mlir;
using namespace efc::ef;
namespace numerics = efrt::numerics;

namespace {
class QuantizedAttention {
public:
  QuantizedAttention(AttentionOp op, ArrayRef<HostTensor> operands)
      : query(getData(operands[0])), key(getData(operands[1])),
        value(getData(operands[2])), heads(op.getHeads()),
        keyHeads(op.getKvHeads()), queries(operands[0].getShape()[1]),
        keys(operands[1].getShape()[1]),
        headChannels(operands[0].getShape()[2] / heads),
        valueChannels(operands[2].getShape()[2] / keyHeads),
        causal(op.getCausal()) {
    float queryScale = getActivationFormat(operands[0].getType())->scale,
          keyScale = getActivationFormat(operands[1].getType())->scale;
    scoreFactor = numerics::attentionScoreFactor(
        queryScale, keyScale, op.getScale().convertToDouble());
    valueScale = getActivationFormat(operands[2].getType())->scale;
    auto scoreScale = static_cast<float>(op.getScoreScale()->convertToDouble());
    inverseScoreScale = numerics::invert(scoreScale);
    // A row's exponentials depend only on the difference of two int16.
    for (int32_t below = 0; below <= 2 * kActivationLimit; ++below)
      exponentials.push_back(numerics::softmaxExponential(-below, scoreScale));
  }

  /// Row `row` of all heads: query row % queries of batch row / queries.
  void computeRow(int64_t row, float *result) const {
    int64_t batch = row / queries;
    // Key j is kept up to this one.
    int64_t last =
        causal ? std::min(keys, row % queries + keys - queries + 1) : keys;
    std::vector<int32_t> weights(std::max<int64_t>(last, 0));
    for (int64_t head = 0; head < heads; ++head) {
      int64_t keyHead = head / (heads / keyHeads);
      float *to = result + (row * heads + head) * valueChannels;
      int64_t sum = computeWeights(
          query + (row * heads + head) * headChannels,
          key + (batch * keys * keyHeads + keyHead) * headChannels, weights);
      combineValues(value + (batch * keys * keyHeads + keyHead) * valueChannels,
                    weights, sum, to);
    }
  }

private:
  static const int16_t *getData(const HostTensor &tensor) {
    return reinterpret_cast<const int16_t *>(tensor.getBytes().data());
  }

  /// e of every key; gives their sum.
  int64_t computeWeights(const int16_t *from, const int16_t *keyRow,
                         std::vector<int32_t> &weights) const {
    int32_t largest = -kActivationLimit;
    for (int32_t &score : weights) {
      int64_t sum = dot(from, keyRow, headChannels);
      score = numerics::quantize(static_cast<float>(sum) * scoreFactor,
                                 inverseScoreScale, kActivationLimit);
      largest = std::max(largest, score);
      keyRow += keyHeads * headChannels;
    }
    int64_t sum = 0;
    for (int32_t &weight : weights)
      sum += weight = exponentials[largest - weight];
    return sum;
  }

  void combineValues(const int16_t *valueRow, ArrayRef<int32_t> weights,
                     int64_t sum, float *to) const {
    std::vector<int64_t> sums(valueChannels);
    for (int32_t weight : weights) {
      for (int64_t c = 0; weight != 0 && c < valueChannels; ++c)
        sums[c] += weight * static_cast<int32_t>(valueRow[c]);
      valueRow += keyHeads * valueChannels;
    }
    // A row that keeps no key is zero, as in ef.attention.
    for (int64_t c = 0; c < valueChannels; ++c)
      to[c] = sum == 0 ? 0.0f
                       : static_cast<float>(sums[c]) * valueScale /
                             static_cast<float>(sum);
  }

  const int16_t *query, *key, *value;
  int64_t heads, keyHeads, queries, keys, headChannels, valueChannels;
  bool causal;
  float scoreFactor, valueScale, inverseScoreScale;
  std::vector<int32_t> exponentials;
};
} // namespace

HostTensor efc::ef::evaluateQuantized(AttentionOp op,
                                      ArrayRef<HostTensor> operands) {
  QuantizedAttention attention(op, operands);
  HostTensor result(op.getType());
  auto *values = reinterpret_cast<float *>(result.getMutableBytes().data());
  int64_t rows = op.getType().getDimSize(0) * op.getType().getDimSize(1);
  parallelFor(op.getContext(), 0, rows,
              [&](size_t row) { attention.computeRow(row, values); });
  return result;
}
