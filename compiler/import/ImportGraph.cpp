// Graphs: names, the order of nodes, single nodes, branches, and calls of the
// model's own functions.
#include "compiler/import/NodeImporter.h"

#include "dialects/ef/Locations.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using google::protobuf::RepeatedPtrField;

/// Functions and branches nested more deeply than this call themselves.
static constexpr unsigned kMaxDepth = 32;

//===--- Names ---===//

void Importer::addInitializers(const onnx::GraphProto &graph, Scope &scope) {
  for (const onnx::TensorProto &tensor : graph.initializer())
    scope.initializers[tensor.name()] = &tensor;
  for (const onnx::SparseTensorProto &tensor : graph.sparse_initializer())
    scope.sparseInitializers[tensor.values().name()] = &tensor;
}

std::optional<Value> Importer::lookup(Scope &scope, StringRef name) {
  if (auto found = scope.values.find(name); found != scope.values.end())
    return found->second;
  auto dense = scope.initializers.find(name);
  auto sparse = scope.sparseInitializers.find(name);
  if (dense != scope.initializers.end() ||
      sparse != scope.sparseInitializers.end()) {
    Expected<Value> value = dense != scope.initializers.end()
                                ? importTensor(*dense->second, name)
                                : importSparseTensor(*sparse->second, name);
    if (!value) {
      addError("initializer '" + name +
               "': " + llvm::toString(value.takeError()));
      return scope.values[name] = Value();
    }
    return scope.values[name] = *value;
  }
  // What a subgraph finds around it was imported before the node that holds it.
  for (const Scope *outer = scope.parent; outer; outer = outer->parent) {
    if (auto found = outer->values.find(name); found != outer->values.end())
      return found->second;
    if (outer->initializers.contains(name) ||
        outer->sparseInitializers.contains(name))
      return lookup(const_cast<Scope &>(*outer), name);
  }
  return std::nullopt;
}

std::string Importer::makeNodeName(const onnx::NodeProto &node) {
  std::string name = node.name();
  if (!name.empty() && nodeNames.insert(name).second)
    return name;
  for (const std::string &output : node.output())
    if (!output.empty()) {
      name = output;
      break;
    }
  if (name.empty())
    name = node.op_type();
  std::string unique = name;
  for (unsigned number = 2; !nodeNames.insert(unique).second; ++number)
    unique = name + "_" + std::to_string(number);
  return unique;
}

//===--- Order ---===//

/// The names that a node reads, those of its branches from outside included.
static void collectUses(const onnx::NodeProto &node,
                        SmallVectorImpl<StringRef> &uses) {
  uses.append(node.input().begin(), node.input().end());
  for (const onnx::AttributeProto &attribute : node.attribute())
    for (const onnx::NodeProto &inner : attribute.g().node())
      collectUses(inner, uses);
}

/// The nodes' indices, each after the nodes that compute what it reads; the
/// model's own order where it is one. Nodes on a cycle are left out.
static SmallVector<int>
orderNodes(const RepeatedPtrField<onnx::NodeProto> &nodes) {
  llvm::StringMap<int> producers;
  for (auto [index, node] : llvm::enumerate(nodes))
    for (const std::string &output : node.output())
      producers.try_emplace(output, index);
  SmallVector<SmallVector<int, 4>> users(nodes.size());
  SmallVector<int> pending(nodes.size(), 0), order;
  for (auto [index, node] : llvm::enumerate(nodes)) {
    SmallVector<StringRef> uses;
    collectUses(node, uses);
    for (StringRef use : uses) {
      auto producer = use.empty() ? producers.end() : producers.find(use);
      if (producer == producers.end())
        continue;
      users[producer->second].push_back(index);
      ++pending[index];
    }
  }
  // Always the first node of the model's order that is ready.
  std::vector<int> ready;
  auto push = [&](int index) {
    ready.push_back(index);
    std::push_heap(ready.begin(), ready.end(), std::greater<>());
  };
  for (int index = 0; index < nodes.size(); ++index)
    if (pending[index] == 0)
      push(index);
  while (!ready.empty()) {
    std::pop_heap(ready.begin(), ready.end(), std::greater<>());
    int index = ready.back();
    ready.pop_back();
    order.push_back(index);
    for (int user : users[index])
      if (--pending[user] == 0)
        push(user);
  }
  return order;
}

LogicalResult
Importer::importBody(const RepeatedPtrField<onnx::NodeProto> &nodes,
                     Scope &scope) {
  SmallVector<int> order = orderNodes(nodes);
  bool failedAny = false;
  for (int index : order)
    failedAny |= failed(importNode(nodes[index], scope));
  if (static_cast<int>(order.size()) == nodes.size())
    return failure(failedAny);
  llvm::BitVector isOrdered(nodes.size());
  for (int index : order)
    isOrdered.set(index);
  std::string names;
  for (int index : isOrdered.flip().set_bits()) {
    NodeImporter node(*this, nodes[index], scope, makeNodeName(nodes[index]));
    node.publishFailure();
    names += (names.empty() ? "" : ", ") + node.describe();
  }
  addError("the graph is not acyclic; these nodes wait for each other's "
           "results: " +
           names);
  return failure();
}

//===--- Nodes ---===//

/// The first sentence of an operation's verifier, without the operation's name.
static std::string stripOpName(std::string text) {
  StringRef rest = text;
  if (rest.consume_front("'ef."))
    rest = rest.split("' op ").second;
  return rest.empty() ? text : rest.str();
}

LogicalResult Importer::importNode(const onnx::NodeProto &proto, Scope &scope) {
  NodeImporter node(*this, proto, scope, makeNodeName(proto));
  std::string diagnostics;
  auto import = [&]() -> LogicalResult {
    ScopedDiagnosticHandler capture(&context, [&](Diagnostic &diagnostic) {
      if (diagnostics.empty())
        diagnostics = stripOpName(diagnostic.str());
      return success();
    });
    for (const std::string &output : proto.output())
      if (!output.empty() && scope.values.contains(output))
        return node.fail("its output '" + output +
                         "' is defined a second time; names must be unique");
    LogicalResult resolved = node.resolveInputs();
    const onnx::FunctionProto *function = findFunction(proto);
    bool isStandard = proto.domain().empty() || proto.domain() == "ai.onnx";
    Handler handler = isStandard ? findHandler(proto.op_type()) : nullptr;
    if (!function && !handler)
      return node.fail(isStandard
                           ? "this operator is not supported"
                           : "operators of this domain are not supported");
    if (!function && node.getOpset() == 0)
      return node.fail("the model imports no opset of its domain");
    if (failed(resolved) || node.hasFailedInput())
      return failure();
    return function ? importFunctionCall(node, *function) : handler(node);
  };
  if (succeeded(import())) {
    node.publishResults();
    return success();
  }
  node.publishFailure();
  std::string reason =
      node.getReason().empty() ? diagnostics : node.getReason();
  if (!reason.empty())
    addError(node.describe() + ": " + reason);
  return failure();
}

//===--- Nested graphs ---===//

LogicalResult Importer::importBranch(const onnx::GraphProto &graph,
                                     const Scope &parent,
                                     SmallVectorImpl<Value> &results) {
  Scope scope;
  scope.parent = &parent;
  scope.functionAttributes = parent.functionAttributes;
  scope.opsets = parent.opsets;
  scope.depth = parent.depth + 1;
  addInitializers(graph, scope);
  if (scope.depth > kMaxDepth || failed(importBody(graph.node(), scope)))
    return failure();
  for (const onnx::ValueInfoProto &output : graph.output()) {
    std::optional<Value> value = lookup(scope, output.name());
    if (!value || !*value)
      return failure();
    results.push_back(*value);
  }
  return success();
}

static std::string getFunctionKey(StringRef domain, StringRef name,
                                  StringRef overload) {
  if (domain == "ai.onnx")
    domain = "";
  return (domain + "\n" + name + "\n" + overload).str();
}

const onnx::FunctionProto *
Importer::findFunction(const onnx::NodeProto &node) const {
  return functions.lookup(
      getFunctionKey(node.domain(), node.op_type(), node.overload()));
}

void Importer::collectFunctions() {
  for (const onnx::FunctionProto &function : file.getModel().functions())
    functions[getFunctionKey(function.domain(), function.name(),
                             function.overload())] = &function;
}

LogicalResult
Importer::importFunctionCall(NodeImporter &node,
                             const onnx::FunctionProto &function) {
  Scope scope;
  scope.depth = node.getScope().depth + 1;
  if (scope.depth > kMaxDepth)
    return node.fail("the function calls itself, or is nested too deeply");
  OpsetMap functionOpsets = opsets;
  for (const onnx::OperatorSetIdProto &opset : function.opset_import())
    functionOpsets[opset.domain() == "ai.onnx" ? "" : opset.domain()] =
        opset.version();
  AttributeMap attributes;
  for (const onnx::AttributeProto &attribute : function.attribute_proto())
    attributes[attribute.name()] = &attribute;
  for (const onnx::AttributeProto &attribute : node.getNode().attribute())
    if (const onnx::AttributeProto *value =
            node.findAttribute(attribute.name()))
      attributes[attribute.name()] = value;
  scope.opsets = &functionOpsets;
  scope.functionAttributes = &attributes;
  if (static_cast<int>(node.getNumInputs()) > function.input_size())
    return node.fail("the function has " + llvm::Twine(function.input_size()) +
                     " inputs");
  // An input that the call leaves out is one that its users leave out.
  for (auto [index, input] : llvm::enumerate(function.input()))
    if (node.hasInput(index))
      scope.values[input] = node.getInput(index);
    else
      scope.omitted.insert(input);
  if (failed(importBody(function.node(), scope)))
    return failure();
  for (auto [index, output] : llvm::enumerate(function.output())) {
    if (!node.wantsOutput(index))
      continue;
    std::optional<Value> value = lookup(scope, output);
    if (!value)
      return node.fail("the function does not compute its output '" + output +
                       "'");
    if (failed(node.setResult(index, *value)))
      return failure();
  }
  return success();
}
