// efc-raise-timestep-embedding: recognises [sin(s t f), cos(s t f)].
#include "dialects/ef/WeightStore.h"
#include "passes/Passes.h"
#include "passes/canonicalize/Match.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace efc::ef;

namespace efc {
#define GEN_PASS_DEF_EFCRAISETIMESTEPEMBEDDING
#include "passes/Passes.h.inc"
} // namespace efc

namespace {
/// angle[n, i] = scale * timesteps[n] * frequencies[i]
struct Angle {
  Value timesteps;   ///< [N, 1]
  Value frequencies; ///< [1, dim / 2] or [dim / 2], constant
  double scale = 1;
};
} // namespace

static void stripScale(Value &value, double &scale) {
  while (auto scaled = matchScalarOperand(value, BinaryKind::Mul)) {
    value = scaled->first;
    scale *= scaled->second;
  }
}

static std::optional<Angle> matchAngle(Value value) {
  Angle angle;
  stripScale(value, angle.scale);
  BinaryOp mul = getBinary(value, BinaryKind::Mul);
  if (!mul || tensorType(mul).getRank() != 2)
    return std::nullopt;
  bool tableFirst = isConstantExpression(mul.getLhs());
  angle.timesteps = tableFirst ? mul.getRhs() : mul.getLhs();
  angle.frequencies = tableFirst ? mul.getLhs() : mul.getRhs();
  stripScale(angle.timesteps, angle.scale);
  RankedTensorType type = tensorType(mul), steps = tensorType(angle.timesteps),
                   table = tensorType(angle.frequencies);
  bool isOuterProduct =
      isConstantExpression(angle.frequencies) &&
      !isConstantExpression(angle.timesteps) &&
      steps.getShape() == ArrayRef<int64_t>{type.getDimSize(0), 1} &&
      table.getRank() >= 1 && table.getNumElements() == type.getDimSize(1) &&
      table.getShape().back() == type.getDimSize(1);
  return isOuterProduct ? std::optional(angle) : std::nullopt;
}

namespace {
struct RaiseEmbedding : OpRewritePattern<ConcatOp> {
  RaiseEmbedding(MLIRContext *context, Pass::Statistic &count)
      : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(ConcatOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getInputs().size() != 2 || tensorType(op).getRank() != 2 ||
        op.getAxis() != 1)
      return rewriter.notifyMatchFailure(op, "not two matrices side by side");
    auto first = op.getInputs()[0].getDefiningOp<UnaryOp>(),
         second = op.getInputs()[1].getDefiningOp<UnaryOp>();
    if (!first || !second || first.getInput() != second.getInput())
      return rewriter.notifyMatchFailure(op, "not two functions of one angle");
    bool sineFirst =
        first.getKind() == UnaryKind::Sin && second.getKind() == UnaryKind::Cos;
    bool cosineFirst =
        first.getKind() == UnaryKind::Cos && second.getKind() == UnaryKind::Sin;
    std::optional<Angle> angle = matchAngle(first.getInput());
    if (!angle || !(sineFirst || cosineFirst))
      return rewriter.notifyMatchFailure(
          op, "not sine and cosine of timesteps times constant frequencies");

    Location loc = getHelperLoc(op.getLoc());
    RankedTensorType steps = tensorType(angle->timesteps),
                     table = tensorType(angle->frequencies);
    Value timesteps = rewriter.createOrFold<ReshapeOp>(
        loc, steps.clone({steps.getNumElements()}), angle->timesteps);
    Value frequencies = rewriter.createOrFold<ReshapeOp>(
        loc, table.clone({table.getNumElements()}), angle->frequencies);
    rewriter.replaceOpWithNewOp<TimestepEmbeddingOp>(
        op, op.getType(), timesteps, frequencies, APFloat(angle->scale),
        cosineFirst);
    ++count;
    return success();
  }

private:
  Pass::Statistic &count;
};

struct RaiseTimestepEmbedding
    : efc::impl::EfcRaiseTimestepEmbeddingBase<RaiseTimestepEmbedding> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseEmbedding>(&getContext(), numEmbeddings);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
