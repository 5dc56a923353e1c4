// Layers without an anchor, and what only moves elements.
#include "targets/exynos_npu/LayerBuilder.h"

#include "dialects/ef/IndexTables.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/WeightStore.h"

#include "mlir/Dialect/Quant/IR/Quant.h"

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using llvm::Error;
using llvm::Expected;

/// The DMA's descriptors have this many dimensions.
static constexpr size_t kMaxTransposeRank = 5;

Error LayerBuilder::add(Operation *op) {
  if (op->getNumResults() == 1 && ef::isConstantExpression(op->getResult(0)))
    return Error::success();
  if (op->getNumResults() != 1)
    return refuse("the operation has more than one result");
  if (auto reshape = dyn_cast<ef::ReshapeOp>(op)) {
    views[reshape.getResult()] = viewOf(reshape.getInput());
    return Error::success();
  }
  if (isa<ef::SliceOp>(op))
    return addSlice(op);
  Kernel kernel(op);
  if (isa<ef::TransposeOp>(op))
    return addTranspose(kernel);
  if (isa<ef::ResizeOp>(op))
    return addResize(kernel);
  for (Operation *inner : kernel.ops)
    if (isa<ef::ConcatOp>(inner))
      return addConcat(kernel, inner);
  if (!kernel.anchor)
    return addElementwise(kernel);
  if (isa<ef::ConvOp>(kernel.anchor))
    return addConv(kernel);
  if (isa<ef::PoolOp>(kernel.anchor))
    return addPool(kernel);
  if (isa<ef::MatmulOp>(kernel.anchor))
    return addMatmul(kernel);
  if (isa<ef::AttentionOp>(kernel.anchor))
    return addAttention(kernel);
  if (isa<ef::GroupNormOp>(kernel.anchor))
    return addGroupNorm(kernel);
  if (isa<ef::LayerNormOp>(kernel.anchor))
    return addLayerNorm(kernel);
  return refuse("the NPU has no command for '" +
                kernel.anchor->getName().getStringRef() + "'");
}

Error LayerBuilder::addOutput(Value value) {
  if (ef::isConstantExpression(value))
    return refuse("the partition returns a constant");
  View view = viewOf(value);
  Tensor &tensor = graph.tensors[view.tensor];
  bool isWhole = view.extents.channels == tensor.channels;
  int result = view.tensor;
  if (!isWhole || tensor.producer < 0 || tensor.output >= 0)
    result = copySlice(view, value.getDefiningOp());
  graph.tensors[result].output = graph.numOutputs++;
  return Error::success();
}

std::optional<int64_t> efc::npu::firstChannelOf(ef::SliceOp slice) {
  auto type = cast<RankedTensorType>(slice.getInput().getType());
  Extents from = extentsOf(slice.getInput()), to = extentsOf(slice.getResult());
  bool isVector = from.positions == 1;
  int64_t first = 0;
  for (int64_t dim = 0, rank = type.getRank(); dim < rank; ++dim) {
    int64_t start = slice.getStarts()[dim], step = slice.getSteps()[dim];
    bool isChannels = isVector ? type.getDimSize(dim) != 1 : dim == rank - 1;
    if (isChannels ? step != 1 : start != 0 || step < 0)
      return std::nullopt;
    if (isChannels)
      first = start;
  }
  if (to.positions != from.positions)
    return std::nullopt;
  return first;
}

/// Some channels of a tensor are read where they stand.
Error LayerBuilder::addSlice(Operation *op) {
  auto slice = cast<ef::SliceOp>(op);
  std::optional<int64_t> first = firstChannelOf(slice);
  if (!first)
    return refuse("the slice takes other than a run of channels");
  Extents from = extentsOf(slice.getInput());
  View view = viewOf(slice.getInput());
  if (view.extents.positions != from.positions ||
      view.extents.channels != from.channels) {
    Expected<int> tensor = tensorOf(slice.getInput(), from);
    if (!tensor)
      return tensor.takeError();
    view = {*tensor, 0, from};
  }
  view.firstChannel += *first;
  view.extents = extentsOf(slice.getResult());
  views[slice.getResult()] = view;
  return Error::success();
}

/// Drops dimensions of one and merges those that stay beside each other.
static void simplify(SmallVector<int64_t> &extents,
                     SmallVector<int64_t> &permutation) {
  SmallVector<SmallVector<int64_t>> runs; ///< Input dimensions, result order.
  for (int64_t dim : permutation) {
    if (extents[dim] == 1)
      continue;
    auto isUnit = [&](int64_t between) { return extents[between] == 1; };
    bool follows = !runs.empty() && dim > runs.back().back() &&
                   llvm::all_of(llvm::seq(runs.back().back() + 1, dim), isUnit);
    if (!follows)
      runs.emplace_back();
    runs.back().push_back(dim);
  }
  SmallVector<SmallVector<int64_t>> sorted(runs);
  llvm::sort(sorted);
  SmallVector<int64_t> newExtents, newPermutation;
  for (ArrayRef<int64_t> run : sorted) {
    int64_t product = 1;
    for (int64_t dim : run)
      product *= extents[dim];
    newExtents.push_back(product);
  }
  for (const SmallVector<int64_t> &run : runs)
    newPermutation.push_back(llvm::find(sorted, run) - sorted.begin());
  extents = newExtents;
  permutation = newPermutation;
}

/// The fewest dimensions that say the same.
static std::pair<SmallVector<int64_t>, SmallVector<int64_t>>
simplified(ef::TransposeOp transpose) {
  SmallVector<int64_t> extents(
      cast<RankedTensorType>(transpose.getInput().getType()).getShape());
  SmallVector<int64_t> permutation(transpose.getPermutation());
  simplify(extents, permutation);
  return {extents, permutation};
}

bool efc::npu::isTransposeOfDma(ef::TransposeOp transpose) {
  return simplified(transpose).second.size() <= kMaxTransposeRank;
}

Error LayerBuilder::addTranspose(const Kernel &kernel) {
  auto transpose = cast<ef::TransposeOp>(kernel.root);
  Value value = transpose.getInput();
  Expected<int> input = tensorOf(value, extentsOf(value));
  if (!input)
    return input.takeError();
  Layer layer = makeLayer(LayerKind::Transpose, kernel);
  layer.inputs.emplace_back().tensor = *input;
  std::tie(layer.extents, layer.permutation) = simplified(transpose);
  if (layer.permutation.size() > kMaxTransposeRank)
    return refuse("the transpose moves more than 5 dimensions");
  Extents extents = extentsOf(transpose.getResult());
  if (layer.permutation.size() < 2) {
    views[transpose.getResult()] = viewOf(value);
    return Error::success();
  }
  return addResultLayer(kernel, std::move(layer), extents);
}

/// Whether index i of dimension `dim` is a copy of index i / factor.
static bool repeats(ef::ResizeOp resize, int64_t dim, int64_t factor) {
  for (auto [index, sample] :
       llvm::enumerate(ef::makeResizeSamples(resize, dim)))
    if (sample.extrapolated || sample.weights.size() != 1 ||
        sample.weights[0] != 1 ||
        sample.first != static_cast<int64_t>(index) / factor)
      return false;
  return true;
}

bool efc::npu::repeatsRowsAndColumns(ef::ResizeOp resize) {
  auto from = cast<RankedTensorType>(resize.getInput().getType()).getShape();
  auto to = cast<RankedTensorType>(resize.getResult().getType()).getShape();
  return resize.getMode() == ef::ResizeMode::Nearest && from.size() == 4 &&
         to[1] % from[1] == 0 && to[2] % from[2] == 0 &&
         repeats(resize, 1, to[1] / from[1]) &&
         repeats(resize, 2, to[2] / from[2]);
}

Error LayerBuilder::addResize(const Kernel &kernel) {
  auto resize = cast<ef::ResizeOp>(kernel.root);
  auto from = cast<RankedTensorType>(resize.getInput().getType()).getShape();
  auto to = cast<RankedTensorType>(resize.getResult().getType()).getShape();
  bool isImage =
      from.size() == 4 && from[0] == 1 && to[0] == 1 && from[3] == to[3];
  if (!isImage || !repeatsRowsAndColumns(resize))
    return refuse("the resize is not one that repeats rows and columns of a "
                  "channels-last image a whole number of times");
  Expected<int> input = imageOf(resize.getInput(), resize.getInput());
  if (!input)
    return input.takeError();
  Layer layer = makeLayer(LayerKind::Resize, kernel);
  layer.inputs.emplace_back().tensor = *input;
  layer.factorY = to[1] / from[1];
  layer.factorX = to[2] / from[2];
  Extents extents = {to[1] * to[2], to[3]};
  return addResultLayer(kernel, std::move(layer), extents);
}

Error LayerBuilder::addConcat(const Kernel &kernel, Operation *op) {
  auto concat = cast<ef::ConcatOp>(op);
  for (Operation *inner : kernel.ops)
    if (inner != op && !isFloatCast(inner) &&
        !isa<ef::ReshapeOp, quant::QuantizeCastOp, quant::DequantizeCastOp>(
            inner))
      return refuse("a concatenation stands in one kernel with '" +
                    inner->getName().getStringRef() + "'");
  auto shape = cast<RankedTensorType>(concat.getResult().getType()).getShape();
  if (static_cast<size_t>(concat.getAxis()) != shape.size() - 1)
    return refuse("the concatenation is not one of channels");
  int64_t positions = ef::getNumElements(shape.drop_back());
  Layer layer = makeLayer(LayerKind::Concat, kernel);
  for (Value part : concat.getInputs()) {
    int64_t channels = cast<RankedTensorType>(part.getType()).getShape().back();
    Expected<int> tensor = tensorOf(kernel.leaf(part, /*throughDcast=*/true),
                                    {positions, channels});
    if (!tensor)
      return tensor.takeError();
    layer.inputs.emplace_back().tensor = *tensor;
  }
  Extents extents = {positions, shape.back()};
  return addResultLayer(kernel, std::move(layer), extents);
}

Error LayerBuilder::addElementwise(const Kernel &kernel) {
  Extents extents = extentsOf(kernel.root->getResult(0));
  Layer layer = makeLayer(LayerKind::Elementwise, kernel);
  EpilogueBuilder epilogue(*this, kernel, extents.positions, extents.channels);
  return addKernelLayer(kernel, std::move(layer), epilogue, extents);
}
