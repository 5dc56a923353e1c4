// What a handler asks its node for. Building is in NodeBuilder.cpp.
#include "compiler/import/NodeImporter.h"

#include "dialects/ef/Locations.h"
#include "dialects/ef/Shapes.h"

using namespace mlir;
using namespace efc::importer;
using efc::ef::HostTensor;

/// A constant of more elements is no parameter of an operator, but a splat that
/// should not be written out.
static constexpr int64_t kMaxParameterElements = 1 << 24;

NodeImporter::NodeImporter(Importer &importer, const onnx::NodeProto &node,
                           Scope &scope, StringRef name)
    : importer(importer), node(node), scope(scope), name(name),
      location(ef::makeLocation(importer.getBuilder().getContext(),
                                node.output_size() ? node.output(0) : name,
                                name)),
      results(node.output_size()) {
  StringRef domain = node.domain() == "ai.onnx" ? "" : StringRef(node.domain());
  opset = scope.opsets->lookup(domain);
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (attribute.ref_attr_name().empty()) {
      attributes[attribute.name()] = &attribute;
      continue;
    }
    // In a function body: the caller's attribute, if it gave one.
    if (!scope.functionAttributes)
      continue;
    auto bound = scope.functionAttributes->find(attribute.ref_attr_name());
    if (bound != scope.functionAttributes->end())
      attributes[attribute.name()] = bound->second;
  }
}

LogicalResult NodeImporter::resolveInputs() {
  for (const std::string &input : node.input()) {
    if (input.empty() || scope.omitted.contains(input)) {
      inputs.push_back(Value());
      continue;
    }
    std::optional<Value> value = importer.lookup(scope, input);
    if (!value)
      return fail("its input '" + input +
                  "' is neither an input of the model, nor an initializer, nor "
                  "computed by any node");
    failedInput |= !*value;
    inputs.push_back(*value);
  }
  return success();
}

bool NodeImporter::hasInput(size_t index) const {
  return index < inputs.size() && inputs[index];
}

bool NodeImporter::wantsOutput(size_t index) const {
  return index < results.size() && !node.output(index).empty();
}

Value NodeImporter::getInput(size_t index) {
  if (hasInput(index))
    return inputs[index];
  return failValue("it needs an input number " + llvm::Twine(index) +
                   ", which the model leaves out");
}

//===--- Attributes ---===//

const onnx::AttributeProto *NodeImporter::findAttribute(StringRef attribute) {
  return attributes.lookup(attribute);
}

int64_t NodeImporter::getInt(StringRef attribute, int64_t fallback) {
  const onnx::AttributeProto *found = findAttribute(attribute);
  return found && found->has_i() ? found->i() : fallback;
}

double NodeImporter::getFloat(StringRef attribute, double fallback) {
  const onnx::AttributeProto *found = findAttribute(attribute);
  return found && found->has_f() ? found->f() : fallback;
}

std::string NodeImporter::getString(StringRef attribute, StringRef fallback) {
  const onnx::AttributeProto *found = findAttribute(attribute);
  return found && found->has_s() ? found->s() : fallback.str();
}

std::optional<SmallVector<int64_t>>
NodeImporter::findInts(StringRef attribute) {
  const onnx::AttributeProto *found = findAttribute(attribute);
  if (!found)
    return std::nullopt;
  return SmallVector<int64_t>(found->ints().begin(), found->ints().end());
}

SmallVector<double> NodeImporter::getFloats(StringRef attribute) {
  const onnx::AttributeProto *found = findAttribute(attribute);
  return found ? SmallVector<double>(found->floats().begin(),
                                     found->floats().end())
               : SmallVector<double>();
}

FailureOr<int64_t> NodeImporter::normalizeAxis(int64_t axis, int64_t rank) {
  if (std::optional<int64_t> normalized = ef::normalizeAxis(axis, rank))
    return *normalized;
  return fail("its axis " + llvm::Twine(axis) +
              " does not exist in a tensor of rank " + llvm::Twine(rank));
}

FailureOr<int64_t> NodeImporter::getAxis(StringRef attribute, int64_t fallback,
                                         int64_t rank) {
  return normalizeAxis(getInt(attribute, fallback), rank);
}

//===--- Constants ---===//

FailureOr<HostTensor> NodeImporter::getConstant(size_t index, StringRef what) {
  Value value = getInput(index);
  if (!value)
    return failure();
  if (auto constant = value.getDefiningOp<ef::ConstantOp>())
    if (auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
        dense && dense.getNumElements() <= kMaxParameterElements)
      return HostTensor::fromAttr(dense);
  if (auto weight = value.getDefiningOp<ef::WeightOp>()) {
    if (Expected<HostTensor> tensor = importer.readWeight(weight))
      return *tensor;
    else
      return fail(llvm::toString(tensor.takeError()));
  }
  return fail("its input '" + what + "' ('" + node.input(index) +
              "') must be known when the model is compiled, but it depends on "
              "the data that the model computes");
}

FailureOr<SmallVector<int64_t>> NodeImporter::getConstantInts(size_t index,
                                                              StringRef what) {
  FailureOr<HostTensor> tensor = getConstant(index, what);
  if (failed(tensor))
    return failure();
  if (!isa<IntegerType>(tensor->getElementType()))
    return fail("its input '" + what + "' must hold integers");
  SmallVector<int64_t> values;
  for (int64_t i = 0, e = tensor->getNumElements(); i < e; ++i)
    values.push_back(tensor->getInt(i));
  return values;
}

FailureOr<std::optional<SmallVector<int64_t>>>
NodeImporter::getIntsFromInputOrAttribute(size_t index, StringRef what) {
  if (!hasInput(index))
    return findInts(what);
  FailureOr<SmallVector<int64_t>> values = getConstantInts(index, what);
  if (failed(values))
    return failure();
  return std::optional(std::move(*values));
}

//===--- Outcome ---===//

LogicalResult NodeImporter::fail(const llvm::Twine &text) {
  if (reason.empty())
    reason = text.str();
  return failure();
}

Value NodeImporter::failValue(const llvm::Twine &text) {
  (void)fail(text);
  return Value();
}

LogicalResult NodeImporter::setResult(size_t index, Value value) {
  if (!value)
    return failure();
  // An optional result that the model does not name.
  if (index < results.size())
    results[index] = value;
  return success();
}

/// "f32", "i64", "ui8", "bool".
static std::string formatType(Type type) {
  if (type.isInteger(1))
    return "bool";
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

std::string NodeImporter::describe() const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "node '" << name << "' (";
  if (!node.domain().empty() && node.domain() != "ai.onnx")
    stream << node.domain() << '.';
  stream << node.op_type() << ", opset " << opset << ')';
  StringRef separator = " with inputs ";
  for (auto [index, input] : llvm::enumerate(inputs)) {
    if (node.input(index).empty())
      continue;
    stream << separator << node.input(index);
    if (input)
      stream << ' ' << ef::formatShape(getShape(input)) << ' '
             << formatType(getElementType(input));
    separator = ", ";
  }
  return text;
}

void NodeImporter::publishResults() {
  MLIRContext *context = location.getContext();
  for (auto [index, value] : llvm::enumerate(results)) {
    const std::string &output = node.output(index);
    if (output.empty())
      continue;
    scope.values[output] = value;
    // The operation that computes an output carries its name, the others of a
    // decomposition a name of their own.
    Operation *op = value ? value.getDefiningOp() : nullptr;
    if (op && llvm::is_contained(created, op) && value == op->getResult(0))
      op->setLoc(ef::makeLocation(context, output, name));
  }
}

void NodeImporter::publishFailure() {
  for (const std::string &output : node.output())
    if (!output.empty())
      scope.values[output] = Value();
}
