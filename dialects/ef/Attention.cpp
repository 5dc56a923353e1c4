// ef.attention: shape inference, verification and reference evaluation, row by
// row.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"

#include "mlir/IR/Threading.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace efc::ef;

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto query = cast<RankedTensorType>(adaptor.getQuery().getType()),
       key = cast<RankedTensorType>(adaptor.getKey().getType());
  auto value = cast<RankedTensorType>(adaptor.getValue().getType());
  auto describe = [&] {
    return "query " + formatShape(query.getShape()) + ", key " +
           formatShape(key.getShape()) + ", value " +
           formatShape(value.getShape());
  };
  if (query.getRank() != 3 || key.getRank() != 3 || value.getRank() != 3)
    return emitOptionalError(
        location, "attention works on [batch, tokens, channels], but has ",
        describe());
  auto isActivation = [](RankedTensorType type) {
    return getActivationFormat(type).has_value();
  };
  bool areQuantized =
      isActivation(query) && isActivation(key) && isActivation(value);
  if (!areQuantized && (query.getElementType() != key.getElementType() ||
                        query.getElementType() != value.getElementType()))
    return emitOptionalError(
        location,
        "attention: query, key and value must have one element type, but have ",
        query.getElementType(), ", ", key.getElementType(), " and ",
        value.getElementType());
  int64_t heads = adaptor.getHeads(), keyHeads = adaptor.getKvHeads();
  if (heads < 1 || keyHeads < 1 || heads % keyHeads != 0)
    return emitOptionalError(location, "attention: ", heads,
                             " query heads cannot share ", keyHeads,
                             " key heads evenly");
  if (query.getDimSize(0) != key.getDimSize(0) ||
      query.getDimSize(0) != value.getDimSize(0) ||
      key.getDimSize(1) != value.getDimSize(1))
    return emitOptionalError(location,
                             "attention: batches must be equal, and keys as "
                             "many as values, but has ",
                             describe());
  if (query.getDimSize(2) % heads != 0 || key.getDimSize(2) % keyHeads != 0 ||
      value.getDimSize(2) % keyHeads != 0)
    return emitOptionalError(
        location, "attention: ", heads, " heads (", keyHeads,
        " of keys) do not divide the channels of ", describe());
  if (query.getDimSize(2) / heads != key.getDimSize(2) / keyHeads)
    return emitOptionalError(location, "attention: a query head has ",
                             query.getDimSize(2) / heads,
                             " channels and a key head ",
                             key.getDimSize(2) / keyHeads, " in ", describe());
  types.push_back(RankedTensorType::get(
      {query.getDimSize(0), query.getDimSize(1),
       value.getDimSize(2) / keyHeads * heads},
      areQuantized ? Type(Float32Type::get(context)) : query.getElementType()));
  return success();
}

static Shape getScoreShape(AttentionOp op) {
  RankedTensorType query = op.getQuery().getType();
  return {query.getDimSize(0), static_cast<int64_t>(op.getHeads()),
          query.getDimSize(1), op.getKey().getType().getDimSize(1)};
}

/// A score_scale exactly with quantised operands, which then have no mask.
static LogicalResult verifyQuantization(AttentionOp op) {
  bool areQuantized = isQuantized(op.getQuery().getType());
  if (areQuantized && op.getMask())
    return op.emitOpError("on quantised operands cannot have a mask");
  if (areQuantized != op.getScoreScale().has_value())
    return op.emitOpError()
           << (areQuantized ? "on quantised operands needs" : "has")
           << " a score_scale"
           << (areQuantized ? ", the scale of its int16 scores"
                            : ", but its operands are not quantised");
  if (op.getScoreScale() &&
      !(static_cast<float>(op.getScoreScale()->convertToDouble()) > 0))
    return op.emitOpError("has a score_scale that is not positive");
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyQuantization(*this)))
    return failure();
  if (!getMask())
    return success();
  auto mask = cast<RankedTensorType>(getMask().getType());
  Shape scores = getScoreShape(*this);
  if (!broadcastsTo(mask.getShape(), scores))
    return emitOpError() << "the mask " << formatShape(mask.getShape())
                         << " does not broadcast to the scores "
                         << formatShape(scores)
                         << " (batch, heads, queries, keys)";
  if (!mask.getElementType().isInteger(1) &&
      !isa<FloatType>(mask.getElementType()))
    return emitOpError() << "the mask must be boolean or floating-point, but "
                            "has elements of type "
                         << mask.getElementType();
  return success();
}

namespace {
/// The operands in double and the geometry of the heads.
struct AttentionProblem {
  std::vector<double> query, key, value, mask;
  int64_t batch, heads, keyHeads, queries, keys, headSize, valueSize;
  double scale;
  bool causal, boolMask = false;
  Shape maskStrides;

  AttentionProblem(AttentionOp op, ArrayRef<HostTensor> operands)
      : query(readValues<double>(operands[0])),
        key(readValues<double>(operands[1])),
        value(readValues<double>(operands[2])), heads(op.getHeads()),
        keyHeads(op.getKvHeads()), scale(op.getScale().convertToDouble()),
        causal(op.getCausal()) {
    Shape scores = getScoreShape(op);
    batch = scores[0];
    queries = scores[2];
    keys = scores[3];
    headSize = op.getQuery().getType().getDimSize(2) / heads;
    valueSize = op.getValue().getType().getDimSize(2) / keyHeads;
    if (operands.size() < 4)
      return;
    boolMask = operands[3].getElementType().isInteger(1);
    mask = readValues<double>(operands[3]);
    maskStrides = getBroadcastStrides(operands[3].getShape(), scores);
  }

  /// Scaled and masked score; minus infinity where the key is not kept.
  double getScore(int64_t b, int64_t h, int64_t i, int64_t j) const {
    constexpr double dropped = -std::numeric_limits<double>::infinity();
    if (causal && j > i + keys - queries)
      return dropped;
    double maskValue = 0;
    if (!mask.empty()) {
      maskValue = mask[b * maskStrides[0] + h * maskStrides[1] +
                       i * maskStrides[2] + j * maskStrides[3]];
      if (boolMask && maskValue == 0)
        return dropped;
    }
    const double *q = query.data() + ((b * queries + i) * heads + h) * headSize;
    const double *k =
        key.data() +
        ((b * keys + j) * keyHeads + h / (heads / keyHeads)) * headSize;
    double dot = 0;
    for (int64_t c = 0; c < headSize; ++c)
      dot += q[c] * k[c];
    return dot * scale + (boolMask ? 0 : maskValue);
  }

  /// Adds the weighted values of row (b, h, i) to the zeroed `result`.
  void computeRow(int64_t b, int64_t h, int64_t i, double *result) const {
    std::vector<double> scores(keys);
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t j = 0; j < keys; ++j) {
      scores[j] = getScore(b, h, i, j);
      largest = std::max(largest, scores[j]);
    }
    if (largest == -std::numeric_limits<double>::infinity())
      return;
    for (double &score : scores)
      sum += score = std::exp(score - largest);
    for (int64_t j = 0; j < keys; ++j) {
      const double *v =
          value.data() +
          ((b * keys + j) * keyHeads + h / (heads / keyHeads)) * valueSize;
      for (int64_t c = 0; c < valueSize; ++c)
        result[c] += scores[j] / sum * v[c];
    }
  }
};
} // namespace

LogicalResult AttentionOp::evaluate(ArrayRef<HostTensor> operands,
                                    SmallVectorImpl<HostTensor> &results) {
  if (isQuantized(getQuery().getType())) {
    results.push_back(evaluateQuantized(*this, operands));
    return success();
  }
  AttentionProblem problem(*this, operands);
  std::vector<double> result(getType().getNumElements());
  parallelFor(
      getContext(), 0, problem.batch * problem.queries, [&](size_t row) {
        for (int64_t h = 0; h < problem.heads; ++h)
          problem.computeRow(row / problem.queries, h, row % problem.queries,
                             result.data() +
                                 (row * problem.heads + h) * problem.valueSize);
      });
  results.push_back(makeTensor<double>(getType(), result));
  return success();
}
