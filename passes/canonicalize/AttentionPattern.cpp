// The softmax of an attention and what stands between it and its two matrix
// products.
#include "passes/canonicalize/AttentionPattern.h"

#include "dialects/ef/Locations.h"
#include "passes/canonicalize/Match.h"

#include <cmath>

using namespace mlir;
using namespace efc::ef;

/// "node X" or, for an operation without a name, its kind.
static std::string describe(Operation *op) {
  StringRef node = getNodeName(op->getLoc());
  return node.empty() ? "'" + op->getName().getStringRef().str() + "'"
                      : "node " + node.str();
}

/// Whether a reshape leaves the last two dimensions alone.
static bool keepsMatrix(ReshapeOp op) {
  ArrayRef<int64_t> from = tensorType(op.getInput()).getShape(),
                    to = tensorType(op).getShape();
  return from.size() >= 2 && to.size() >= 2 &&
         from.take_back(2) == to.take_back(2);
}

/// Whether a product is reached from `value` by going back through what may
/// stand before the softmax.
static bool leadsToMatmul(Value value) {
  constexpr size_t kMaxVisited = 32;
  SmallVector<Value> pending = {value};
  for (size_t i = 0; i < pending.size() && i < kMaxVisited; ++i) {
    Operation *op = pending[i].getDefiningOp();
    if (isa_and_present<MatmulOp>(op))
      return true;
    if (!isa_and_present<CastOp, ReshapeOp, BinaryOp, SelectOp>(op))
      continue;
    for (Value operand : op->getOperands()) {
      RankedTensorType type = tensorType(operand);
      if (type.getNumElements() == tensorType(value).getNumElements() &&
          isa<FloatType>(type.getElementType()))
        pending.push_back(operand);
    }
  }
  return false;
}

namespace {
/// Walks from the softmax to both products.
class Matcher {
public:
  explicit Matcher(SoftmaxOp softmax) : softmax(softmax) {}

  std::optional<AttentionPattern> match() {
    // Both products first, whatever stands between: without them this is no
    // attention, and no remark is due.
    if (!leadsToMatmul(softmax.getInput()) ||
        !reachesMatmul(softmax.getResult(), 0))
      return std::nullopt;
    if (softmax.getLog() || static_cast<int64_t>(softmax.getAxis()) !=
                                tensorType(softmax).getRank() - 1)
      pattern.failure = "the softmax is not over the last dimension";
    else if (succeeded(matchScores(softmax.getInput())))
      (void)matchProbabilities(softmax.getResult());
    return std::move(pattern);
  }

private:
  LogicalResult fail(const Twine &reason) {
    pattern.failure = reason.str();
    return failure();
  }

  static bool reachesMatmul(Value value, int depth) {
    return depth < 6 &&
           llvm::any_of(
               value.getUsers(),
               [&](Operation *user) {
                 if (isa<MatmulOp>(user))
                   return true;
                 return isa<CastOp, ReshapeOp, SelectOp>(user) &&
                        reachesMatmul(user->getResult(0), depth + 1);
               });
  }

  LogicalResult matchScores(Value value) {
    while (true) {
      if (!value.hasOneUse())
        return fail("the scores have another user (" +
                    describe(*value.user_begin()) + ")");
      Operation *op = value.getDefiningOp();
      if (auto matmul = dyn_cast<MatmulOp>(op)) {
        pattern.scores = matmul;
        return success();
      }
      if (auto reshape = dyn_cast<ReshapeOp>(op);
          reshape && !keepsMatrix(reshape))
        return fail("a reshape mixes queries or keys with heads (" +
                    describe(op) + ")");
      if (isa<ReshapeOp>(op) || skipFloatCasts(value) != value)
        value = op->getOperand(0);
      else if (failed(isa<SelectOp>(op) ? matchSelect(cast<SelectOp>(op), value)
                                        : matchArithmetic(value)))
        return failure();
    }
  }

  /// A scale or a mask that is added; moves `value` on to the scores before it.
  LogicalResult matchArithmetic(Value &value) {
    for (BinaryKind kind : {BinaryKind::Mul, BinaryKind::Div}) {
      auto scaled = matchScalarOperand(value, kind);
      if (!scaled || scaled->second == 0)
        continue;
      pattern.scale *=
          kind == BinaryKind::Mul ? scaled->second : 1 / scaled->second;
      scaleSeen = true;
      value = scaled->first;
      return success();
    }
    BinaryOp add = getBinary(value, BinaryKind::Add);
    if (!add)
      return fail("an operation other than a scale, a mask or a cast works on "
                  "the scores (" +
                  describe(value.getDefiningOp()) + ")");
    if (scaleSeen)
      return fail("the mask is scaled together with the scores (" +
                  describe(add) + ")");
    bool scoresFirst =
        add.getLhs().getType() == add.getType() && leadsToMatmul(add.getLhs());
    Value scores = scoresFirst ? add.getLhs() : add.getRhs(),
          mask = scoresFirst ? add.getRhs() : add.getLhs();
    if (scores.getType() != add.getType())
      return fail("the mask enlarges the scores (" + describe(add) + ")");
    pattern.masks.push_back(
        {mask, SmallVector<int64_t>(tensorType(add).getShape())});
    value = scores;
    return success();
  }

  /// Where(condition, scores, -inf) or Where(condition, -inf, scores).
  LogicalResult matchSelect(SelectOp select, Value &value) {
    auto isMinusInfinity = [](Value fill) {
      std::optional<double> scalar = getScalar(fill);
      return scalar && std::isinf(*scalar) && *scalar < 0;
    };
    bool keepsTrue = isMinusInfinity(select.getOnFalse());
    if (!keepsTrue && !isMinusInfinity(select.getOnTrue()))
      return fail("the masked scores are not minus infinity (" +
                  describe(select) + ")");
    if (scaleSeen)
      return fail("the mask is scaled together with the scores (" +
                  describe(select) + ")");
    Value scores = keepsTrue ? select.getOnTrue() : select.getOnFalse();
    if (scores.getType() != select.getType())
      return fail("the mask enlarges the scores (" + describe(select) + ")");
    pattern.masks.push_back(
        {select.getCondition(),
         SmallVector<int64_t>(tensorType(select).getShape()), !keepsTrue});
    value = scores;
    return success();
  }

  LogicalResult matchProbabilities(Value value) {
    while (true) {
      if (Value guarded = getNanGuard(value)) {
        value = guarded;
        continue;
      }
      if (!value.hasOneUse())
        return fail("the probabilities have another user (" +
                    describe(*value.user_begin()) + ")");
      OpOperand &use = *value.use_begin();
      Operation *user = use.getOwner();
      if (auto matmul = dyn_cast<MatmulOp>(user)) {
        pattern.output = matmul;
        pattern.probabilities = use.getOperandNumber();
        bool isFirst = use.getOperandNumber() == 0;
        if (isFirst ? matmul.getTransposeA() : !matmul.getTransposeB())
          return fail("the product sums over the queries (" + describe(user) +
                      ")");
        return success();
      }
      if (auto reshape = dyn_cast<ReshapeOp>(user);
          reshape && !keepsMatrix(reshape))
        return fail("a reshape mixes queries or keys with heads (" +
                    describe(user) + ")");
      if (!isa<ReshapeOp>(user) &&
          !(isa<CastOp>(user) &&
            skipFloatCasts(user->getResult(0)) != user->getResult(0)))
        return fail(
            "an operation other than a cast works on the probabilities (" +
            describe(user) + ")");
      value = user->getResult(0);
    }
  }

  /// Where(is_nan(value), 0, value), which guards rows without any key:
  /// ef.attention gives zero there by itself.
  static Value getNanGuard(Value value) {
    if (std::distance(value.use_begin(), value.use_end()) != 2)
      return {};
    for (Operation *user : value.getUsers()) {
      auto select = dyn_cast<SelectOp>(user);
      UnaryOp isNan = select ? getUnary(select.getCondition(), UnaryKind::IsNan)
                             : UnaryOp();
      if (isNan && isNan.getInput() == value && isNan->hasOneUse() &&
          select.getOnFalse() == value && isScalar(select.getOnTrue(), 0) &&
          select.getType() == value.getType())
        return select;
    }
    return {};
  }

  SoftmaxOp softmax;
  AttentionPattern pattern;
  bool scaleSeen = false;
};
} // namespace

std::optional<AttentionPattern> efc::ef::matchAttention(SoftmaxOp softmax) {
  return Matcher(softmax).match();
}
