// kernel-bench FILE.mlir: compiles an `ef` module for one variant of the CPU
// target, runs its launches in this process on seeded random inputs, prints the
// time and rate of each beside the peak of a loop of multiply-adds in
// registers, and compares the results with the reference evaluation.
//
// The kernels' workbench: no ONNX, no artifact, no runtime. Weights are
// ef.weight "any" from "random.bin", which the tool makes (seeded normal
// numbers times 0.05). Quantised inputs are uniform over their integers or,
// with
// --normal, normal with a limit of 5.5 standard deviations, as activations of a
// calibrated model are; speed may depend on it. Exits with 1 if a result's SQNR
// is below --min-sqnr or, with --exact, a bit differs.
#include "benchmarks/kernels/PeakRate.h"
#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"
#include "targets/cpu/Aliases.h"
#include "targets/cpu/ObjectEmitter.h"
#include "targets/cpu/PackWeights.h"
#include "targets/cpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"

#include <atomic>
#include <cmath>
#include <ctime>
#include <dlfcn.h>
#include <random>
#include <thread>

using namespace mlir;
using namespace efc;
namespace cl = llvm::cl;

namespace {
/// The command line. A copy of its values, because linking the kernels (lld)
/// sets LLVM's option objects back to their defaults.
struct Settings {
  std::string inputFile, cpu = "host", saveObject;
  unsigned numThreads = 2, repeat = 5, seed = 1;
  double minSqnr = 90;
  bool skipCheck = false, winograd = true, bf16 = false, printIr = false,
       exact = false, largest = false, normal = false;
};
} // namespace

static Settings settings;

static void parseSettings(int argc, char **argv) {
  static cl::opt<std::string> inputFile(cl::Positional, cl::Required,
                                        cl::desc("<module>"));
  static cl::opt<std::string> cpu(
      "cpu", cl::init(settings.cpu),
      cl::desc("Machine to compile for (default: host)"));
  static cl::opt<std::string> saveObject(
      "save-object", cl::desc("Write the shared object here"));
  static cl::opt<unsigned> numThreads("num-threads",
                                      cl::init(settings.numThreads),
                                      cl::desc("Threads (default: 2)"));
  static cl::opt<unsigned> repeat(
      "repeat", cl::init(settings.repeat),
      cl::desc("Runs; the fastest counts (default: 5)"));
  static cl::opt<unsigned> seed(
      "seed", cl::init(settings.seed),
      cl::desc("Seed of inputs and weights (default: 1)"));
  static cl::opt<double> minSqnr("min-sqnr", cl::init(settings.minSqnr),
                                 cl::desc("Least SQNR in dB (default: 90)"));
  static cl::opt<bool> skipCheck("skip-check",
                                 cl::desc("Do not compare with the reference"));
  static cl::opt<bool> winograd("winograd", cl::init(true),
                                cl::desc("Allow Winograd (default: true)"));
  static cl::opt<bool> bf16("bf16", cl::desc("Pack weights as bf16"));
  static cl::opt<bool> exact("exact",
                             cl::desc("Fail where a bit differs from the "
                                      "reference"));
  static cl::opt<bool> largest(
      "largest", cl::desc("Quantised inputs at their limit, weights 0.05"));
  static cl::opt<bool> normal(
      "normal",
      cl::desc("Quantised inputs are normal numbers, not uniform ones"));
  static cl::opt<bool> printIr("print-ir", cl::desc("Print the kernels"));
  cl::ParseCommandLineOptions(argc, argv,
                              "times the CPU target's kernels on an ef module "
                              "and checks their results\n");
  settings = {inputFile, cpu,     saveObject, numThreads, repeat,
              seed,      minSqnr, skipCheck,  winograd,   bf16,
              printIr,   exact,   largest,    normal};
}

static LogicalResult fail(const llvm::Twine &message) {
  llvm::errs() << "kernel-bench: " << message << "\n";
  return failure();
}

/// Processor time of this thread: with one thread, what others do on the
/// machine does not count. Wall time otherwise.
static double seconds() {
  timespec now;
  clock_gettime(settings.numThreads == 1 ? CLOCK_THREAD_CPUTIME_ID
                                         : CLOCK_MONOTONIC,
                &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

static ef::HostTensor randomTensor(RankedTensorType type,
                                   std::mt19937 &random) {
  ef::HostTensor tensor(type);
  std::normal_distribution<float> normal;
  std::optional<ef::ActivationFormat> format = ef::getActivationFormat(type);
  for (int64_t i = 0; i < tensor.getNumElements(); ++i)
    if (format && settings.largest)
      tensor.setInt(i, format->limit);
    else if (format && settings.normal)
      tensor.setInt(i,
                    std::lround(std::clamp(normal(random) / 5.5f, -1.f, 1.f) *
                                static_cast<float>(format->limit)));
    else if (format)
      tensor.setInt(i,
                    static_cast<int64_t>(random() % (2 * format->limit + 1)) -
                        format->limit);
    else if (isa<FloatType>(type.getElementType()))
      tensor.setFloat(i, normal(random));
    else
      tensor.setInt(i, static_cast<int64_t>(random() % 2));
  return tensor;
}

/// A folder with random.bin, as large as the weights of `main` need.
static llvm::Expected<std::string> makeWeights(func::FuncOp main) {
  uint64_t bytes = 0;
  main.walk([&](ef::WeightOp op) {
    auto type = cast<RankedTensorType>(op.getType());
    bytes = std::max<uint64_t>(
        bytes, op.getOffset() + type.getNumElements() *
                                    ef::getElementBytes(type.getElementType()));
  });
  SmallString<128> folder;
  if (std::error_code error =
          llvm::sys::fs::createUniqueDirectory("kernel-bench", folder))
    return llvm::createStringError("cannot make a temporary folder: " +
                                   error.message());
  std::error_code error;
  llvm::raw_fd_ostream file((folder + "/random.bin").str(), error);
  std::mt19937 random(settings.seed);
  std::normal_distribution<float> normal(0, 0.05f);
  for (uint64_t i = 0; i < bytes; i += sizeof(float)) {
    float value = settings.largest ? 0.05f : normal(random);
    file.write(reinterpret_cast<const char *>(&value), sizeof(value));
  }
  return folder.str().str();
}

/// 10 log10(signal / noise); infinite where nothing differs, minus infinity for
/// NaN.
static double sqnr(const ef::HostTensor &expected,
                   const ef::HostTensor &actual) {
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < expected.getNumElements(); ++i) {
    double want = expected.getFloat(i), difference = want - actual.getFloat(i);
    signal += want * want;
    noise += difference * difference;
  }
  if (std::isnan(noise))
    return -INFINITY;
  return noise == 0 ? INFINITY : 10 * std::log10(signal / noise);
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

using Kernel = void (*)(void *const *tensors, void *scratch, int64_t begin,
                        int64_t end);

namespace {
class Runner {
public:
  Runner(void *library, ef::WeightStore &store)
      : library(library), store(store) {}

  LogicalResult run(func::FuncOp main, ArrayRef<ef::HostTensor> inputs) {
    for (auto [argument, tensor] : llvm::zip_equal(main.getArguments(), inputs))
      tensors[argument] = tensor;
    for (cpu::DispatchOp dispatch : main.getOps<cpu::DispatchOp>())
      if (failed(runDispatch(dispatch)))
        return failure();
    return success();
  }

  ef::HostTensor &get(Value value) { return tensors[cpu::getAliasRoot(value)]; }
  double totalSeconds = 0;

private:
  LogicalResult runDispatch(cpu::DispatchOp dispatch) {
    SmallVector<void *> pointers;
    for (Value operand : dispatch.getInputs()) {
      Value root = cpu::getAliasRoot(operand);
      if (!tensors.count(root)) {
        llvm::Expected<ef::HostTensor> constant =
            cpu::evaluateConstant(root, store);
        if (!constant)
          return fail(llvm::toString(constant.takeError()));
        tensors[root] = *constant;
      }
      pointers.push_back(const_cast<char *>(tensors[root].getBytes().data()));
    }
    for (Value result : dispatch.getResults()) {
      tensors[result] =
          ef::HostTensor(cast<RankedTensorType>(result.getType()));
      // Results start as NaN, so that what a kernel leaves out shows.
      MutableArrayRef<char> bytes = tensors[result].getMutableBytes();
      std::fill(bytes.begin(), bytes.end(), '\xff');
      pointers.push_back(bytes.data());
    }
    auto kernel = reinterpret_cast<Kernel>(
        dlsym(library, dispatch.getKernel().str().c_str()));
    if (!kernel)
      return fail("no kernel '" + dispatch.getKernel() + "'");
    double best = INFINITY;
    for (unsigned i = 0; i < settings.repeat; ++i)
      best = std::min(best, launch(kernel, pointers, dispatch));
    totalSeconds += best;
    double rate = dispatch.getMacs() / best;
    llvm::outs() << llvm::formatv(
        "{0,-28} {1,9:f3} ms {2,8:f1} GMAC/s {3,6:f1}% of peak  {4} items\n",
        dispatch.getOp(), best * 1e3, rate / 1e9,
        100 * rate / (peak * settings.numThreads), dispatch.getWork());
    return success();
  }

  double launch(Kernel kernel, ArrayRef<void *> pointers,
                cpu::DispatchOp dispatch) {
    std::atomic<int64_t> next = 0;
    int64_t work = dispatch.getWork(),
            grain = std::max<int64_t>(1, work / (8 * settings.numThreads));
    auto body = [&] {
      std::vector<char> memory(dispatch.getScratch() + 64);
      void *scratch = reinterpret_cast<void *>(
          (reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
      for (int64_t begin; (begin = next.fetch_add(grain)) < work;)
        kernel(pointers.data(), scratch, begin, std::min(work, begin + grain));
    };
    double start = seconds();
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < settings.numThreads; ++i)
      threads.emplace_back(body);
    body();
    for (std::thread &thread : threads)
      thread.join();
    return seconds() - start;
  }

  void *library;
  ef::WeightStore &store;
  DenseMap<Value, ef::HostTensor> tensors;
  double peak = measurePeakMultiplyAdds();
};
} // namespace

static llvm::Expected<void *> compileAndLoad(ModuleOp module,
                                             const cpu::CpuVariant &variant) {
  OwningOpRef<ModuleOp> kernels(module.clone());
  kernels->lookupSymbol<func::FuncOp>("main").erase();
  if (settings.printIr)
    kernels->print(llvm::outs());
  PassManager pm(module.getContext());
  cpu::buildKernelLoweringPipeline(pm);
  if (failed(pm.run(*kernels)))
    return llvm::createStringError("the kernels could not be lowered");
  llvm::Expected<cpu::LlvmModule> llvmModule =
      cpu::translateKernels(*kernels, variant);
  if (!llvmModule)
    return llvmModule.takeError();
  llvm::Expected<std::vector<char>> object =
      cpu::emitSharedObject(*llvmModule, variant);
  if (!object)
    return object.takeError();
  SmallString<128> path(settings.saveObject);
  bool temporary = path.empty();
  if (temporary)
    llvm::sys::fs::createTemporaryFile("kernel-bench", "so", path);
  {
    std::error_code error;
    llvm::raw_fd_ostream file(path, error);
    if (error)
      return llvm::createStringError("cannot write " + path + ": " +
                                     error.message());
    file.write(object->data(), object->size());
  }
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (temporary)
    llvm::sys::fs::remove(path);
  if (!library)
    return llvm::createStringError(std::string("cannot load the kernels: ") +
                                   dlerror());
  return library;
}

/// The original module by reference evaluation, value by value.
static LogicalResult compare(func::FuncOp original, func::FuncOp lowered,
                             ArrayRef<ef::HostTensor> inputs, Runner &runner,
                             ef::WeightStore &store) {
  DenseMap<Value, ef::HostTensor> values;
  for (auto [argument, tensor] :
       llvm::zip_equal(original.getArguments(), inputs))
    values[argument] = tensor;
  for (Operation &op : original.getBody().front().without_terminator()) {
    if (auto weight = dyn_cast<ef::WeightOp>(op)) {
      llvm::Expected<ef::HostTensor> tensor = store.get(weight);
      if (!tensor)
        return fail(llvm::toString(tensor.takeError()));
      values[weight] = *tensor;
      continue;
    }
    SmallVector<ef::HostTensor> operands, results;
    for (Value operand : op.getOperands())
      operands.push_back(values[operand]);
    if (failed(cast<ef::EvaluableOpInterface>(op).evaluate(operands, results)))
      return failure();
    for (auto [result, tensor] : llvm::zip_equal(op.getResults(), results))
      values[result] = tensor;
  }
  bool good = true;
  auto expected = original.getBody().front().getTerminator()->getOperands();
  auto actual = lowered.getBody().front().getTerminator()->getOperands();
  for (auto [want, have] : llvm::zip_equal(expected, actual)) {
    double decibels = sqnr(values[want], runner.get(have));
    bool isEqual = values[want].getBytes() == runner.get(have).getBytes();
    llvm::outs() << llvm::formatv("SQNR {0:f1} dB{1} (seed {2})\n", decibels,
                                  isEqual ? ", equal" : "", settings.seed);
    good &= settings.exact ? isEqual : decibels >= settings.minSqnr;
  }
  return success(good);
}

static LogicalResult runFile() {
  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registry.insert<ef::EfDialect, cpu::CpuDialect>();
  cpu::initializeObjectEmission(registry);
  MLIRContext context(registry);
  auto original = parseSourceFile<ModuleOp>(settings.inputFile, &context);
  if (!original)
    return failure();
  llvm::Expected<std::vector<cpu::CpuVariant>> variants =
      cpu::selectVariants(settings.cpu);
  if (!variants)
    return fail(llvm::toString(variants.takeError()));
  auto main = original->lookupSymbol<func::FuncOp>("main");
  llvm::Expected<std::string> folder = makeWeights(main);
  if (!folder)
    return fail(llvm::toString(folder.takeError()));
  ef::WeightStore store(*folder);

  OwningOpRef<ModuleOp> lowered(original->clone());
  PassManager pm(&context);
  pm.addPass(cpu::createEfcCpuLowerToDispatches(
      {variants->front().name, settings.winograd, settings.bf16}));
  double start = seconds();
  if (failed(pm.run(*lowered)))
    return failure();
  llvm::Expected<void *> library = compileAndLoad(*lowered, variants->front());
  if (!library)
    return fail(llvm::toString(library.takeError()));
  double compiled = seconds() - start;

  std::mt19937 random(settings.seed + 1);
  SmallVector<ef::HostTensor> inputs;
  for (Type type : main.getArgumentTypes())
    inputs.push_back(randomTensor(cast<RankedTensorType>(type), random));
  Runner runner(*library, store);
  auto loweredMain = lowered->lookupSymbol<func::FuncOp>("main");
  LogicalResult result = runner.run(loweredMain, inputs);
  llvm::outs() << llvm::formatv("{0,-28} {1,9:f3} ms; compiled in {2:f0} ms\n",
                                "total", runner.totalSeconds * 1e3,
                                compiled * 1e3);
  if (succeeded(result) && !settings.skipCheck)
    result = compare(main, loweredMain, inputs, runner, store);
  llvm::sys::fs::remove_directories(*folder);
  return result;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  parseSettings(argc, argv);
  return succeeded(runFile()) ? 0 : 1;
}
