// Operators that change shapes or speak of them, and those that make tensors
// from nothing: Constant, ConstantOfShape, Range, EyeLike.
#include "compiler/import/NodeImporter.h"

#include <cmath>

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using ef::HostTensor;

/// Tables that the compiler writes out itself have at most so many elements.
static constexpr int64_t kMaxTableElements = 1 << 22;

static LogicalResult importReshape(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<SmallVector<int64_t>> target = node.getConstantInts(1, "shape");
  if (!input || failed(target))
    return failure();
  bool allowZero = node.getInt("allowzero", 0) != 0;
  ArrayRef<int64_t> from = node.getShape(input);
  int64_t known = 1, inferred = -1;
  for (auto [index, extent] : llvm::enumerate(*target)) {
    if (extent == 0 && !allowZero) {
      if (index >= from.size())
        return node.fail("its shape " + ef::formatShape(*target) +
                         " copies dimension " + llvm::Twine(index) +
                         ", which the input does not have");
      extent = from[index];
    }
    if (extent < -1 || (extent == -1 && inferred >= 0))
      return node.fail("its shape " + ef::formatShape(*target) +
                       " is not valid: one extent may be -1, none less");
    if (extent == -1)
      inferred = index;
    else if (__builtin_mul_overflow(known, extent, &known))
      return node.fail("its shape " + ef::formatShape(*target) +
                       " is too large");
  }
  int64_t count = node.getType(input).getNumElements();
  if (inferred >= 0) {
    if (known == 0 || count % known != 0)
      return node.fail("its input has " + llvm::Twine(count) +
                       " elements, which the shape " +
                       ef::formatShape(*target) + " does not divide");
    (*target)[inferred] = count / known;
  } else if (known != count) {
    return node.fail("its input has " + llvm::Twine(count) +
                     " elements, but the shape " + ef::formatShape(*target) +
                     " has " + llvm::Twine(known));
  }
  return node.setResult(node.reshape(input, *target));
}

static LogicalResult importFlatten(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  int64_t rank = node.getRank(input), axis = node.getInt("axis", 1);
  if (axis < -rank || axis > rank)
    return node.fail("its axis " + llvm::Twine(axis) +
                     " does not exist in a tensor of rank " +
                     llvm::Twine(rank));
  axis += axis < 0 ? rank : 0;
  ArrayRef<int64_t> shape = node.getShape(input);
  return node.setResult(
      node.reshape(input, {ef::getNumElements(shape.take_front(axis)),
                           ef::getNumElements(shape.drop_front(axis))}));
}

static LogicalResult importSqueeze(NodeImporter &node) {
  Value input = node.getInput(0);
  auto axes = node.getIntsFromInputOrAttribute(1, "axes");
  if (!input || failed(axes))
    return failure();
  ArrayRef<int64_t> from = node.getShape(input);
  llvm::SmallBitVector dropped(from.size());
  if (*axes) {
    for (int64_t axis : **axes) {
      FailureOr<int64_t> dim = node.normalizeAxis(axis, from.size());
      if (failed(dim))
        return failure();
      if (from[*dim] != 1)
        return node.fail("its axis " + llvm::Twine(axis) + " has extent " +
                         llvm::Twine(from[*dim]) +
                         "; only extents of 1 can be dropped");
      dropped.set(*dim);
    }
  } else {
    for (auto [dim, extent] : llvm::enumerate(from))
      dropped[dim] = extent == 1;
  }
  Shape shape;
  for (auto [dim, extent] : llvm::enumerate(from))
    if (!dropped[dim])
      shape.push_back(extent);
  return node.setResult(node.reshape(input, shape));
}

static LogicalResult importUnsqueeze(NodeImporter &node) {
  Value input = node.getInput(0);
  auto axes = node.getIntsFromInputOrAttribute(1, "axes");
  if (!input || failed(axes))
    return failure();
  if (!*axes)
    return node.fail("it has no axes");
  int64_t rank = node.getRank(input) + (*axes)->size();
  llvm::SmallBitVector added(rank);
  for (int64_t axis : **axes) {
    FailureOr<int64_t> dim = node.normalizeAxis(axis, rank);
    if (failed(dim))
      return failure();
    if (added.test(*dim))
      return node.fail("its axis " + llvm::Twine(axis) + " appears twice");
    added.set(*dim);
  }
  Shape shape;
  const int64_t *next = node.getShape(input).begin();
  for (int64_t dim = 0; dim < rank; ++dim)
    shape.push_back(added[dim] ? 1 : *next++);
  return node.setResult(node.reshape(input, shape));
}

static LogicalResult importTranspose(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  SmallVector<int64_t> reversed;
  for (int64_t dim = node.getRank(input); dim-- > 0;)
    reversed.push_back(dim);
  return node.setResult(
      node.transpose(input, node.findInts("perm").value_or(reversed)));
}

static LogicalResult importExpand(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<SmallVector<int64_t>> target = node.getConstantInts(1, "shape");
  if (!input || failed(target))
    return failure();
  std::optional<Shape> shape =
      ef::broadcastShapes(node.getShape(input), *target);
  if (!shape)
    return node.fail("its input does not broadcast to the shape " +
                     ef::formatShape(*target));
  return node.setResult(node.broadcast(input, *shape));
}

static LogicalResult importShape(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  int64_t rank = node.getRank(input);
  auto clampIndex = [&](int64_t index) {
    return std::clamp<int64_t>(index < 0 ? index + rank : index, 0, rank);
  };
  int64_t start = clampIndex(node.getInt("start", 0)),
          end = clampIndex(node.getInt("end", rank));
  return node.setResult(node.constantInts(
      node.getShape(input).slice(start, std::max<int64_t>(end - start, 0))));
}

static LogicalResult importSize(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  HostTensor size(RankedTensorType::get({}, node.getI64()));
  size.setInt(0, node.getType(input).getNumElements());
  return node.setResult(node.constantTensor(size));
}

/// The tensor of a Constant node, in any of its attributes.
static LogicalResult importConstant(NodeImporter &node) {
  if (const onnx::AttributeProto *value = node.findAttribute("value")) {
    Expected<Value> tensor = node.getImporter().importTensor(
        value->t(),
        node.getNode().output_size() ? node.getNode().output(0) : "constant");
    return tensor ? node.setResult(*tensor)
                  : node.fail(llvm::toString(tensor.takeError()));
  }
  if (const onnx::AttributeProto *value = node.findAttribute("sparse_value")) {
    Expected<Value> tensor = node.getImporter().importSparseTensor(
        value->sparse_tensor(), node.getNode().output(0));
    return tensor ? node.setResult(*tensor)
                  : node.fail(llvm::toString(tensor.takeError()));
  }
  if (std::optional<SmallVector<int64_t>> ints = node.findInts("value_ints"))
    return node.setResult(node.constantInts(*ints));
  if (const onnx::AttributeProto *value = node.findAttribute("value_int")) {
    HostTensor scalar(RankedTensorType::get({}, node.getI64()));
    scalar.setInt(0, value->i());
    return node.setResult(node.constantTensor(scalar));
  }
  if (const onnx::AttributeProto *value = node.findAttribute("value_float"))
    return node.setResult(node.constant(node.getF32(), value->f()));
  if (node.hasAttribute("value_floats")) {
    SmallVector<double> floats = node.getFloats("value_floats");
    HostTensor vector(RankedTensorType::get(
        {static_cast<int64_t>(floats.size())}, node.getF32()));
    for (auto [index, element] : llvm::enumerate(floats))
      vector.setFloat(index, element);
    return node.setResult(node.constantTensor(vector));
  }
  return node.fail("it holds no numbers; strings are not supported");
}

static LogicalResult importConstantOfShape(NodeImporter &node) {
  FailureOr<SmallVector<int64_t>> shape = node.getConstantInts(0, "input");
  if (failed(shape))
    return failure();
  for (int64_t extent : *shape)
    if (extent < 0)
      return node.fail("its shape " + ef::formatShape(*shape) +
                       " has a negative extent");
  const onnx::AttributeProto *value = node.findAttribute("value");
  if (!value)
    return node.setResult(node.constant(node.getF32(), 0, *shape));
  Expected<Value> scalar =
      node.getImporter().importTensor(value->t(), node.getNode().output(0));
  if (!scalar)
    return node.fail(llvm::toString(scalar.takeError()));
  auto constant = scalar->getDefiningOp<ef::ConstantOp>();
  if (node.getType(*scalar).getNumElements() != 1 || !constant)
    return node.fail("its value must have one element");
  auto dense = cast<DenseElementsAttr>(constant.getValue());
  int64_t elements = 1;
  for (int64_t extent : *shape)
    if (__builtin_mul_overflow(elements, std::max<int64_t>(extent, 1),
                               &elements) ||
        elements > (int64_t(1) << 40))
      return node.fail("its shape " + ef::formatShape(*shape) +
                       " is too large");
  auto type = RankedTensorType::get(*shape, dense.getElementType());
  auto splat = DenseElementsAttr::get(type, *dense.value_begin<Attribute>());
  return node.setResult(
      ef::ConstantOp::create(node.getBuilder(), node.getLocation(), splat));
}

static LogicalResult importRange(NodeImporter &node) {
  FailureOr<HostTensor> start = node.getConstant(0, "start"),
                        limit = node.getConstant(1, "limit"),
                        delta = node.getConstant(2, "delta");
  if (failed(start) || failed(limit) || failed(delta))
    return failure();
  if (start->getNumElements() != 1 || limit->getNumElements() != 1 ||
      delta->getNumElements() != 1)
    return node.fail("start, limit and delta must be scalars");
  double step = delta->getFloat(0),
         count = std::ceil((limit->getFloat(0) - start->getFloat(0)) / step);
  if (step == 0 || !(std::abs(count) <= kMaxTableElements))
    return node.fail("its range has a step of zero, or too many elements");
  int64_t size = std::max<int64_t>(static_cast<int64_t>(count), 0);
  HostTensor table(RankedTensorType::get({size}, start->getElementType()));
  bool isFloat = isa<FloatType>(start->getElementType());
  for (int64_t i = 0; i < size; ++i) {
    if (isFloat)
      table.setFloat(i, start->getFloat(0) + i * step);
    else
      table.setInt(i, start->getInt(0) + i * delta->getInt(0));
  }
  return node.setResult(node.constantTensor(table));
}

static LogicalResult importEyeLike(NodeImporter &node) {
  Value input = node.getInput(0);
  if (!input)
    return failure();
  Type element = node.getElementType(input);
  if (node.hasAttribute("dtype")) {
    Expected<Type> given =
        node.getImporter().getElementType(node.getInt("dtype", 0));
    if (!given)
      return node.fail(llvm::toString(given.takeError()));
    element = *given;
  }
  ArrayRef<int64_t> shape = node.getShape(input);
  if (shape.size() != 2 || ef::getNumElements(shape) > kMaxTableElements)
    return node.fail("it needs a matrix of a reasonable size");
  HostTensor eye(RankedTensorType::get(shape, element));
  int64_t offset = std::clamp(node.getInt("k", 0), -shape[0], shape[1]);
  for (int64_t row = 0; row < shape[0]; ++row)
    if (int64_t column = row + offset; column >= 0 && column < shape[1])
      eye.setInt(row * shape[1] + column, 1);
  return node.setResult(node.constantTensor(eye));
}

static LogicalResult importTile(NodeImporter &node) {
  Value input = node.getInput(0);
  FailureOr<SmallVector<int64_t>> repeats = node.getConstantInts(1, "repeats");
  if (!input || failed(repeats))
    return failure();
  ArrayRef<int64_t> from = node.getShape(input);
  if (repeats->size() != from.size())
    return node.fail("it has " + llvm::Twine(repeats->size()) +
                     " repeats for a tensor of rank " +
                     llvm::Twine(from.size()));
  // [a, b] -> [1, a, 1, b] -> [ra, a, rb, b] -> [ra * a, rb * b].
  Shape split, repeated, merged;
  for (auto [extent, repeat] : llvm::zip_equal(from, *repeats)) {
    int64_t product;
    if (repeat < 0 || __builtin_mul_overflow(extent, repeat, &product))
      return node.fail("its repeats " + ef::formatShape(*repeats) +
                       " are not valid");
    split.append({1, extent});
    repeated.append({repeat, extent});
    merged.push_back(product);
  }
  return node.setResult(node.reshape(
      node.broadcast(node.reshape(input, split), repeated), merged));
}

ArrayRef<OpEntry> importer::getShapeOps() {
  static constexpr OpEntry kOps[] = {
      {"Reshape", importReshape},
      {"Flatten", importFlatten},
      {"Squeeze", importSqueeze},
      {"Unsqueeze", importUnsqueeze},
      {"Transpose", importTranspose},
      {"Expand", importExpand},
      {"Shape", importShape},
      {"Size", importSize},
      {"Constant", importConstant},
      {"ConstantOfShape", importConstantOfShape},
      {"Range", importRange},
      {"EyeLike", importEyeLike},
      {"Tile", importTile},
  };
  return kOps;
}
