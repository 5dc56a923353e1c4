// The part of efc-simplify that is about slices and the sources of tensors: it
// brings slices as near to these as it can.
//
// A fused projection of queries, keys and values is often taken apart behind
// the reshape and the transpose that split its heads: [B, T, 3 h d] -> [B, T,
// 3, h, d] -> [3, B, h, T, d] -> index 0, 1 or 2. Moved to the front, each
// index is a range of columns.
#include "passes/canonicalize/SimplifyPatterns.h"

#include "passes/canonicalize/AxisFactors.h"
#include "passes/canonicalize/Match.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace efc::ef;

/// The only dimension that `op` takes less than all of, if it takes a single
/// index of it.
static std::optional<int64_t> getIndexedDim(SliceOp op) {
  ArrayRef<int64_t> from = tensorType(op.getInput()).getShape(),
                    to = tensorType(op).getShape();
  std::optional<int64_t> dim;
  for (auto [index, extents] : llvm::enumerate(llvm::zip_equal(from, to))) {
    if (std::get<0>(extents) == std::get<1>(extents)) {
      if (op.getSteps()[index] != 1)
        return std::nullopt;
      continue;
    }
    if (dim || std::get<1>(extents) != 1)
      return std::nullopt;
    dim = index;
  }
  return dim;
}

/// Elements [start, start + count) of one dimension of `input`.
static Value sliceDim(OpBuilder &builder, Location loc, Value input,
                      int64_t dim, int64_t start, int64_t count) {
  RankedTensorType type = tensorType(input);
  SmallVector<int64_t> starts(type.getRank(), 0), steps(type.getRank(), 1),
      shape(type.getShape());
  starts[dim] = start;
  shape[dim] = count;
  return SliceOp::create(builder, loc, type.clone(shape), input, starts, steps);
}

namespace {
/// A gather of one constant index is a slice.
struct GatherToSlice : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &rewriter) const override {
    if (tensorType(op.getIndices()).getNumElements() != 1)
      return rewriter.notifyMatchFailure(op, "several indices");
    std::optional<double> index = getScalar(op.getIndices());
    int64_t axis = op.getAxis(),
            extent = tensorType(op.getInput()).getDimSize(axis);
    if (!index || *index < -extent || *index >= extent)
      return rewriter.notifyMatchFailure(op,
                                         "the index is no constant in range");
    int64_t start = *index < 0 ? *index + extent : *index;
    Value slice = sliceDim(rewriter, getHelperLoc(op.getLoc()), op.getInput(),
                           axis, start, 1);
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), slice);
    return success();
  }
};

/// index(transpose(x)) = transpose(index(x))
struct IndexBeforeTranspose : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SliceOp op,
                                PatternRewriter &rewriter) const override {
    auto transpose = op.getInput().getDefiningOp<TransposeOp>();
    std::optional<int64_t> dim = transpose ? getIndexedDim(op) : std::nullopt;
    if (!dim)
      return rewriter.notifyMatchFailure(op, "not one index of a transpose");
    Value slice =
        sliceDim(rewriter, getHelperLoc(op.getLoc()), transpose.getInput(),
                 transpose.getPermutation()[*dim], op.getStarts()[*dim], 1);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, slice,
                                             transpose.getPermutation());
    return success();
  }
};

/// An index of the major part of a dimension that a reshape splits is a range
/// of that dimension.
struct IndexBeforeReshape : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SliceOp op,
                                PatternRewriter &rewriter) const override {
    auto reshape = op.getInput().getDefiningOp<ReshapeOp>();
    std::optional<int64_t> dim = reshape ? getIndexedDim(op) : std::nullopt;
    if (!dim)
      return rewriter.notifyMatchFailure(op, "not one index of a reshape");
    ArrayRef<int64_t> from = tensorType(reshape.getInput()).getShape(),
                      to = tensorType(reshape).getShape();
    int64_t outer = ShapedType::getNumElements(to.take_front(*dim)),
            extent = to[*dim];
    int64_t source = 0, sourceOuter = 1;
    while (source < static_cast<int64_t>(from.size()) &&
           (sourceOuter < outer || from[source] == 1))
      sourceOuter *= from[source++];
    bool splits = source < static_cast<int64_t>(from.size()) &&
                  sourceOuter == outer && from[source] > extent &&
                  from[source] % extent == 0;
    if (!splits)
      return rewriter.notifyMatchFailure(
          op, "the reshape does not split the indexed dimension from the front "
              "of another");
    int64_t range = from[source] / extent;
    Value slice =
        sliceDim(rewriter, getHelperLoc(op.getLoc()), reshape.getInput(),
                 source, op.getStarts()[*dim] * range, range);
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), slice);
    return success();
  }
};

/// A weight has the same bytes in every shape. One with other users stays as it
/// is, unless it is small: it would be stored twice.
struct ReshapeOfWeight : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    constexpr int64_t kSmallElements = 16384;
    auto weight = op.getInput().getDefiningOp<WeightOp>();
    if (!weight || (!weight->hasOneUse() &&
                    tensorType(weight).getNumElements() > kSmallElements))
      return rewriter.notifyMatchFailure(
          op, "no weight, or a large one with other users");
    rewriter.replaceOpWithNewOp<WeightOp>(op, op.getType(), weight.getName(),
                                          weight.getFile(), weight.getOffset());
    return success();
  }
};
} // namespace

void efc::ef::populateSlicePatterns(RewritePatternSet &patterns) {
  patterns.add<GatherToSlice, IndexBeforeTranspose, IndexBeforeReshape,
               ReshapeOfWeight>(patterns.getContext());
}
