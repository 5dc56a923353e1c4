// Building operations for a node: created, verified, and folded if all operands
// are constants.
#include "compiler/import/NodeImporter.h"

#include "dialects/ef/Locations.h"

#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using ef::HostTensor;

/// Results of up to this many bytes are computed at import: shape arithmetic,
/// position tables, small masks.
static constexpr int64_t kFoldBytes = 64 << 10;
/// Operands of up to this many elements are worth it (a splat may be large).
static constexpr int64_t kFoldElements = 1 << 20;

/// No tensor of a model that can be compiled is larger; it also keeps every
/// later product of extents from overflowing.
static constexpr int64_t kMaxBytes = int64_t(1) << 44;

/// Bytes of a tensor, or nothing if they are more than kMaxBytes.
static std::optional<int64_t> getBytes(RankedTensorType type) {
  int64_t bytes =
      std::max<size_t>(ef::getElementBytes(type.getElementType()), 1);
  for (int64_t extent : type.getShape())
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(extent, 1), &bytes) ||
        bytes > kMaxBytes)
      return std::nullopt;
  return type.getNumElements() == 0 ? 0 : bytes;
}

LogicalResult NodeImporter::checkSize(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  for (int64_t extent : tensor.getShape())
    if (extent < 0)
      return fail("its result would have the shape " +
                  ef::formatShape(tensor.getShape()));
  if (!getBytes(tensor))
    return fail("its result would have the shape " +
                ef::formatShape(tensor.getShape()) +
                ", which is more than any machine's memory");
  return success();
}

Operation *NodeImporter::createGeneric(StringRef opName, ArrayRef<Type> types,
                                       ArrayRef<Value> operands,
                                       ArrayRef<NamedAttribute> attributes) {
  if (llvm::is_contained(operands, Value()))
    return nullptr;
  for (Type type : types)
    if (failed(checkSize(type)))
      return nullptr;
  // The name of an intermediate value: no tensor of the model.
  std::string local = ((node.output_size() ? node.output(0) : name) + ":" +
                       llvm::Twine(created.size()))
                          .str();
  OperationState state(ef::makeLocation(location.getContext(), local, name),
                       opName);
  state.addTypes(types);
  state.addOperands(operands);
  state.addAttributes(attributes);
  Operation *op = getBuilder().create(state);
  if (failed(verify(op, /*verifyRecursively=*/false))) {
    op->erase();
    return nullptr;
  }
  return fold(op);
}

Operation *NodeImporter::fold(Operation *op) {
  created.push_back(op);
  auto evaluable = dyn_cast<ef::EvaluableOpInterface>(op);
  if (!evaluable || op->getNumOperands() == 0 || op->getNumResults() != 1 ||
      *getBytes(getType(op->getResult(0))) > kFoldBytes)
    return op;
  SmallVector<HostTensor> operands, values;
  for (Value operand : op->getOperands()) {
    auto constant = operand.getDefiningOp<ef::ConstantOp>();
    auto dense = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                          : DenseElementsAttr();
    if (!dense || dense.getNumElements() > kFoldElements)
      return op;
    operands.push_back(HostTensor::fromAttr(dense));
  }
  if (failed(evaluable.evaluate(operands, values)))
    return nullptr;
  auto constant = ef::ConstantOp::create(getBuilder(), op->getLoc(),
                                         values.front().toAttr());
  created.back() = constant;
  op->erase();
  return constant;
}

//===--- Constants ---===//

Value NodeImporter::constant(Type elementType, double value,
                             ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, elementType);
  HostTensor scalar(RankedTensorType::get({}, elementType));
  scalar.setFloat(0, value);
  if (failed(checkSize(type)))
    return Value();
  Attribute element = *scalar.toAttr().value_begin<Attribute>();
  auto op = ef::ConstantOp::create(getBuilder(), location,
                                   DenseElementsAttr::get(type, element));
  created.push_back(op);
  return op;
}

Value NodeImporter::constantTensor(const HostTensor &tensor) {
  auto op = ef::ConstantOp::create(getBuilder(), location, tensor.toAttr());
  created.push_back(op);
  return op;
}

Value NodeImporter::constantInts(ArrayRef<int64_t> values) {
  HostTensor tensor(
      RankedTensorType::get({static_cast<int64_t>(values.size())}, getI64()));
  for (auto [index, value] : llvm::enumerate(values))
    tensor.setInt(index, value);
  return constantTensor(tensor);
}

//===--- Element-wise ---===//

Value NodeImporter::unary(UnaryKind kind, Value input) {
  if (!input)
    return Value();
  bool isTest = kind == UnaryKind::IsNan || kind == UnaryKind::IsInf;
  Type element = isTest ? getBool() : getElementType(input);
  return firstResult(create<ef::UnaryOp>(
      getType(input).clone(element), input,
      attribute("kind", ef::UnaryKindAttr::get(location.getContext(), kind))));
}

Value NodeImporter::binary(BinaryKind kind, Value lhs, Value rhs) {
  if (!lhs || !rhs)
    return Value();
  std::optional<Shape> shape =
      ef::broadcastShapes(getShape(lhs), getShape(rhs));
  if (!shape)
    return failValue(
        "the shapes " + ef::formatShape(getShape(lhs)) + " and " +
        ef::formatShape(getShape(rhs)) +
        " do not broadcast: extents must be equal, or one of them 1, "
        "counted from the last dimension");
  bool isComparison = kind >= BinaryKind::Eq && kind <= BinaryKind::Ge;
  Type element = isComparison ? getBool() : getElementType(lhs);
  return firstResult(create<ef::BinaryOp>(
      RankedTensorType::get(*shape, element), {lhs, rhs},
      attribute("kind", ef::BinaryKindAttr::get(location.getContext(), kind))));
}

Value NodeImporter::binary(BinaryKind kind, Value lhs, double rhs) {
  return lhs ? binary(kind, lhs, constant(getElementType(lhs), rhs)) : Value();
}

Value NodeImporter::select(Value condition, Value onTrue, Value onFalse) {
  return firstResult(
      createInferred<ef::SelectOp>({condition, onTrue, onFalse}, {}));
}

Value NodeImporter::cast(Value input, Type elementType) {
  if (!input || getElementType(input) == elementType)
    return input;
  return firstResult(
      create<ef::CastOp>(getType(input).clone(elementType), input, {}));
}

Value NodeImporter::clamp(Value input, double low, double high) {
  return binary(BinaryKind::Min, binary(BinaryKind::Max, input, low), high);
}

//===--- Moving data ---===//

Value NodeImporter::reshape(Value input, ArrayRef<int64_t> shape) {
  if (!input || getShape(input) == shape)
    return input;
  return firstResult(
      create<ef::ReshapeOp>(getType(input).clone(shape), input, {}));
}

Value NodeImporter::transpose(Value input, ArrayRef<int64_t> permutation) {
  return firstResult(createInferred<ef::TransposeOp>(
      input, intsAttribute("permutation", permutation)));
}

Value NodeImporter::broadcast(Value input, ArrayRef<int64_t> shape) {
  if (!input || getShape(input) == shape)
    return input;
  return firstResult(
      create<ef::BroadcastOp>(getType(input).clone(shape), input, {}));
}

Value NodeImporter::slice(Value input, ArrayRef<int64_t> starts,
                          ArrayRef<int64_t> steps, ArrayRef<int64_t> sizes) {
  if (!input)
    return Value();
  return firstResult(create<ef::SliceOp>(
      getType(input).clone(sizes), input,
      {intsAttribute("starts", starts), intsAttribute("steps", steps)}));
}

Value NodeImporter::sliceAxis(Value input, int64_t axis, int64_t start,
                              int64_t size) {
  if (!input)
    return Value();
  Shape starts(getRank(input), 0), steps(getRank(input), 1),
      sizes(getShape(input));
  starts[axis] = start;
  sizes[axis] = size;
  return slice(input, starts, steps, sizes);
}

Value NodeImporter::concat(ArrayRef<Value> inputs, int64_t axis) {
  return firstResult(
      createInferred<ef::ConcatOp>(inputs, intAttribute("axis", axis)));
}

Value NodeImporter::pad(Value input, ArrayRef<int64_t> pads, ef::PadMode mode,
                        Value value) {
  SmallVector<Value> operands{input};
  if (value)
    operands.push_back(value);
  return firstResult(createInferred<ef::PadOp>(
      operands,
      {intsAttribute("pads", pads),
       attribute("mode", ef::PadModeAttr::get(location.getContext(), mode))}));
}

Value NodeImporter::gather(Value input, Value indices, int64_t axis) {
  return firstResult(createInferred<ef::GatherOp>({input, indices},
                                                  intAttribute("axis", axis)));
}

Value NodeImporter::alongAxis(Value vector, int64_t axis, int64_t rank) {
  if (!vector)
    return Value();
  Shape shape(rank, 1);
  shape[axis] = getType(vector).getNumElements();
  return reshape(vector, shape);
}

//===--- Sums ---===//

Value NodeImporter::reduce(ef::ReduceKind kind, Value input,
                           ArrayRef<int64_t> axes, bool keepDims) {
  SmallVector<NamedAttribute> attributes{
      attribute("kind", ef::ReduceKindAttr::get(location.getContext(), kind)),
      intsAttribute("axes", axes)};
  if (keepDims)
    attributes.push_back(unitAttribute("keep_dims"));
  return firstResult(createInferred<ef::ReduceOp>(input, attributes));
}

Value NodeImporter::matmul(Value a, Value b, bool transposeA, bool transposeB) {
  SmallVector<NamedAttribute> attributes;
  if (transposeA)
    attributes.push_back(unitAttribute("transpose_a"));
  if (transposeB)
    attributes.push_back(unitAttribute("transpose_b"));
  return firstResult(createInferred<ef::MatmulOp>({a, b}, attributes));
}

Value NodeImporter::softmax(Value input, int64_t axis, bool log) {
  if (!input)
    return Value();
  SmallVector<NamedAttribute> attributes{intAttribute("axis", axis)};
  if (log)
    attributes.push_back(unitAttribute("log"));
  return firstResult(create<ef::SoftmaxOp>(getType(input), input, attributes));
}

Value NodeImporter::argReduce(Value input, int64_t axis, bool keepDims,
                              bool minimum, bool selectLast) {
  SmallVector<NamedAttribute> attributes{intAttribute("axis", axis)};
  for (auto [flag, attributeName] :
       {std::pair(keepDims, "keep_dims"), std::pair(minimum, "minimum"),
        std::pair(selectLast, "select_last")})
    if (flag)
      attributes.push_back(unitAttribute(attributeName));
  return firstResult(createInferred<ef::ArgReduceOp>(input, attributes));
}
