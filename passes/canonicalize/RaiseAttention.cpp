// efc-raise-attention: turns two matrix products around a softmax into
// ef.attention.
//
// AttentionPattern finds what stands between the products; here the products'
// operands are traced back through whatever splits them into heads, and rebuilt
// as tokens in rows with the heads side by side.
#include "passes/Passes.h"
#include "passes/canonicalize/AttentionPattern.h"
#include "passes/canonicalize/AxisFactors.h"
#include "passes/canonicalize/Match.h"

using namespace mlir;
using namespace efc::ef;

namespace efc {
#define GEN_PASS_DEF_EFCRAISEATTENTION
#include "passes/Passes.h.inc"
} // namespace efc

namespace {
/// One of query, key, value as [batch..., tokens, channels of a head].
struct Operand {
  AxisFactors view;

  /// `transposed`: the matrix is [channels, tokens] in `value`.
  Operand(Value value, bool transposed, double *scale)
      : view(AxisFactors::trace(value, scale)) {
    if (!transposed)
      return;
    SmallVector<FactorList> dims(view.getDims());
    std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
    view = view.withDims(dims);
  }

  SmallVector<unsigned> getBatch() const {
    SmallVector<unsigned> batch;
    for (const FactorList &dim : view.getDims().drop_back(2))
      llvm::append_range(batch, dim);
    return batch;
  }

  /// How many heads stand side by side in the base: the extent of the minor
  /// batch factors right before the channels.
  int64_t countHeads() const {
    ArrayRef<unsigned> order = view.getBaseOrder();
    SmallVector<unsigned> batch = getBatch();
    const FactorList &channels = view.getDims().back();
    int64_t heads = 1;
    if (channels.empty())
      return heads;
    size_t position = llvm::find(order, channels.front()) - order.begin();
    for (;
         position > 0 && !batch.empty() && order[position - 1] == batch.back();
         --position)
      heads *= view.getExtent(batch.pop_back_val());
    return heads;
  }

  /// Rearranges the view to [batch / heads, tokens, heads * channels].
  LogicalResult mergeHeads(int64_t heads) {
    SmallVector<unsigned> batch = getBatch();
    int64_t extent = view.getExtent(batch);
    if (extent % heads)
      return failure();
    std::optional<SmallVector<FactorList>> parts =
        view.split(batch, {extent / heads, heads});
    if (!parts)
      return failure();
    FactorList tokens = view.getDims().drop_back().back(),
               columns = (*parts)[1];
    llvm::append_range(columns, view.getDims().back());
    view = view.withDims({(*parts)[0], tokens, columns});
    return success();
  }
};

class Rewriter {
public:
  Rewriter(AttentionPattern &pattern, OpBuilder &builder)
      : pattern(pattern), builder(builder),
        helperLoc(getHelperLoc(pattern.output.getLoc())),
        query(pattern.scores.getA(), pattern.scores.getTransposeA(),
              &pattern.scale),
        key(pattern.scores.getB(), !pattern.scores.getTransposeB(),
            &pattern.scale),
        value(valuesAreFirst() ? pattern.output.getA() : pattern.output.getB(),
              valuesAreFirst() ? !pattern.output.getTransposeA()
                               : pattern.output.getTransposeB(),
              nullptr) {}

  LogicalResult run() {
    if (failed(checkShapes()))
      return failure();
    heads =
        std::max({query.countHeads(), key.countHeads(), value.countHeads()});
    // One operand alone may have its heads where they cannot be merged: then
    // each of the others' heads is a batch of its own.
    if (heads == 0 || failed(query.mergeHeads(heads)) ||
        failed(key.mergeHeads(heads)) || failed(value.mergeHeads(heads)))
      return fail("the heads cannot be separated from the batch");
    builder.setInsertionPoint(pattern.output);
    FailureOr<Value> mask = buildMask();
    if (failed(mask))
      return failure();
    Type type = tensorType(pattern.output).getElementType();
    auto emitOperand = [&](Operand &operand) {
      return castTo(operand.view.emit(builder, helperLoc), type);
    };
    Value q = emitOperand(query), k = emitOperand(key), v = emitOperand(value);
    auto attention =
        AttentionOp::create(builder, pattern.output.getLoc(), q, k, v, *mask,
                            heads, heads, APFloat(pattern.scale),
                            /*causal=*/false, /*score_scale=*/FloatAttr());
    replaceOutput(attention);
    return success();
  }

private:
  bool valuesAreFirst() const { return pattern.probabilities == 1; }

  LogicalResult fail(const Twine &reason) {
    pattern.failure = reason.str();
    return failure();
  }

  LogicalResult checkShapes() {
    for (MatmulOp op : {pattern.scores, pattern.output}) {
      ArrayRef<int64_t> result = tensorType(op).getShape().drop_back(2);
      for (Value operand : op.getOperands())
        if (tensorType(operand).getShape().drop_back(2) != result)
          return fail("a product broadcasts its batch");
    }
    auto elements = [](MatmulOp op) {
      return ShapedType::getNumElements(tensorType(op).getShape().drop_back(2));
    };
    if (elements(pattern.scores) != elements(pattern.output))
      return fail("the two products have different batches");
    if (tensorType(pattern.scores).getNumElements() == 0 ||
        tensorType(pattern.output).getNumElements() == 0)
      return fail("a product is empty");
    if (!isa<FloatType>(tensorType(pattern.output).getElementType()))
      return fail("the products are not of floats");
    return success();
  }

  Value castTo(Value operand, Type type) {
    if (tensorType(operand).getElementType() == type)
      return operand;
    return CastOp::create(builder, helperLoc, tensorType(operand).clone(type),
                          operand);
  }

  /// The masks as one value that broadcasts to [batch, heads, queries, keys];
  /// null without a mask.
  FailureOr<Value> buildMask() {
    Value sum;
    for (AttentionPattern::Mask &mask : llvm::reverse(pattern.masks)) {
      FailureOr<Value> shaped = shapeMask(mask);
      if (failed(shaped))
        return failure();
      Value current = *shaped;
      bool isBoolean = tensorType(current).getElementType().isInteger(1);
      if (isBoolean && pattern.masks.size() > 1)
        return fail("a boolean mask is combined with another one");
      if (mask.negated)
        current = UnaryOp::create(builder, helperLoc, UnaryKind::Not, current);
      if (!isBoolean)
        current = castTo(current, tensorType(pattern.output).getElementType());
      sum = sum ? BinaryOp::create(builder, helperLoc, BinaryKind::Add, sum,
                                   current)
                      .getResult()
                : current;
    }
    return sum;
  }

  FailureOr<Value> shapeMask(const AttentionPattern::Mask &mask) {
    RankedTensorType type = tensorType(mask.value);
    int64_t batch = query.view.getShape()[0];
    SmallVector<int64_t> matrix(type.getShape().take_back(2)),
        leading(
            type.getShape().drop_back(std::min<int64_t>(2, type.getRank())));
    ArrayRef<int64_t> scoresLeading =
        ArrayRef<int64_t>(mask.scoresShape).drop_back(2);
    bool isPlain =
        llvm::all_of(leading, [](int64_t extent) { return extent == 1; });
    if (isPlain && type.getRank() <= 4)
      return mask.value;
    SmallVector<int64_t> shape = matrix;
    if (!isPlain && scoresLeading == ArrayRef<int64_t>{batch, heads}) {
      if (leading.size() == 1)
        leading.insert(leading.begin(), 1);
      shape.insert(shape.begin(), leading.begin(), leading.end());
    } else if (!isPlain &&
               ShapedType::getNumElements(leading) == batch * heads) {
      shape.insert(shape.begin(), {batch, heads});
    } else if (!isPlain) {
      (void)fail("the mask belongs neither to all heads nor to each of them");
      return failure();
    }
    if (ArrayRef<int64_t>(shape) == type.getShape())
      return mask.value;
    return ReshapeOp::create(builder, helperLoc, type.clone(shape), mask.value)
        .getResult();
  }

  /// Splits the heads again, in the order in which the rest of the model
  /// expects them.
  void replaceOutput(AttentionOp attention) {
    RankedTensorType type = tensorType(pattern.output);
    AxisFactors view(attention.getResult());
    RankedTensorType merged = tensorType(attention);
    LogicalResult isSplit =
        view.reshape({merged.getDimSize(0), merged.getDimSize(1), heads,
                      merged.getDimSize(2) / heads});
    assert(succeeded(isSplit) && "the columns are whole heads");
    (void)isSplit;
    FactorList batch;
    llvm::append_range(batch, view.getDims()[0]);
    llvm::append_range(batch, view.getDims()[2]);
    SmallVector<FactorList> dims = {batch, view.getDims()[1],
                                    view.getDims()[3]};
    if (valuesAreFirst())
      std::swap(dims[1], dims[2]);
    Value merged3d = view.withDims(dims).emit(builder, helperLoc);
    Value replacement =
        ReshapeOp::create(builder, pattern.output.getLoc(), type, merged3d);
    pattern.output.getResult().replaceAllUsesWith(replacement);
    nameAfterMergedHeads(attention);
  }

  /// The model's own tensor of merged heads, if there is one, is what the
  /// attention computes: its name is the one to keep.
  static void nameAfterMergedHeads(AttentionOp attention) {
    Value value = attention.getResult();
    while (value.hasOneUse() &&
           isa<ReshapeOp, TransposeOp>(*value.user_begin())) {
      value = value.user_begin()->getResult(0);
      AxisFactors view = AxisFactors::trace(value);
      if (value.getType() == attention.getType() &&
          view.getBase() == attention.getResult() &&
          view.cost() == std::pair(0u, 0u)) {
        attention->setLoc(value.getLoc());
        return;
      }
    }
  }

  AttentionPattern &pattern;
  OpBuilder &builder;
  Location helperLoc;
  Operand query, key, value;
  int64_t heads = 1;
};

struct RaiseAttention : efc::impl::EfcRaiseAttentionBase<RaiseAttention> {
  void runOnOperation() override {
    SmallVector<SoftmaxOp> softmaxes;
    getOperation().walk([&](SoftmaxOp op) { softmaxes.push_back(op); });
    OpBuilder builder(&getContext());
    for (SoftmaxOp softmax : softmaxes) {
      std::optional<AttentionPattern> pattern = matchAttention(softmax);
      if (!pattern)
        continue;
      if (pattern->failure.empty() &&
          succeeded(Rewriter(*pattern, builder).run())) {
        eraseDead(pattern->output);
        ++numAttentions;
        continue;
      }
      softmax.emitRemark() << "this softmax stands between two matrix "
                              "products, but is not compiled as one attention: "
                           << pattern->failure;
      ++numNearMisses;
    }
  }

private:
  /// Erases `op` and what only it used.
  static void eraseDead(Operation *op) {
    SmallVector<Operation *> pending = {op};
    while (!pending.empty()) {
      Operation *dead = pending.pop_back_val();
      if (!dead->use_empty())
        continue;
      SetVector<Operation *> producers;
      for (Value operand : dead->getOperands())
        if (Operation *producer = operand.getDefiningOp())
          producers.insert(producer);
      dead->erase();
      for (Operation *producer : producers)
        if (!llvm::is_contained(pending, producer))
          pending.push_back(producer);
    }
  }
};
} // namespace
