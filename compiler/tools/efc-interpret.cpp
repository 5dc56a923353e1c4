// efc-interpret: runs a model by reference evaluation, operation by operation,
// without generating code. It tells an error of the importer or of the dialect
// from one of the compiler's later phases.
//
//   efc-interpret MODEL.onnx --input x=x.npy --output-dir out
//   efc-interpret 4-quantized.mlir --input x=x.npy --reference y=y.npy
//   efc-interpret --cases DIR --json results.json
//
// MODEL may be the IR of a phase up to `quantized` (efc --dump-phases-to); with
// quantised kernels this is the golden model of docs/numerics.md.
// A case is a folder of DIR with model.onnx and input_0.npy, input_1.npy, ...;
// its results are written beside them as result_0.npy, result_1.npy, ...
#include "compiler/import/OnnxImporter.h"
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Locations.h"
#include "dialects/ef/Quantized.h"
#include "dialects/ef/Values.h"
#include "dialects/ef/WeightStore.h"
#include "runtime/npu/Numerics.h"
#include "runtime/tools/Npy.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace efc;
using ef::HostTensor;
using llvm::Error;
using llvm::Expected;
namespace cl = llvm::cl;

namespace {
cl::OptionCategory category("efc-interpret options");
cl::opt<std::string> modelPath(cl::Positional, cl::desc("MODEL.onnx|.mlir"),
                               cl::cat(category));
cl::list<std::string> inputFlags("input", cl::desc("Value of an input"),
                                 cl::value_desc("name=x.npy"),
                                 cl::cat(category));
cl::opt<std::string> outputDir("output-dir", cl::init("."),
                               cl::desc("Folder for the outputs, NAME.npy"),
                               cl::value_desc("folder"), cl::cat(category));
cl::list<std::string>
    referenceFlags("reference",
                   cl::desc("Expected value of an output: prints its SQNR and "
                            "how many elements differ"),
                   cl::value_desc("name=y.npy"), cl::cat(category));
cl::opt<std::string>
    tensorsDir("tensors-dir",
               cl::desc("Folder for the result of every kernel that stands for "
                        "a tensor of the model, TENSOR.npy, dequantised"),
               cl::value_desc("folder"), cl::cat(category));
cl::list<std::string> dimFlags("dim", cl::desc("Value of a symbolic dimension"),
                               cl::value_desc("name=value"), cl::cat(category));
cl::opt<std::string> casesDir("cases",
                              cl::desc("Folder of cases to run in one process"),
                              cl::value_desc("folder"), cl::cat(category));
cl::opt<std::string> jsonPath("json", cl::init("-"),
                              cl::desc("Where to write each case's outcome"),
                              cl::value_desc("file"), cl::cat(category));
} // namespace

static Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(message);
}

//===--- Arrays ---===//

static std::optional<efrt::DType> toDType(Type type) {
  using efrt::DType;
  bool isUnsigned = type.isUnsignedInteger();
  if (type.isF32())
    return DType::F32;
  if (type.isF64())
    return DType::F64;
  if (type.isF16())
    return DType::F16;
  if (type.isBF16())
    return DType::BF16;
  switch (isa<IntegerType>(type) ? type.getIntOrFloatBitWidth() : 0) {
  case 1:
    return DType::I1;
  case 8:
    return isUnsigned ? DType::U8 : DType::I8;
  case 16:
    return isUnsigned ? DType::U16 : DType::I16;
  case 32:
    return isUnsigned ? DType::U32 : DType::I32;
  case 64:
    return isUnsigned ? DType::U64 : DType::I64;
  default:
    return std::nullopt;
  }
}

static Expected<HostTensor> readInput(const std::string &path,
                                      RankedTensorType type) {
  efrt::Result<efrun::Array> array = efrun::readNpy(path);
  if (!array)
    return makeError(array.status().message());
  if (toDType(type.getElementType()) != array->dtype ||
      type.getShape() != ArrayRef<int64_t>(array->shape))
    return makeError("'" + path +
                     "' does not have the type or shape of the model's input");
  HostTensor tensor(type);
  std::memcpy(tensor.getMutableBytes().data(), array->data.data(),
              tensor.getBytes().size());
  return tensor;
}

static Error writeOutput(const std::string &path, const HostTensor &tensor) {
  std::optional<efrt::DType> dtype = toDType(tensor.getElementType());
  if (!dtype)
    return makeError("an output has a type that .npy files do not know");
  efrt::Status status = efrun::writeNpy(
      path, *dtype, {tensor.getShape().data(), tensor.getShape().size()},
      {reinterpret_cast<const std::byte *>(tensor.getBytes().data()),
       tensor.getBytes().size()});
  return status.ok() ? Error::success() : makeError(status.message());
}

//===--- What is compared and kept ---===//

/// SQNR in dB; infinite when all elements are equal.
static double computeSqnr(const HostTensor &expected,
                          const HostTensor &actual) {
  std::vector<double> reference = ef::readValues<double>(expected),
                      values = ef::readValues<double>(actual);
  double signal = 0, noise = 0;
  for (auto [r, v] : llvm::zip_equal(reference, values)) {
    signal += r * r;
    noise += (v - r) * (v - r);
  }
  return 10 * std::log10(signal / noise);
}

static Error compare(const std::string &name, const std::string &path,
                     const HostTensor &actual) {
  Expected<HostTensor> expected = readInput(path, actual.getType());
  if (!expected)
    return expected.takeError();
  size_t bytes = ef::getElementBytes(actual.getElementType());
  int64_t numDifferent = 0, count = actual.getNumElements();
  for (int64_t i = 0; i < count; ++i)
    numDifferent +=
        std::memcmp(actual.getBytes().data() + i * bytes,
                    expected->getBytes().data() + i * bytes, bytes) != 0;
  llvm::outs() << llvm::formatv(
      "{0}: SQNR {1:F2} dB, {2} of {3} elements differ\n", name,
      computeSqnr(*expected, actual), numDifferent, count);
  return Error::success();
}

/// A quantised tensor as float32, any other as it is.
static HostTensor dequantize(const HostTensor &tensor) {
  auto format = ef::getActivationFormat(tensor.getType());
  if (!format)
    return tensor;
  RankedTensorType type = tensor.getType();
  HostTensor result(type.clone(Float32Type::get(type.getContext())));
  for (int64_t i = 0, e = tensor.getNumElements(); i < e; ++i)
    result.setFloat(
        i, efrt::numerics::dequantize(static_cast<int32_t>(tensor.getInt(i)),
                                      format->scale));
  return result;
}

/// Writes the result of `op` to --tensors-dir if it stands for a tensor.
static Error keepTensor(Operation &op, const HostTensor &tensor) {
  std::string name = ef::getTensorName(op.getLoc()).str();
  if (name.empty() || !toDType(ef::getStorageType(tensor.getElementType())) ||
      ef::getWeightFormat(tensor.getType()))
    return Error::success();
  std::replace(name.begin(), name.end(), '/', '_');
  return writeOutput(tensorsDir + "/" + name + ".npy", dequantize(tensor));
}

//===--- Evaluation ---===//

/// All operations in order; a value is dropped after its last use.
static Expected<std::vector<HostTensor>>
interpret(ModuleOp module, ArrayRef<HostTensor> inputs) {
  auto directory = module->getAttrOfType<StringAttr>("ef.model_dir");
  ef::WeightStore weights(directory ? directory.str() : ".");
  Block &body = module.lookupSymbol<func::FuncOp>("main").getBody().front();
  llvm::DenseMap<Value, HostTensor> values;
  llvm::DenseMap<Value, unsigned> uses;
  auto define = [&](Value value, const HostTensor &tensor) {
    unsigned count = std::distance(value.use_begin(), value.use_end());
    if (count == 0)
      return;
    uses[value] = count;
    values[value] = tensor;
  };
  for (auto [argument, tensor] : llvm::zip_equal(body.getArguments(), inputs))
    define(argument, tensor);
  for (Operation &op : body.without_terminator()) {
    if (auto weight = dyn_cast<ef::WeightOp>(op)) {
      Expected<HostTensor> tensor = weights.get(weight);
      if (!tensor)
        return tensor.takeError();
      define(weight, *tensor);
      continue;
    }
    SmallVector<HostTensor> operands, results;
    for (Value operand : op.getOperands()) {
      operands.push_back(values.lookup(operand));
      if (--uses[operand] == 0)
        values.erase(operand);
    }
    auto evaluable = dyn_cast<ef::EvaluableOpInterface>(op);
    if (!evaluable || failed(evaluable.evaluate(operands, results)))
      return makeError("cannot evaluate " + op.getName().getStringRef());
    for (auto [result, tensor] : llvm::zip_equal(op.getResults(), results))
      define(result, tensor);
    if (!tensorsDir.empty() && !results.empty())
      if (Error error = keepTensor(op, results.front()))
        return error;
  }
  std::vector<HostTensor> outputs;
  for (Value value : body.getTerminator()->getOperands())
    outputs.push_back(values.lookup(value));
  return outputs;
}

static std::string getName(func::FuncOp function, unsigned index,
                           bool isResult) {
  auto name = isResult
                  ? function.getResultAttrOfType<StringAttr>(index, "ef.name")
                  : function.getArgAttrOfType<StringAttr>(index, "ef.name");
  return name ? name.str() : std::to_string(index);
}

//===--- One case of many ---===//

static Error runCase(MLIRContext &context, const std::string &folder) {
  std::string diagnostics;
  ScopedDiagnosticHandler capture(&context, [&](Diagnostic &diagnostic) {
    diagnostics += (diagnostics.empty() ? "" : "\n") + diagnostic.str();
    return success();
  });
  OwningOpRef<ModuleOp> module =
      importOnnx(context, folder + "/model.onnx", ImportOptions());
  if (!module)
    return makeError(diagnostics);
  auto function = module->lookupSymbol<func::FuncOp>("main");
  std::vector<HostTensor> inputs;
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
    std::string name = "/input_" + std::to_string(index) + ".npy";
    Expected<HostTensor> tensor =
        readInput(folder + name, cast<RankedTensorType>(type));
    if (!tensor)
      return tensor.takeError();
    inputs.push_back(*tensor);
  }
  Expected<std::vector<HostTensor>> outputs = interpret(*module, inputs);
  if (!outputs)
    return makeError(llvm::toString(outputs.takeError()) + " " + diagnostics);
  for (auto [index, tensor] : llvm::enumerate(*outputs))
    if (Error error = writeOutput(
            folder + "/result_" + std::to_string(index) + ".npy", tensor))
      return error;
  return Error::success();
}

static Error runCases(MLIRContext &context) {
  std::error_code code;
  llvm::json::Object outcomes;
  std::vector<std::string> folders;
  for (llvm::sys::fs::directory_iterator entry(casesDir, code), end;
       entry != end && !code; entry.increment(code))
    if (llvm::sys::fs::exists(entry->path() + "/model.onnx"))
      folders.push_back(entry->path());
  if (code)
    return makeError("cannot read '" + casesDir + "': " + code.message());
  llvm::sort(folders);
  for (const std::string &folder : folders) {
    Error error = runCase(context, folder);
    std::string message = error ? llvm::toString(std::move(error)) : "";
    outcomes[llvm::sys::path::filename(folder)] = llvm::json::fixUTF8(message);
  }
  return llvm::writeToOutput(jsonPath, [&](llvm::raw_ostream &os) {
    os << llvm::formatv("{0:2}", llvm::json::Value(std::move(outcomes)))
       << '\n';
    return Error::success();
  });
}

//===--- One model ---===//

static OwningOpRef<ModuleOp> loadModel(MLIRContext &context,
                                       const ImportOptions &options) {
  if (StringRef(modelPath).ends_with(".mlir"))
    return parseSourceFile<ModuleOp>(modelPath, &context);
  return importOnnx(context, modelPath, options);
}

/// The file of each `name=file`.
static llvm::StringMap<std::string> parseFiles(ArrayRef<std::string> flags) {
  llvm::StringMap<std::string> files;
  for (StringRef flag : flags) {
    auto [name, file] = flag.split('=');
    files[name] = file.str();
  }
  return files;
}

static Expected<std::vector<HostTensor>> readInputs(func::FuncOp function) {
  llvm::StringMap<std::string> files = parseFiles(inputFlags);
  std::vector<HostTensor> inputs;
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
    std::string name = getName(function, index, false);
    if (!files.contains(name))
      return makeError("the input '" + name + "' has no value; give --input " +
                       name + "=x.npy");
    Expected<HostTensor> tensor =
        readInput(files[name], cast<RankedTensorType>(type));
    if (!tensor)
      return tensor.takeError();
    inputs.push_back(*tensor);
  }
  return inputs;
}

static Error createFolder(const std::string &path) {
  if (std::error_code code = llvm::sys::fs::create_directories(path))
    return makeError("cannot create '" + path + "': " + code.message());
  return Error::success();
}

static Error runModel(MLIRContext &context) {
  ImportOptions options;
  for (StringRef flag : dimFlags) {
    auto [name, value] = flag.rsplit('=');
    if (value.getAsInteger(10, options.dims[name]))
      return makeError("--dim=" + flag + ": expected name=value");
  }
  OwningOpRef<ModuleOp> module = loadModel(context, options);
  auto function =
      module ? module->lookupSymbol<func::FuncOp>("main") : func::FuncOp();
  if (!function)
    return makeError("the model was not read");
  Expected<std::vector<HostTensor>> inputs = readInputs(function);
  if (!inputs)
    return inputs.takeError();
  for (const std::string &folder :
       {outputDir.getValue(), tensorsDir.getValue()})
    if (!folder.empty())
      if (Error error = createFolder(folder))
        return error;
  Expected<std::vector<HostTensor>> outputs = interpret(*module, *inputs);
  if (!outputs)
    return outputs.takeError();
  llvm::StringMap<std::string> references = parseFiles(referenceFlags);
  for (auto [index, tensor] : llvm::enumerate(*outputs)) {
    std::string name = getName(function, index, true), file = name;
    std::replace(file.begin(), file.end(), '/', '_');
    if (Error error = writeOutput(outputDir + "/" + file + ".npy", tensor))
      return error;
    if (auto found = references.find(name); found != references.end())
      if (Error error = compare(name, found->second, tensor))
        return error;
  }
  return Error::success();
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv, "efc-interpret runs a model by reference evaluation.\n");
  if (modelPath.empty() == casesDir.empty()) {
    llvm::WithColor::error(llvm::errs(), "efc-interpret")
        << "give one model, or --cases\n";
    return 1;
  }
  MLIRContext context;
  context.loadDialect<ef::EfDialect>();
  Error error = casesDir.empty() ? runModel(context) : runCases(context);
  if (!error)
    return 0;
  llvm::WithColor::error(llvm::errs(), "efc-interpret")
      << llvm::toString(std::move(error)) << '\n';
  return 1;
}
