// efc-simplify: rewrites that make equal things look equal, so that the passes
// after it have one form to match.
#include "passes/Passes.h"
#include "passes/canonicalize/AxisFactors.h"
#include "passes/canonicalize/Match.h"
#include "passes/canonicalize/SimplifyPatterns.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cmath>

using namespace mlir;
using namespace efc::ef;

namespace efc {
#define GEN_PASS_DEF_EFCSIMPLIFY
#include "passes/Passes.h.inc"
} // namespace efc

//===----------------------------------------------------------------------===//
// Moving data
//===----------------------------------------------------------------------===//

namespace {
/// A chain of reshapes and transposes becomes the shortest one of the same
/// effect.
template <typename Op> struct ShortenMovement : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    std::pair<unsigned, unsigned> current = {0, 0};
    AxisFactors view = AxisFactors::trace(op.getResult());
    for (Value value = op.getResult(); value != view.getBase();
         value = value.getDefiningOp()->getOperand(0))
      ++(isa<TransposeOp>(value.getDefiningOp()) ? current.first
                                                 : current.second);
    if (view.cost() >= current)
      return rewriter.notifyMatchFailure(op, "the chain is as short as can be");
    rewriter.replaceOp(op, view.emit(rewriter, op.getLoc()));
    return success();
  }
};

/// A slice that lies in one operand of a concatenation is a slice of that
/// operand.
struct SliceOfConcat : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SliceOp op,
                                PatternRewriter &rewriter) const override {
    auto concat = op.getInput().getDefiningOp<ConcatOp>();
    if (!concat || tensorType(op).getNumElements() == 0)
      return rewriter.notifyMatchFailure(op, "no slice of a concatenation");
    int64_t axis = concat.getAxis(), count = tensorType(op).getDimSize(axis);
    int64_t first = op.getStarts()[axis],
            last = first + (count - 1) * op.getSteps()[axis];
    int64_t begin = 0;
    for (Value input : concat.getInputs()) {
      int64_t end = begin + tensorType(input).getDimSize(axis);
      if (std::min(first, last) >= begin && std::max(first, last) < end) {
        SmallVector<int64_t> starts(op.getStarts());
        starts[axis] -= begin;
        rewriter.replaceOpWithNewOp<SliceOp>(op, op.getType(), input, starts,
                                             op.getSteps());
        return success();
      }
      begin = end;
    }
    return rewriter.notifyMatchFailure(op,
                                       "the slice takes from several operands");
  }
};

/// A concatenation of concatenations along one dimension is one; neighbouring
/// slices of one tensor become one slice.
struct FlattenConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ConcatOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<Value> inputs;
    for (Value input : op.getInputs()) {
      auto inner = input.getDefiningOp<ConcatOp>();
      if (inner && inner.getAxis() == op.getAxis() && inner->hasOneUse())
        llvm::append_range(inputs, inner.getInputs());
      else if (tensorType(input).getDimSize(op.getAxis()) != 0 ||
               op.getInputs().size() == 1)
        inputs.push_back(input);
    }
    if (inputs.empty() || inputs.size() == op.getInputs().size())
      return rewriter.notifyMatchFailure(op, "nothing to flatten");
    rewriter.replaceOpWithNewOp<ConcatOp>(op, inputs, op.getAxis());
    return success();
  }
};

/// Element-wise operations broadcast by themselves.
struct DropBroadcast : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    for (OpOperand &operand : op->getOpOperands()) {
      auto broadcast = operand.get().getDefiningOp<BroadcastOp>();
      Value other = op->getOperand(1 - operand.getOperandNumber());
      if (!broadcast || tensorType(other).getShape() != op.getType().getShape())
        continue;
      rewriter.modifyOpInPlace(op, [&] { operand.set(broadcast.getInput()); });
      return success();
    }
    return rewriter.notifyMatchFailure(
        op, "no operand is broadcast to the shape of the other");
  }
};

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

/// x^2 = x x; x / 2^k = x 2^-k; constants of commutative operations stand on
/// the right.
struct SimplifyBinary : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<FloatType>(op.getType().getElementType());
    bool commutes = llvm::is_contained(
        {BinaryKind::Add, BinaryKind::Mul, BinaryKind::Min, BinaryKind::Max},
        op.getKind());
    if (commutes && isLeaf(op.getLhs()) && !isLeaf(op.getRhs())) {
      rewriter.replaceOpWithNewOp<BinaryOp>(op, op.getKind(), op.getRhs(),
                                            op.getLhs());
      return success();
    }
    std::optional<double> scalar = type ? getScalar(op.getRhs()) : std::nullopt;
    if (!scalar || op.getLhs().getType() != op.getType())
      return rewriter.notifyMatchFailure(
          op, "no float operation with a scalar on the right");
    if (op.getKind() == BinaryKind::Pow && *scalar == 2) {
      rewriter.replaceOpWithNewOp<BinaryOp>(op, BinaryKind::Mul, op.getLhs(),
                                            op.getLhs());
      return success();
    }
    // Only where the reciprocal is exact, and a normal number in every float
    // type.
    int exponent = 0;
    if (op.getKind() == BinaryKind::Div &&
        std::fabs(std::frexp(*scalar, &exponent)) == 0.5 &&
        std::abs(exponent) < 14) {
      RankedTensorType scalarType = tensorType(op.getRhs());
      HostTensor reciprocal(
          RankedTensorType::get({}, scalarType.getElementType()));
      reciprocal.setFloat(0, 1 / *scalar);
      Value factor =
          ConstantOp::create(rewriter, op.getLoc(), reciprocal.toAttr());
      rewriter.replaceOpWithNewOp<BinaryOp>(op, BinaryKind::Mul, op.getLhs(),
                                            factor);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no simpler form");
  }

private:
  static bool isLeaf(Value value) {
    return isa_and_present<ConstantOp, WeightOp>(value.getDefiningOp());
  }
};

/// A transpose of an operand's last two dimensions is a flag of the matrix
/// product. Weights keep theirs: it costs nothing there.
struct TransposeIntoMatmul : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    for (OpOperand &operand : op->getOpOperands()) {
      auto transpose = operand.get().getDefiningOp<TransposeOp>();
      if (!transpose ||
          isa_and_present<WeightOp>(transpose.getInput().getDefiningOp()) ||
          !swapsLastTwo(transpose.getPermutation()))
        continue;
      rewriter.modifyOpInPlace(op, [&] {
        operand.set(transpose.getInput());
        if (operand.getOperandNumber() == 0)
          op.setTransposeA(!op.getTransposeA());
        else
          op.setTransposeB(!op.getTransposeB());
      });
      return success();
    }
    return rewriter.notifyMatchFailure(
        op, "no operand is a transpose of its last two dimensions");
  }

private:
  static bool swapsLastTwo(ArrayRef<int64_t> permutation) {
    int64_t rank = permutation.size();
    for (int64_t i = 0; i < rank - 2; ++i)
      if (permutation[i] != i)
        return false;
    return rank >= 2 && permutation[rank - 2] == rank - 1;
  }
};

struct Simplify : efc::impl::EfcSimplifyBase<Simplify> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ShortenMovement<ReshapeOp>, ShortenMovement<TransposeOp>,
                 SliceOfConcat, FlattenConcat, DropBroadcast, SimplifyBinary,
                 TransposeIntoMatmul>(&getContext());
    populateSlicePatterns(patterns);
    auto countOperations = [&] {
      unsigned count = 0;
      getOperation().walk([&](Operation *) { ++count; });
      return count;
    };
    unsigned before = countOperations();
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    unsigned after = countOperations();
    numRemoved += before > after ? before - after : 0;
  }
};
} // namespace
