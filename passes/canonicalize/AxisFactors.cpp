// A tensor's dimensions as products of the factors of another tensor's
// dimensions.
#include "passes/canonicalize/AxisFactors.h"

#include "passes/canonicalize/Match.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace efc::ef;

AxisFactors::AxisFactors(Value base) : base(base) {
  for (int64_t extent : tensorType(base).getShape()) {
    FactorList &dim = dims.emplace_back();
    if (extent == 1)
      continue;
    dim.push_back(extents.size());
    order.push_back(extents.size());
    extents.push_back(extent);
  }
}

int64_t AxisFactors::getExtent(ArrayRef<unsigned> factors) const {
  int64_t product = 1;
  for (unsigned factor : factors)
    product *= extents[factor];
  return product;
}

SmallVector<int64_t> AxisFactors::getShape() const {
  return llvm::map_to_vector(
      dims, [&](const FactorList &dim) { return getExtent(dim); });
}

/// Replaces `factor` by itself (now the major part) and a new minor factor,
/// which is returned.
unsigned AxisFactors::splitFactor(unsigned factor, int64_t minorExtent) {
  unsigned minor = extents.size();
  extents.push_back(minorExtent);
  extents[factor] /= minorExtent;
  auto insertAfter = [&](auto &list) {
    auto found = llvm::find(list, factor);
    if (found != list.end())
      list.insert(std::next(found), minor);
  };
  insertAfter(order);
  for (FactorList &dim : dims)
    insertAfter(dim);
  return minor;
}

std::optional<SmallVector<FactorList>>
AxisFactors::split(ArrayRef<unsigned> list, ArrayRef<int64_t> partExtents) {
  SmallVector<unsigned> rest(
      llvm::reverse(list)); // the next factor is at the back
  SmallVector<FactorList> parts;
  for (int64_t extent : partExtents) {
    FactorList &part = parts.emplace_back();
    while (extent > 1) {
      if (rest.empty())
        return std::nullopt;
      unsigned factor = rest.pop_back_val();
      if (extents[factor] > extent) {
        if (extents[factor] % extent)
          return std::nullopt;
        rest.push_back(splitFactor(factor, extents[factor] / extent));
      }
      if (extent % extents[factor])
        return std::nullopt;
      extent /= extents[factor];
      part.push_back(factor);
    }
  }
  return rest.empty() ? std::optional(parts) : std::nullopt;
}

LogicalResult AxisFactors::reshape(ArrayRef<int64_t> shape) {
  SmallVector<unsigned> list;
  for (const FactorList &dim : dims)
    llvm::append_range(list, dim);
  std::optional<SmallVector<FactorList>> parts = split(list, shape);
  if (!parts)
    return failure();
  dims = std::move(*parts);
  return success();
}

void AxisFactors::transpose(ArrayRef<int64_t> permutation) {
  dims = applyPermutation(ArrayRef<FactorList>(dims), permutation);
}

/// What `value` = factor * step(operand) is, for the steps that trace()
/// follows.
static std::optional<std::pair<Value, double>> stepBack(Value value,
                                                        bool withScale) {
  Operation *op = value.getDefiningOp();
  if (!op || tensorType(value).getNumElements() == 0)
    return std::nullopt;
  if (isa<ReshapeOp, TransposeOp>(op))
    return std::pair(op->getOperand(0), 1.0);
  if (!withScale)
    return std::nullopt;
  if (auto product = matchScalarOperand(value, BinaryKind::Mul))
    return product;
  if (auto quotient = matchScalarOperand(value, BinaryKind::Div);
      quotient && quotient->second != 0)
    return std::pair(quotient->first, 1 / quotient->second);
  Value uncast = skipFloatCasts(value);
  return uncast == value ? std::nullopt : std::optional(std::pair(uncast, 1.0));
}

AxisFactors AxisFactors::trace(Value value, double *scale) {
  SmallVector<std::pair<Value, double>> steps;
  while (auto previous = stepBack(value, scale)) {
    steps.push_back({value, previous->second});
    value = previous->first;
  }
  // A reshape that mixes dimensions ends the trace: what comes before it is not
  // visible from here.
  AxisFactors view(value);
  double product = 1;
  for (auto [result, factor] : llvm::reverse(steps)) {
    product *= factor;
    if (auto transposeOp = result.getDefiningOp<TransposeOp>()) {
      view.transpose(transposeOp.getPermutation());
    } else if (isa<ReshapeOp>(result.getDefiningOp()) &&
               failed(view.reshape(tensorType(result).getShape()))) {
      view = AxisFactors(result);
      product = 1;
    }
  }
  if (scale)
    *scale *= product;
  return view;
}

AxisFactors AxisFactors::withDims(ArrayRef<FactorList> newDims) const {
  AxisFactors view = *this;
  view.dims.assign(newDims.begin(), newDims.end());
  return view;
}

/// What emit() does: reshape to `before` (if it differs from the base),
/// transpose by `permutation` (if not empty), reshape to the view's shape (if
/// it differs).
struct AxisFactors::Steps {
  SmallVector<int64_t> before;
  SmallVector<int64_t> permutation;
  bool reshapesFirst = false, reshapesLast = false;

  std::pair<unsigned, unsigned> cost() const {
    return {!permutation.empty(), reshapesFirst + reshapesLast};
  }
};

/// The factors of `sequence`, cut into the longest runs that also stand
/// together in `other`.
static SmallVector<FactorList> cutIntoRuns(ArrayRef<unsigned> sequence,
                                           ArrayRef<unsigned> other) {
  llvm::DenseMap<unsigned, unsigned> next;
  for (size_t i = 1; i < other.size(); ++i)
    next[other[i - 1]] = other[i];
  SmallVector<FactorList> runs;
  for (size_t i = 0; i < sequence.size(); ++i) {
    bool continues = i > 0 && next.count(sequence[i - 1]) &&
                     next.lookup(sequence[i - 1]) == sequence[i];
    if (!continues)
      runs.emplace_back();
    runs.back().push_back(sequence[i]);
  }
  return runs;
}

/// The permutation that brings `units` (lists of factors) into the order of
/// `target`, if every unit stands in `target` in one piece; units of extent one
/// keep to the unit before them.
static std::optional<SmallVector<int64_t>>
permuteUnits(ArrayRef<FactorList> units, ArrayRef<unsigned> target) {
  llvm::DenseMap<unsigned, int64_t> unitOfFirst;
  for (auto [index, unit] : llvm::enumerate(units))
    if (!unit.empty())
      unitOfFirst[unit.front()] = index;
  SmallVector<int64_t> permutation;
  auto appendEmptyAfter = [&](int64_t index) {
    for (; index < static_cast<int64_t>(units.size()) && units[index].empty();
         ++index)
      permutation.push_back(index);
  };
  appendEmptyAfter(0);
  for (size_t i = 0; i < target.size();) {
    auto found = unitOfFirst.find(target[i]);
    if (found == unitOfFirst.end())
      return std::nullopt;
    const FactorList &unit = units[found->second];
    if (target.slice(i).take_front(unit.size()) != ArrayRef<unsigned>(unit))
      return std::nullopt;
    permutation.push_back(found->second);
    appendEmptyAfter(found->second + 1);
    i += unit.size();
  }
  return permutation;
}

AxisFactors::Steps AxisFactors::planSteps() const {
  SmallVector<unsigned> target;
  for (const FactorList &dim : dims)
    llvm::append_range(target, dim);
  SmallVector<int64_t> shape = getShape(),
                       baseShape(tensorType(base).getShape());
  Steps best;
  best.before = baseShape;
  best.reshapesLast = shape != baseShape;
  if (target == order)
    return best;

  // Dimensions of the base as factors.
  AxisFactors baseView = *this;
  std::optional<SmallVector<FactorList>> baseDims =
      baseView.split(order, baseShape);
  auto consider = [&](ArrayRef<FactorList> units,
                      std::optional<SmallVector<int64_t>> permutation) {
    if (!permutation)
      return;
    Steps steps;
    for (const FactorList &unit : units)
      steps.before.push_back(getExtent(unit));
    steps.permutation = *permutation;
    steps.reshapesFirst = steps.before != baseShape;
    steps.reshapesLast =
        applyPermutation(steps.before, steps.permutation) != shape;
    if (best.permutation.empty() || steps.cost() < best.cost())
      best = std::move(steps);
  };
  // The base's own dimensions; the view's dimensions in the base's order; then
  // whatever it takes.
  if (baseDims)
    consider(*baseDims, permuteUnits(*baseDims, target));
  std::optional<SmallVector<int64_t>> inverse = permuteUnits(dims, order);
  if (inverse)
    consider(applyPermutation(ArrayRef<FactorList>(dims), *inverse),
             invertPermutationVector(*inverse));
  SmallVector<FactorList> runs = cutIntoRuns(order, target);
  consider(runs, permuteUnits(runs, target));
  return best;
}

std::pair<unsigned, unsigned> AxisFactors::cost() const {
  return planSteps().cost();
}

Value AxisFactors::emit(OpBuilder &builder, Location loc) const {
  // Only the last step stands for what `loc` names.
  Steps steps = planSteps();
  RankedTensorType type = tensorType(base);
  bool transposes = !steps.permutation.empty();
  Value value = base;
  if (steps.reshapesFirst)
    value = ReshapeOp::create(builder, getHelperLoc(loc),
                              type.clone(steps.before), value);
  if (transposes)
    value = TransposeOp::create(builder,
                                steps.reshapesLast ? getHelperLoc(loc) : loc,
                                value, steps.permutation);
  if (steps.reshapesLast)
    value = ReshapeOp::create(builder, loc, type.clone(getShape()), value);
  return value;
}
