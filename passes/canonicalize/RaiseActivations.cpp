// efc-raise-activations: recognises activation functions that exporters write
// as several element-wise operations.
//
// Most of them are products. A product is flattened into its factors and one
// scalar first, so that one pattern covers every order and association of the
// multiplications.
#include "passes/Passes.h"
#include "passes/canonicalize/Match.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace efc::ef;

namespace efc {
#define GEN_PASS_DEF_EFCRAISEACTIVATIONS
#include "passes/Passes.h.inc"
} // namespace efc

namespace {
/// scale * factors[0] * factors[1] * ...
struct Product {
  SmallVector<Value> factors;
  double scale = 1;
};
} // namespace

static constexpr unsigned kMaxFactors = 6;

static void flatten(Value value, Type type, Product &product) {
  // A factor that broadcasts stays whole: taken apart, its parts would not have
  // the product's type.
  bool isWhole =
      value.getType() != type || product.factors.size() >= kMaxFactors;
  if (std::optional<double> scalar = getScalar(value))
    product.scale *= *scalar;
  else if (BinaryOp mul = getBinary(value, BinaryKind::Mul); mul && !isWhole) {
    flatten(mul.getLhs(), type, product);
    flatten(mul.getRhs(), type, product);
  } else if (auto division = matchScalarOperand(value, BinaryKind::Div);
             division && !isWhole && division->second != 0) {
    product.scale /= division->second;
    flatten(division->first, type, product);
  } else
    product.factors.push_back(value);
}

static Product flatten(Value value) {
  Product product;
  flatten(value, value.getType(), product);
  return product;
}

/// Whether `value` is `expected` as well as constants of the type of `x` can
/// tell.
static bool isNear(double value, double expected, Value x) {
  return std::fabs(value - expected) <=
         getTolerance(tensorType(x).getElementType()) * std::fabs(expected);
}

/// Whether `value` = scale * x.
static bool isScaled(Value value, Value x, double scale) {
  Product product = flatten(value);
  return product.factors.size() == 1 && product.factors[0] == x &&
         isNear(product.scale, scale, x);
}

/// Whether `value` = scale * x^power.
static bool isScaledPower(Value value, Value x, int power, double scale) {
  Product product = flatten(value);
  double total = 0;
  for (Value factor : product.factors) {
    auto pow = matchScalarOperand(factor, BinaryKind::Pow);
    if (factor != x && !(pow && pow->first == x))
      return false;
    total += factor == x ? 1 : pow->second;
  }
  return total == power && isNear(product.scale, scale, x);
}

/// x where `value` = x + addend, or null.
static Value getAdded(Value value, double addend) {
  auto add = matchScalarOperand(value, BinaryKind::Add);
  return add && (addend == 0 ? add->second == 0
                             : isNear(add->second, addend, value))
             ? add->first
             : Value();
}

/// Whether `value` = tanh's argument in the approximation of GELU: sqrt(2/pi)
/// (x + 0.044715 x^3).
static bool isGeluTanhArgument(Value value, Value x) {
  Product product = flatten(value);
  if (!isNear(product.scale, std::sqrt(2 / std::numbers::pi), x))
    return false;
  if (product.factors.size() == 2) { // x (1 + 0.044715 x^2)
    Value cubic = product.factors[0] == x   ? product.factors[1]
                  : product.factors[1] == x ? product.factors[0]
                                            : Value();
    Value square = cubic ? getAdded(cubic, 1) : Value();
    return square && isScaledPower(square, x, 2, 0.044715);
  }
  BinaryOp add = product.factors.size() == 1
                     ? getBinary(product.factors[0], BinaryKind::Add)
                     : BinaryOp();
  Value cube = add ? getOther(add, x) : Value();
  return cube && isScaledPower(cube, x, 3, 0.044715);
}

/// Whether `value` = min(max(x scale + shift, 0), limit), as a clip is
/// imported.
static bool isClippedRamp(Value value, Value x, double scale, double shift,
                          double limit) {
  for (auto [outer, inner] : {std::pair(BinaryKind::Min, BinaryKind::Max),
                              std::pair(BinaryKind::Max, BinaryKind::Min)}) {
    BinaryOp outerOp = getBinary(value, outer);
    if (!outerOp)
      continue;
    for (Value outerBound : outerOp.getOperands()) {
      BinaryOp innerOp = getBinary(getOther(outerOp, outerBound), inner);
      if (!innerOp ||
          !isScalar(outerBound, outer == BinaryKind::Min ? limit : 0))
        continue;
      for (Value innerBound : innerOp.getOperands()) {
        Value ramp = getAdded(getOther(innerOp, innerBound), shift);
        if (ramp &&
            isScalar(innerBound, inner == BinaryKind::Min ? limit : 0) &&
            isScaled(ramp, x, scale))
          return true;
      }
    }
  }
  return false;
}

/// The activation of x that `product` is, if `gate` is its factor other than x.
static std::optional<UnaryKind> matchGatedActivation(double scale, Value gate,
                                                     Value x) {
  if (UnaryOp sigmoid = getUnary(gate, UnaryKind::Sigmoid);
      sigmoid && isNear(scale, 1, x)) {
    if (sigmoid.getInput() == x)
      return UnaryKind::Silu;
    if (isScaled(sigmoid.getInput(), x, 1.702))
      return UnaryKind::QuickGelu;
  }
  if (UnaryOp tanh = getUnary(gate, UnaryKind::Tanh);
      tanh && isNear(scale, 1, x))
    if (UnaryOp softplus = getUnary(tanh.getInput(), UnaryKind::Softplus);
        softplus && softplus.getInput() == x)
      return UnaryKind::Mish;
  if (Value gated = getAdded(gate, 1); gated && isNear(scale, 0.5, x)) {
    if (UnaryOp erf = getUnary(gated, UnaryKind::Erf);
        erf && isScaled(erf.getInput(), x, std::numbers::sqrt2 / 2))
      return UnaryKind::Gelu;
    if (UnaryOp tanh = getUnary(gated, UnaryKind::Tanh);
        tanh && isGeluTanhArgument(tanh.getInput(), x))
      return UnaryKind::GeluTanh;
  }
  bool isHardSwish =
      (isNear(scale, 1.0 / 6, x) && isClippedRamp(gate, x, 1, 3, 6)) ||
      (isNear(scale, 1, x) && isClippedRamp(gate, x, 1.0 / 6, 0.5, 1));
  return isHardSwish ? std::optional(UnaryKind::HardSwish) : std::nullopt;
}

/// x where `value` = 1 + exp(-x), or null.
static Value getLogisticDenominator(Value value) {
  Value exponential = getAdded(value, 1);
  UnaryOp exp = exponential ? getUnary(exponential, UnaryKind::Exp) : UnaryOp();
  if (!exp)
    return {};
  if (UnaryOp neg = getUnary(exp.getInput(), UnaryKind::Neg))
    return neg.getInput();
  Product product = flatten(exp.getInput());
  return product.factors.size() == 1 && product.scale == -1 ? product.factors[0]
                                                            : Value();
}

namespace {
template <typename Op> struct CountingPattern : OpRewritePattern<Op> {
  CountingPattern(MLIRContext *context, Pass::Statistic &count)
      : OpRewritePattern<Op>(context), count(count) {}

protected:
  LogicalResult replace(PatternRewriter &rewriter, Op op, UnaryKind kind,
                        Value x) const {
    if (x.getType() != op.getType() ||
        !isa<FloatType>(tensorType(x).getElementType()))
      return rewriter.notifyMatchFailure(
          op, "the activation's operand is broadcast or no float");
    rewriter.replaceOpWithNewOp<UnaryOp>(op, kind, x);
    ++count;
    return success();
  }
  Pass::Statistic &count;
};

/// x * gate(x) for SiLU, the GELUs, mish and hard-swish.
struct RaiseGatedActivation : CountingPattern<BinaryOp> {
  using CountingPattern::CountingPattern;
  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getKind() != BinaryKind::Mul && op.getKind() != BinaryKind::Div)
      return rewriter.notifyMatchFailure(op, "no product");
    Product product = flatten(op.getResult());
    if (product.factors.size() != 2)
      return rewriter.notifyMatchFailure(
          op, "not a product of a value and its gate");
    for (int i : {0, 1}) {
      Value x = product.factors[i];
      if (std::optional<UnaryKind> kind =
              matchGatedActivation(product.scale, product.factors[1 - i], x))
        return replace(rewriter, op, *kind, x);
    }
    return rewriter.notifyMatchFailure(op,
                                       "the gate is none of the known ones");
  }
};

/// 1 / (1 + exp(-x)) and x / (1 + exp(-x)).
struct RaiseLogisticQuotient : CountingPattern<BinaryOp> {
  using CountingPattern::CountingPattern;
  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    Value x = op.getKind() == BinaryKind::Div
                  ? getLogisticDenominator(op.getRhs())
                  : Value();
    if (!x)
      return rewriter.notifyMatchFailure(op, "the divisor is not 1 + exp(-x)");
    if (op.getLhs() == x)
      return replace(rewriter, op, UnaryKind::Silu, x);
    if (isScalar(op.getLhs(), 1))
      return replace(rewriter, op, UnaryKind::Sigmoid, x);
    return rewriter.notifyMatchFailure(
        op, "the dividend is neither one nor the logistic function's argument");
  }
};

/// 1 / (1 + exp(-x)) by a reciprocal; log(1 + exp(x)).
struct RaiseUnary : CountingPattern<UnaryOp> {
  using CountingPattern::CountingPattern;
  LogicalResult matchAndRewrite(UnaryOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getKind() == UnaryKind::Reciprocal)
      if (Value x = getLogisticDenominator(op.getInput()))
        return replace(rewriter, op, UnaryKind::Sigmoid, x);
    Value exponential =
        op.getKind() == UnaryKind::Log ? getAdded(op.getInput(), 1) : Value();
    if (UnaryOp exp =
            exponential ? getUnary(exponential, UnaryKind::Exp) : UnaryOp())
      return replace(rewriter, op, UnaryKind::Softplus, exp.getInput());
    return rewriter.notifyMatchFailure(op, "neither a sigmoid nor a softplus");
  }
};

/// The first half of the last dimension times an activation of the second half.
struct RaiseGeglu : OpRewritePattern<BinaryOp> {
  RaiseGeglu(MLIRContext *context, Pass::Statistic &count)
      : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getKind() != BinaryKind::Mul)
      return rewriter.notifyMatchFailure(op, "no product");
    for (auto [value, gate] : {std::pair(op.getLhs(), op.getRhs()),
                               std::pair(op.getRhs(), op.getLhs())}) {
      auto activation = gate.getDefiningOp<UnaryOp>();
      auto first = value.getDefiningOp<SliceOp>();
      auto second = activation ? activation.getInput().getDefiningOp<SliceOp>()
                               : SliceOp();
      if (!first || !second || first.getInput() != second.getInput() ||
          !isGate(activation.getKind()))
        continue;
      if (!isHalf(first, 0) || !isHalf(second, 1))
        return rewriter.notifyMatchFailure(
            op, "the operands are not the two halves of one last dimension, "
                "the gate second");
      rewriter.replaceOpWithNewOp<GegluOp>(op, first.getInput(),
                                           activation.getKind());
      ++count;
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no gated linear unit");
  }

private:
  static bool isGate(UnaryKind kind) {
    return llvm::is_contained(
        {UnaryKind::Gelu, UnaryKind::GeluTanh, UnaryKind::QuickGelu,
         UnaryKind::Silu, UnaryKind::Sigmoid, UnaryKind::Relu, UnaryKind::Tanh},
        kind);
  }

  static bool isHalf(SliceOp slice, int64_t half) {
    RankedTensorType from = tensorType(slice.getInput()),
                     to = tensorType(slice);
    int64_t last = from.getRank() - 1;
    for (int64_t dim = 0; dim <= last; ++dim) {
      int64_t extent =
          dim == last ? from.getDimSize(dim) / 2 : from.getDimSize(dim);
      int64_t start = dim == last ? half * extent : 0;
      if (to.getDimSize(dim) != extent || slice.getStarts()[dim] != start ||
          slice.getSteps()[dim] != 1)
        return false;
    }
    return last >= 0 && from.getDimSize(last) % 2 == 0;
  }

  Pass::Statistic &count;
};

struct RaiseActivations : efc::impl::EfcRaiseActivationsBase<RaiseActivations> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseGatedActivation, RaiseLogisticQuotient>(&getContext(),
                                                              numActivations);
    patterns.add<RaiseUnary>(&getContext(), numActivations);
    patterns.add<RaiseGeglu>(&getContext(), numGeglus);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
