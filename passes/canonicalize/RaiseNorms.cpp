// efc-raise-norms: recognises group, layer and RMS normalisation in what
// exporters make of them.
#include "dialects/ef/WeightStore.h"
#include "passes/Passes.h"
#include "passes/canonicalize/Match.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace efc::ef;

namespace efc {
#define GEN_PASS_DEF_EFCRAISENORMS
#include "passes/Passes.h.inc"
} // namespace efc

//===----------------------------------------------------------------------===//
// Affine parts
//===----------------------------------------------------------------------===//

/// Whether `value` is constant, holds one number for each element of dimension
/// `dim` of `type` (or one in all) and broadcasts to it.
static bool variesOnlyAlong(Value value, RankedTensorType type, int64_t dim) {
  RankedTensorType parameter = tensorType(value);
  int64_t offset = type.getRank() - parameter.getRank();
  if (offset < 0 || parameter.getElementType() != type.getElementType() ||
      !isConstantExpression(value))
    return false;
  for (int64_t i = 0; i < parameter.getRank(); ++i)
    if (parameter.getDimSize(i) != 1 &&
        (i + offset != dim || parameter.getDimSize(i) != type.getDimSize(dim)))
      return false;
  return true;
}

/// `value`, which varies only along one dimension of `channels` elements, as
/// tensor<channels>.
static Value toVector(OpBuilder &builder, Location loc, Value value,
                      int64_t channels) {
  RankedTensorType type = tensorType(value);
  if (type.getNumElements() == channels)
    return builder.createOrFold<ReshapeOp>(loc, type.clone({channels}), value);
  Value scalar = builder.createOrFold<ReshapeOp>(
      loc, type.clone(ArrayRef<int64_t>{1}), value);
  return builder.createOrFold<BroadcastOp>(loc, type.clone({channels}), scalar);
}

/// The one user of `value` if it is an operation of `kind` on it, with the
/// other operand.
static std::pair<BinaryOp, Value> getOnlyUser(Value value, BinaryKind kind) {
  if (!value.hasOneUse())
    return {};
  auto user = dyn_cast<BinaryOp>(*value.user_begin());
  if (!user || user.getKind() != kind || user.getType() != value.getType())
    return {};
  return {user, getOther(user, value)};
}

//===----------------------------------------------------------------------===//
// Group normalisation
//===----------------------------------------------------------------------===//

namespace {
/// Instance normalisation of [N, G, rest], scale 1 and bias 0, between two
/// reshapes: group normalisation without its affine part.
struct RaiseGroupNorm : OpRewritePattern<ReshapeOp> {
  RaiseGroupNorm(MLIRContext *context, Pass::Statistic &count)
      : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(ReshapeOp outer,
                                PatternRewriter &rewriter) const override {
    auto norm = outer.getInput().getDefiningOp<GroupNormOp>();
    auto inner =
        norm ? norm.getInput().getDefiningOp<ReshapeOp>() : ReshapeOp();
    if (!inner || norm.getLayout() != Layout::ChannelsFirst)
      return rewriter.notifyMatchFailure(
          outer, "no normalisation between two reshapes");
    RankedTensorType type = tensorType(inner.getInput()),
                     grouped = tensorType(norm);
    if (type != outer.getType() || type.getRank() < 2)
      return rewriter.notifyMatchFailure(
          outer, "the reshapes are not each other's inverse");
    int64_t groups = norm.getGroups(), channels = type.getDimSize(1);
    bool groupsAreChannels =
        grouped.getRank() == 3 && grouped.getDimSize(0) == type.getDimSize(0) &&
        grouped.getDimSize(1) == groups && groups > 0 && channels % groups == 0;
    if (!groupsAreChannels)
      return rewriter.notifyMatchFailure(
          outer, "the normalised dimension is not a grouping of the channels");
    if (!norm->hasOneUse())
      return rewriter.notifyMatchFailure(
          outer, "the normalised tensor has another user");
    Location loc = getHelperLoc(outer.getLoc());
    Value scale = expand(rewriter, loc, norm.getScale(), channels),
          bias = expand(rewriter, loc, norm.getBias(), channels);
    rewriter.replaceOpWithNewOp<GroupNormOp>(
        outer, type, inner.getInput(), scale, bias, groups, norm.getEpsilon(),
        Layout::ChannelsFirst);
    ++count;
    return success();
  }

private:
  /// One parameter for each channel from one for each group.
  static Value expand(OpBuilder &builder, Location loc, Value parameter,
                      int64_t channels) {
    RankedTensorType type = tensorType(parameter);
    int64_t groups = type.getNumElements();
    Value column = builder.createOrFold<ReshapeOp>(loc, type.clone({groups, 1}),
                                                   parameter);
    Value matrix = builder.createOrFold<BroadcastOp>(
        loc, type.clone({groups, channels / groups}), column);
    return builder.createOrFold<ReshapeOp>(loc, type.clone({channels}), matrix);
  }

  Pass::Statistic &count;
};

/// Group normalisation followed by a product and a sum for each channel: both
/// become its own scale and bias.
struct AbsorbAffine : OpRewritePattern<GroupNormOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GroupNormOp norm,
                                PatternRewriter &rewriter) const override {
    RankedTensorType type = tensorType(norm);
    int64_t axis =
        norm.getLayout() == Layout::ChannelsFirst ? 1 : type.getRank() - 1;
    bool isNeutral =
        isScalar(norm.getScale(), 1) && isScalar(norm.getBias(), 0);
    auto [mul, scale] = getOnlyUser(norm, BinaryKind::Mul);
    if (!isNeutral || !mul || !variesOnlyAlong(scale, type, axis))
      return rewriter.notifyMatchFailure(
          norm,
          "no scale for each channel follows a normalisation without one");
    auto [add, bias] = getOnlyUser(mul, BinaryKind::Add);
    bool hasBias = add && variesOnlyAlong(bias, type, axis);
    Operation *last = hasBias ? add : mul;
    rewriter.setInsertionPoint(last);
    Location loc = getHelperLoc(last->getLoc());
    int64_t channels = type.getDimSize(axis);
    Value scaleVector = toVector(rewriter, loc, scale, channels);
    Value biasVector =
        hasBias ? toVector(rewriter, loc, bias, channels) : norm.getBias();
    rewriter.replaceOpWithNewOp<GroupNormOp>(
        last, type, norm.getInput(), scaleVector, biasVector, norm.getGroups(),
        norm.getEpsilon(), norm.getLayout());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Layer normalisation and RMS normalisation
//===----------------------------------------------------------------------===//

/// The decomposed forms end in x (mul) 1/sqrt(...) or x (div) sqrt(...), x
/// being the input or the centred input.
struct RaiseLayerNorm : OpRewritePattern<BinaryOp> {
  RaiseLayerNorm(MLIRContext *context, Pass::Statistic &count)
      : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    auto [numerator, variance, epsilon] = matchQuotient(op);
    if (!numerator || numerator.getType() != op.getType())
      return rewriter.notifyMatchFailure(
          op, "not a value over sqrt(variance + epsilon)");
    ReduceOp mean = variance.getDefiningOp<ReduceOp>();
    if (!mean || mean.getKind() != ReduceKind::Mean || !mean.getKeepDims())
      return rewriter.notifyMatchFailure(
          op, "the variance is no mean that keeps its dimensions");
    Value deviation = getSquared(mean.getInput());
    std::optional<int64_t> axis = getTrailingAxis(mean);
    if (deviation != numerator || !axis)
      return rewriter.notifyMatchFailure(op,
                                         "not the mean of the numerator's "
                                         "square over the trailing dimensions");
    Value input = getCentred(numerator, mean.getAxes());
    bool isRms = !input;
    auto norm = LayerNormOp::create(rewriter, op.getLoc(), op.getType(),
                                    isRms ? numerator : input, Value(), Value(),
                                    *axis, APFloat(epsilon), isRms);
    rewriter.replaceOp(op, norm);
    ++count;
    return success();
  }

private:
  /// numerator, variance and epsilon of x / sqrt(variance + epsilon), however
  /// it is written.
  static std::tuple<Value, Value, double> matchQuotient(BinaryOp op) {
    auto matchRoot =
        [](Value root,
           UnaryKind kind) -> std::optional<std::pair<Value, double>> {
      UnaryOp sqrt = getUnary(root, kind);
      return sqrt ? matchScalarOperand(sqrt.getInput(), BinaryKind::Add)
                  : std::nullopt;
    };
    if (op.getKind() == BinaryKind::Div) {
      if (auto root = matchRoot(op.getRhs(), UnaryKind::Sqrt))
        return {op.getLhs(), root->first, root->second};
    }
    if (op.getKind() != BinaryKind::Mul)
      return {};
    for (Value factor : op.getOperands()) {
      Value other = getOther(op, factor);
      if (auto root = matchRoot(factor, UnaryKind::Rsqrt))
        return {other, root->first, root->second};
      if (UnaryOp reciprocal = getUnary(factor, UnaryKind::Reciprocal))
        if (auto root = matchRoot(reciprocal.getInput(), UnaryKind::Sqrt))
          return {other, root->first, root->second};
      BinaryOp quotient = getBinary(factor, BinaryKind::Div);
      if (quotient && isScalar(quotient.getLhs(), 1))
        if (auto root = matchRoot(quotient.getRhs(), UnaryKind::Sqrt))
          return {other, root->first, root->second};
    }
    return {};
  }

  /// x where `value` = x^2, or null.
  static Value getSquared(Value value) {
    if (BinaryOp mul = getBinary(value, BinaryKind::Mul))
      return mul.getLhs() == mul.getRhs() ? mul.getLhs() : Value();
    auto pow = matchScalarOperand(value, BinaryKind::Pow);
    return pow && pow->second == 2 ? pow->first : Value();
  }

  /// The first of the reduced dimensions, if these are the trailing ones.
  static std::optional<int64_t> getTrailingAxis(ReduceOp mean) {
    int64_t rank = tensorType(mean.getInput()).getRank();
    SmallVector<int64_t> axes(mean.getAxes());
    llvm::sort(axes);
    for (auto [index, axis] : llvm::enumerate(axes))
      if (axis != rank - static_cast<int64_t>(axes.size() - index))
        return std::nullopt;
    return axes.empty() ? std::nullopt : std::optional(axes.front());
  }

  /// x where `value` = x - mean of x over `axes`, or null.
  static Value getCentred(Value value, ArrayRef<int64_t> axes) {
    BinaryOp sub = getBinary(value, BinaryKind::Sub);
    ReduceOp mean = sub ? sub.getRhs().getDefiningOp<ReduceOp>() : ReduceOp();
    bool isCentred = mean && mean.getKind() == ReduceKind::Mean &&
                     mean.getKeepDims() && mean.getAxes() == axes &&
                     mean.getInput() == sub.getLhs();
    return isCentred ? sub.getLhs() : Value();
  }

  Pass::Statistic &count;
};

/// A product and a sum that vary only along the normalised dimensions become
/// the layer norm's scale and bias.
struct AbsorbLayerAffine : OpRewritePattern<LayerNormOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(LayerNormOp norm,
                                PatternRewriter &rewriter) const override {
    if (norm.getBias())
      return rewriter.notifyMatchFailure(norm, "it has a bias");
    Value scale = norm.getScale(), bias;
    Operation *last = nullptr;
    Value current = norm;
    if (!scale)
      if (auto [mul, factor] = getOnlyUser(current, BinaryKind::Mul);
          mul && isParameter(factor, norm)) {
        scale = factor;
        last = mul;
        current = mul;
      }
    if (auto [add, addend] = getOnlyUser(current, BinaryKind::Add);
        add && isParameter(addend, norm)) {
      bias = addend;
      last = add;
    }
    if (!last)
      return rewriter.notifyMatchFailure(norm,
                                         "neither scale nor bias follows");
    rewriter.setInsertionPoint(last);
    rewriter.replaceOpWithNewOp<LayerNormOp>(
        last, norm.getType(), norm.getInput(), scale, bias, norm.getAxis(),
        norm.getEpsilon(), norm.getRms());
    return success();
  }

private:
  /// Whether `value` is a constant that varies only along the normalised
  /// dimensions.
  static bool isParameter(Value value, LayerNormOp norm) {
    RankedTensorType type = tensorType(norm), parameter = tensorType(value);
    int64_t normalised = type.getRank() - norm.getAxis();
    if (parameter.getElementType() != type.getElementType() ||
        !isConstantExpression(value))
      return false;
    int64_t offset = type.getRank() - parameter.getRank();
    for (auto [dim, extent] : llvm::enumerate(parameter.getShape()))
      if (extent != 1 &&
          static_cast<int64_t>(dim) + offset < type.getRank() - normalised)
        return false;
    return offset >= 0;
  }
};

struct RaiseNorms : efc::impl::EfcRaiseNormsBase<RaiseNorms> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseGroupNorm>(&getContext(), numGroupNorms);
    patterns.add<RaiseLayerNorm>(&getContext(), numLayerNorms);
    patterns.add<AbsorbAffine, AbsorbLayerAffine>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
