// See QuantizedModel.h: reference evaluation against compiled code.
#include "test/unit/cpu/QuantizedModel.h"

#include "compiler/pipeline/Compiler.h"
#include "dialects/ef/Quantized.h"
#include "efrt/Session.h"
#include "test/unit/ef/Evaluation.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"

using namespace efc;
using namespace efc::test;
using mlir::RankedTensorType;

static Tensors drawInputs(mlir::func::FuncOp function, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Tensors tensors;
  for (mlir::Type type : function.getArgumentTypes()) {
    ef::HostTensor tensor(llvm::cast<RankedTensorType>(type));
    auto format = ef::getActivationFormat(type);
    for (int64_t i = 0; i < tensor.getNumElements(); ++i) {
      if (!format) {
        tensor.setFloat(i, normal(random));
        continue;
      }
      int64_t limit = format->limit, draw = random() % 64;
      int64_t value = static_cast<int64_t>(random() % (2 * limit + 1)) - limit;
      tensor.setInt(i, draw == 0 ? limit : draw == 1 ? -limit : value);
    }
    tensors.push_back(tensor);
  }
  return tensors;
}

static void expectEqual(const ef::HostTensor &expected,
                        std::span<const std::byte> actual, size_t index) {
  ASSERT_EQ(expected.getBytes().size(), actual.size());
  if (std::memcmp(expected.getBytes().data(), actual.data(), actual.size()) ==
      0)
    return;
  ef::HostTensor tensor = ef::HostTensor::borrow(
      expected.getType(),
      {reinterpret_cast<const char *>(actual.data()), actual.size()});
  int64_t differing = 0, first = -1;
  for (int64_t i = 0; i < expected.getNumElements(); ++i) {
    double want = expected.getFloat(i), have = tensor.getFloat(i);
    // What NaN a NaN is, is left open.
    if ((want == have && std::signbit(want) == std::signbit(have)) ||
        (std::isnan(want) && std::isnan(have)))
      continue;
    first = first < 0 ? i : first;
    ++differing;
  }
  if (differing > 0)
    ADD_FAILURE() << "output " << index << ": " << differing << " of "
                  << expected.getNumElements() << " elements differ, first "
                  << first << ": expected " << expected.getFloat(first)
                  << ", got " << tensor.getFloat(first);
}

static void runAndCompare(const std::string &artifact, unsigned threads,
                          const Tensors &inputs, const Tensors &expected) {
  efrt::SessionOptions options;
  options.threads = threads;
  auto session = efrt::Session::load(artifact, options);
  ASSERT_TRUE(session.ok()) << session.status().message();
  for (auto [index, tensor] : llvm::enumerate(inputs))
    ASSERT_TRUE((*session)
                    ->setInput(index, std::as_bytes(
                                          std::span(tensor.getBytes().data(),
                                                    tensor.getBytes().size())))
                    .ok());
  efrt::Status status = (*session)->run();
  ASSERT_TRUE(status.ok()) << status.message();
  for (auto [index, tensor] : llvm::enumerate(expected))
    expectEqual(tensor, (*session)->outputBuffer(index), index);
}

void efc::test::expectEqualBits(QuantizedModel &model, unsigned seed,
                                size_t *numKernels) {
  std::string text = model.text();
  SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + text.substr(0, 20000));
  mlir::DialectRegistry registry;
  registerAll(registry);
  mlir::MLIRContext context(registry);
  context.getOrLoadDialect<ef::EfDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  auto function = module->lookupSymbol<mlir::func::FuncOp>("main");
  Tensors inputs = drawInputs(function, seed);
  mlir::FailureOr<Tensors> expected = evaluate(function, inputs);
  ASSERT_TRUE(mlir::succeeded(expected));

  llvm::SmallString<128> source, artifact;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("efc-cpu", "mlir", source));
  llvm::FileRemover removeSource(source);
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("efc-cpu", "efa", artifact));
  llvm::FileRemover removeArtifact(artifact);
  ASSERT_FALSE(
      static_cast<bool>(llvm::writeToOutput(source, [&](llvm::raw_ostream &os) {
        os << text;
        return llvm::Error::success();
      })));
  CompileOptions options;
  options.from = Phase::Fused;
  options.cpu = "host";
  CompileReport report;
  ASSERT_TRUE(
      mlir::succeeded(compile(context, source, artifact, options, report)));
  if (numKernels)
    *numKernels = report.numKernels;
  for (unsigned threads : {1u, 2u})
    runAndCompare(artifact.str().str(), threads, inputs, *expected);
}
