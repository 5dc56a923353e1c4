// The import of a whole model: opsets, inputs and their shapes, outputs, and
// the report of everything that went wrong.
#include "compiler/import/Importer.h"

#include "dialects/ef/Locations.h"
#include "dialects/ef/Shapes.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace efc;
using namespace efc::importer;

static constexpr int64_t kOldestOpset = 7;
static constexpr int64_t kNewestOpset = EFC_ONNX_OPSET;

Importer::Importer(MLIRContext &context, OnnxFile onnxFile,
                   const ImportOptions &options)
    : context(context), file(std::move(onnxFile)), options(options),
      builder(&context), weights(file.getFolder()), dims(options.dims) {}

void Importer::addError(const llvm::Twine &message) {
  errors.push_back(message.str());
}

LogicalResult Importer::checkModel() {
  for (const onnx::OperatorSetIdProto &opset : file.getModel().opset_import())
    opsets[opset.domain() == "ai.onnx" ? "" : opset.domain()] = opset.version();
  auto standard = opsets.find("");
  if (standard == opsets.end()) {
    // A model of functions and operators of other domains only.
    return success();
  }
  if (standard->second < kOldestOpset || standard->second > kNewestOpset) {
    addError("the model uses ONNX opset " + llvm::Twine(standard->second) +
             ", but opsets " + llvm::Twine(kOldestOpset) + " to " +
             llvm::Twine(kNewestOpset) +
             " are supported; convert it with "
             "onnx.version_converter, or export it again");
    return failure();
  }
  return success();
}

//===--- Inputs ---===//

/// The tensor type of a graph's input, or null if it is something else.
static const onnx::TypeProto::Tensor *
getTensorProto(const onnx::ValueInfoProto &info) {
  return info.type().has_tensor_type() ? &info.type().tensor_type() : nullptr;
}

/// "1x3x48x192" of an input's dimensions: numbers, names, and ? for the rest.
static std::string formatDims(const onnx::ValueInfoProto &info) {
  const onnx::TypeProto::Tensor *tensor = getTensorProto(info);
  if (!tensor || !tensor->has_shape())
    return "unknown rank";
  std::string text = "[";
  for (const auto &dim : tensor->shape().dim()) {
    text += text.size() > 1 ? ", " : "";
    text += dim.has_dim_value()       ? std::to_string(dim.dim_value())
            : dim.dim_param().empty() ? "?"
                                      : dim.dim_param();
  }
  return text + "]";
}

/// The inputs that the user feeds: older files list initializers as well.
static SmallVector<const onnx::ValueInfoProto *>
getTrueInputs(const onnx::GraphProto &graph) {
  llvm::StringSet<> initializers;
  for (const onnx::TensorProto &tensor : graph.initializer())
    initializers.insert(tensor.name());
  for (const onnx::SparseTensorProto &tensor : graph.sparse_initializer())
    initializers.insert(tensor.values().name());
  SmallVector<const onnx::ValueInfoProto *> inputs;
  for (const onnx::ValueInfoProto &input : graph.input())
    if (!initializers.contains(input.name()))
      inputs.push_back(&input);
  return inputs;
}

static std::string join(ArrayRef<std::string> names) {
  return names.empty() ? "none" : llvm::join(names, ", ");
}

LogicalResult Importer::checkOptions() {
  const onnx::GraphProto &graph = file.getModel().graph();
  llvm::StringSet<> knownDims, knownInputs;
  std::vector<std::string> dimNames, inputNames;
  for (const onnx::ValueInfoProto *input : getTrueInputs(graph)) {
    knownInputs.insert(input->name());
    inputNames.push_back(input->name());
    if (const onnx::TypeProto::Tensor *tensor = getTensorProto(*input))
      for (const auto &dim : tensor->shape().dim())
        if (!dim.dim_param().empty() &&
            knownDims.insert(dim.dim_param()).second)
          dimNames.push_back(dim.dim_param());
  }
  for (const auto &dim : options.dims) {
    if (!knownDims.contains(dim.first()))
      addError("the model has no symbolic dimension '" + dim.first() +
               "'; it has: " + join(dimNames));
    else if (dim.second < 1)
      addError("the extent of dimension '" + dim.first() +
               "' must be 1 or more, not " + llvm::Twine(dim.second));
  }
  for (const auto &shape : options.inputShapes)
    if (!knownInputs.contains(shape.first()))
      addError("the model has no input '" + shape.first() +
               "' to give a shape; it has: " + join(inputNames));
  return failure(!errors.empty());
}

void Importer::bindDimsFromShapes() {
  for (const onnx::ValueInfoProto *input :
       getTrueInputs(file.getModel().graph())) {
    auto given = options.inputShapes.find(input->name());
    const onnx::TypeProto::Tensor *tensor = getTensorProto(*input);
    if (given == options.inputShapes.end() || !tensor ||
        tensor->shape().dim_size() != static_cast<int>(given->second.size()))
      continue;
    for (auto [dim, extent] :
         llvm::zip_equal(tensor->shape().dim(), given->second))
      if (!dim.dim_param().empty())
        dims.try_emplace(dim.dim_param(), extent);
  }
}

std::optional<RankedTensorType>
Importer::getInputType(const onnx::ValueInfoProto &input, bool &needsDims) {
  auto fail = [&](const llvm::Twine &reason) {
    addError("input '" + input.name() + "': " + reason);
    return std::nullopt;
  };
  const onnx::TypeProto::Tensor *tensor = getTensorProto(input);
  if (!tensor)
    return fail("only tensors are supported; it is a sequence, a map or an "
                "optional value");
  Expected<Type> element = getElementType(tensor->elem_type());
  if (!element)
    return fail(llvm::toString(element.takeError()));
  auto given = options.inputShapes.find(input.name());
  bool isGiven = given != options.inputShapes.end();
  if (!tensor->has_shape() && !isGiven) {
    needsDims = true;
    return std::nullopt;
  }
  if (isGiven && tensor->has_shape() &&
      static_cast<int>(given->second.size()) != tensor->shape().dim_size())
    return fail("the given shape " + ef::formatShape(given->second) +
                " has another rank than the model's " + formatDims(input));
  SmallVector<int64_t> shape;
  if (isGiven)
    shape = given->second;
  for (auto [index, dim] : llvm::enumerate(tensor->shape().dim())) {
    auto bound = dims.find(dim.dim_param());
    bool isBound = !dim.dim_param().empty() && bound != dims.end();
    if (isGiven) {
      int64_t fixed = dim.has_dim_value() ? dim.dim_value()
                      : isBound           ? bound->second
                                          : shape[index];
      if (fixed != shape[index])
        return fail("the given shape " + ef::formatShape(shape) +
                    " does not agree with the model's " + formatDims(input) +
                    ": dimension " + llvm::Twine(index) + " is " +
                    llvm::Twine(fixed));
      continue;
    }
    if (!dim.has_dim_value() && !isBound) {
      needsDims = true;
      return std::nullopt;
    }
    shape.push_back(dim.has_dim_value() ? dim.dim_value() : bound->second);
  }
  int64_t bytes = ef::getElementBytes(*element);
  for (int64_t extent : shape)
    if (extent < 0 ||
        __builtin_mul_overflow(bytes, std::max<int64_t>(extent, 1), &bytes) ||
        bytes > (int64_t(1) << 44))
      return fail("its shape " + ef::formatShape(shape) +
                  " is not that of a tensor that fits into memory");
  return RankedTensorType::get(shape, *element);
}

/// "--dim batch=1 --input-shape x=1x3x?": what would settle an input.
static std::string suggestFlags(const onnx::ValueInfoProto &input) {
  const onnx::TypeProto::Tensor *tensor = getTensorProto(input);
  bool allNamed = tensor && tensor->has_shape();
  std::string flags;
  for (const auto &dim : tensor->shape().dim()) {
    if (dim.has_dim_value())
      continue;
    allNamed &= !dim.dim_param().empty();
    flags += (flags.empty() ? "" : " ") + ("--dim " + dim.dim_param() + "=N");
  }
  return allNamed ? flags : "--input-shape " + input.name() + "=1x...";
}

LogicalResult Importer::importInputs(Scope &scope) {
  if (failed(checkOptions()))
    return failure();
  bindDimsFromShapes();
  std::string unknown;
  Block &body = function.getBody().emplaceBlock();
  SmallVector<DictionaryAttr> argumentAttributes;
  for (const onnx::ValueInfoProto *input :
       getTrueInputs(file.getModel().graph())) {
    bool needsDims = false;
    std::optional<RankedTensorType> type = getInputType(*input, needsDims);
    if (needsDims)
      unknown += (unknown.empty() ? "" : "; ") + input->name() + " " +
                 formatDims(*input) + " (" + suggestFlags(*input) + ")";
    if (!type)
      continue;
    if (scope.values.contains(input->name())) {
      addError("the model has two inputs named '" + input->name() + "'");
      continue;
    }
    scope.values[input->name()] = body.addArgument(
        *type, ef::makeLocation(&context, input->name(), input->name()));
    argumentAttributes.push_back(builder.getDictionaryAttr(
        builder.getNamedAttr("ef.name", builder.getStringAttr(input->name()))));
  }
  if (!unknown.empty())
    addError("the model has inputs with dimensions that are not fixed; give "
             "their extents: " +
             unknown);
  if (!errors.empty())
    return failure();
  function.setType(builder.getFunctionType(body.getArgumentTypes(), {}));
  function.setAllArgAttrs(argumentAttributes);
  builder.setInsertionPointToEnd(&body);
  return success();
}

//===--- Outputs ---===//

LogicalResult Importer::importOutputs(Scope &scope) {
  SmallVector<Value> values;
  SmallVector<DictionaryAttr> resultAttributes;
  const onnx::GraphProto &graph = file.getModel().graph();
  if (graph.output_size() == 0)
    addError("the model has no outputs");
  for (const onnx::ValueInfoProto &output : graph.output()) {
    std::optional<Value> value = lookup(scope, output.name());
    if (!value)
      addError("no node computes the model's output '" + output.name() + "'");
    if (!value || !*value)
      continue;
    if (const onnx::TypeProto::Tensor *declared = getTensorProto(output)) {
      Type actual = cast<RankedTensorType>(value->getType()).getElementType();
      Expected<Type> element = getElementType(declared->elem_type());
      if (!element)
        llvm::consumeError(element.takeError());
      else if (*element != actual)
        addError("the model declares its output '" + output.name() +
                 "' with another element type than its nodes compute");
    }
    values.push_back(*value);
    resultAttributes.push_back(builder.getDictionaryAttr(
        builder.getNamedAttr("ef.name", builder.getStringAttr(output.name()))));
  }
  if (!errors.empty())
    return failure();
  func::ReturnOp::create(builder, UnknownLoc::get(&context), values);
  function.setType(builder.getFunctionType(
      function.getBody().front().getArgumentTypes(), TypeRange(values)));
  function.setAllResultAttrs(resultAttributes);
  return success();
}

void Importer::eraseDeadOps() {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
}

void Importer::reportErrors() {
  // Without a location: the messages say where, in the words of the model.
  for (const std::string &message : errors)
    emitError(UnknownLoc::get(&context)) << message;
}

OwningOpRef<ModuleOp> Importer::run() {
  Location location = UnknownLoc::get(&context);
  module = ModuleOp::create(location);
  (*module)->setAttr("ef.model_dir", builder.getStringAttr(file.getFolder()));
  builder.setInsertionPointToEnd(module->getBody());
  function = func::FuncOp::create(builder, location, "main",
                                  builder.getFunctionType({}, {}));
  Scope scope;
  scope.opsets = &opsets;
  const onnx::GraphProto &graph = file.getModel().graph();
  collectFunctions();
  addInitializers(graph, scope);
  // Sequential, because a failure of each makes the next ones meaningless; the
  // nodes of the body are all tried.
  bool ok = succeeded(checkModel()) && succeeded(importInputs(scope)) &&
            succeeded(importBody(graph.node(), scope)) &&
            succeeded(importOutputs(scope));
  if (!ok) {
    if (errors.empty())
      addError("the model could not be imported");
    reportErrors();
    return nullptr;
  }
  (*module)->setAttr("ef.opset", builder.getI64IntegerAttr(opsets.lookup("")));
  eraseDeadOps();
  if (failed(verify(*module)))
    return nullptr;
  return std::move(module);
}

OwningOpRef<ModuleOp> efc::importOnnx(MLIRContext &context, StringRef path,
                                      const ImportOptions &options) {
  context.loadDialect<ef::EfDialect, func::FuncDialect>();
  Expected<OnnxFile> file = OnnxFile::open(path);
  if (!file) {
    emitError(UnknownLoc::get(&context)) << llvm::toString(file.takeError());
    return nullptr;
  }
  return Importer(context, std::move(*file), options).run();
}
