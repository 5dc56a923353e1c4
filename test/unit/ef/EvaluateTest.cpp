// Reference evaluation of the computing operations: values worked out by hand
// or by a second, simpler formula. (ONNX's own cases run in test/conformance;
// here is what ONNX does not have.)
#include "test/unit/ef/Evaluation.h"

using namespace mlir;
using namespace efc;
using namespace efc::test;

static constexpr unsigned seed = 20240411;

class EvaluateTest : public ::testing::Test {
protected:
  EvaluateTest() { RecordProperty("seed", seed); }

  /// Evaluates both texts on the same seeded arguments and compares the first
  /// results.
  void expectEqual(StringRef text, StringRef reference) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto module = parseSourceString<ModuleOp>(text, context.get());
    ASSERT_TRUE(module);
    Tensors arguments =
        makeArguments(*module->getOps<func::FuncOp>().begin(), seed);
    expectNear(toVector(run(*context, text, arguments)[0]),
               toVector(run(*context, reference, arguments)[0]), 1e-6);
  }

  std::unique_ptr<MLIRContext> context = makeContext();
};

TEST_F(EvaluateTest, ConvChannelsLastEqualsTransposedChannelsFirst) {
  expectEqual(R"mlir(
    func.func @f(%x: tensor<2x4x5x3xf32>, %w: tensor<6x2x3x2xf32>) -> tensor<2x6x3x3xf32> {
      %0 = ef.conv %x, %w {strides = array<i64: 2, 1>, pads = array<i64: 1, 0, 2, 2>, dilations = array<i64: 1, 2>, groups = 2} : (tensor<2x4x5x3xf32>, tensor<6x2x3x2xf32>) -> tensor<2x6x3x3xf32>
      return %0 : tensor<2x6x3x3xf32>
    })mlir",
              R"mlir(
    func.func @f(%x: tensor<2x4x5x3xf32>, %w: tensor<6x2x3x2xf32>) -> tensor<2x6x3x3xf32> {
      %t = ef.transpose %x {permutation = array<i64: 0, 2, 3, 1>} : (tensor<2x4x5x3xf32>) -> tensor<2x5x3x4xf32>
      %0 = ef.conv %t, %w {strides = array<i64: 2, 1>, pads = array<i64: 1, 0, 2, 2>, dilations = array<i64: 1, 2>, groups = 2, layout = #ef<layout channels_last>} : (tensor<2x5x3x4xf32>, tensor<6x2x3x2xf32>) -> tensor<2x3x3x6xf32>
      %1 = ef.transpose %0 {permutation = array<i64: 0, 3, 1, 2>} : (tensor<2x3x3x6xf32>) -> tensor<2x6x3x3xf32>
      return %1 : tensor<2x6x3x3xf32>
    })mlir");
}

TEST_F(EvaluateTest, ConvOfOneWindowIsADotProduct) {
  Tensors arguments = {
      test::makeTensor(*context, {1, 1, 2, 2}, {1, 2, 3, 4}),
      test::makeTensor(*context, {1, 1, 2, 2}, {10, 20, 30, 40})};
  // The padding of one at the beginning leaves the filter's last element alone
  // with the input's first.
  Tensors results = run(*context, R"mlir(
    func.func @f(%x: tensor<1x1x2x2xf32>, %w: tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32> {
      %0 = ef.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x2x2xf32>, tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32>
      return %0 : tensor<1x1x2x2xf32>
    })mlir",
                        arguments);
  expectNear(toVector(results[0]), {40, 30 + 80, 20 + 120, 300}, 0);
}

TEST_F(EvaluateTest, ConvTransposeScattersTheFilter) {
  Tensors arguments = {test::makeTensor(*context, {1, 1, 2}, {1, 10}),
                       test::makeTensor(*context, {1, 1, 3}, {1, 2, 3})};
  Tensors results = run(*context, R"mlir(
    func.func @f(%x: tensor<1x1x2xf32>, %w: tensor<1x1x3xf32>) -> tensor<1x1x6xf32> {
      %0 = ef.conv_transpose %x, %w {strides = array<i64: 2>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, output_padding = array<i64: 1>} : (tensor<1x1x2xf32>, tensor<1x1x3xf32>) -> tensor<1x1x6xf32>
      return %0 : tensor<1x1x6xf32>
    })mlir",
                        arguments);
  expectNear(toVector(results[0]), {1, 2, 13, 20, 30, 0}, 0);
}

TEST_F(EvaluateTest, AttentionEqualsItsParts) {
  // Two heads, each a slice of the columns; compared for the second one alone.
  expectEqual(R"mlir(
    func.func @f(%q: tensor<1x3x4xf32>, %k: tensor<1x5x4xf32>, %v: tensor<1x5x4xf32>) -> tensor<1x3x2xf32> {
      %0 = ef.attention %q, %k, %v {heads = 2, kv_heads = 2, scale = 0.5 : f64} : (tensor<1x3x4xf32>, tensor<1x5x4xf32>, tensor<1x5x4xf32>) -> tensor<1x3x4xf32>
      %1 = ef.slice %0 {starts = array<i64: 0, 0, 2>, steps = array<i64: 1, 1, 1>} : (tensor<1x3x4xf32>) -> tensor<1x3x2xf32>
      return %1 : tensor<1x3x2xf32>
    })mlir",
              R"mlir(
    func.func @f(%q: tensor<1x3x4xf32>, %k: tensor<1x5x4xf32>, %v: tensor<1x5x4xf32>) -> tensor<1x3x2xf32> {
      %c = ef.constant dense<0.5> : tensor<f32>
      %q1 = ef.slice %q {starts = array<i64: 0, 0, 2>, steps = array<i64: 1, 1, 1>} : (tensor<1x3x4xf32>) -> tensor<1x3x2xf32>
      %k1 = ef.slice %k {starts = array<i64: 0, 0, 2>, steps = array<i64: 1, 1, 1>} : (tensor<1x5x4xf32>) -> tensor<1x5x2xf32>
      %v1 = ef.slice %v {starts = array<i64: 0, 0, 2>, steps = array<i64: 1, 1, 1>} : (tensor<1x5x4xf32>) -> tensor<1x5x2xf32>
      %0 = ef.matmul %q1, %k1 {transpose_b} : (tensor<1x3x2xf32>, tensor<1x5x2xf32>) -> tensor<1x3x5xf32>
      %1 = ef.binary mul %0, %c : (tensor<1x3x5xf32>, tensor<f32>) -> tensor<1x3x5xf32>
      %2 = ef.softmax %1 {axis = 2} : (tensor<1x3x5xf32>) -> tensor<1x3x5xf32>
      %3 = ef.matmul %2, %v1 : (tensor<1x3x5xf32>, tensor<1x5x2xf32>) -> tensor<1x3x2xf32>
      return %3 : tensor<1x3x2xf32>
    })mlir");
}

TEST_F(EvaluateTest, AttentionWithoutKeysIsZero) {
  // Causal with two keys less than queries: the first two rows keep none.
  Tensors arguments = {test::makeTensor(*context, {1, 3, 1}, {1, 2, 3}),
                       test::makeTensor(*context, {1, 1, 1}, {1}),
                       test::makeTensor(*context, {1, 1, 1}, {7})};
  Tensors results = run(*context, R"mlir(
    func.func @f(%q: tensor<1x3x1xf32>, %k: tensor<1x1x1xf32>, %v: tensor<1x1x1xf32>) -> tensor<1x3x1xf32> {
      %0 = ef.attention %q, %k, %v {heads = 1, kv_heads = 1, scale = 1.0 : f64, causal} : (tensor<1x3x1xf32>, tensor<1x1x1xf32>, tensor<1x1x1xf32>) -> tensor<1x3x1xf32>
      return %0 : tensor<1x3x1xf32>
    })mlir",
                        arguments);
  expectNear(toVector(results[0]), {0, 0, 7}, 0);
}

TEST_F(EvaluateTest, BooleanMaskEqualsAdditiveMask) {
  expectEqual(R"mlir(
    func.func @f(%q: tensor<2x3x4xf32>, %k: tensor<2x5x2xf32>, %v: tensor<2x5x6xf32>, %m: tensor<3x5xi1>) -> tensor<2x3x12xf32> {
      %0 = ef.attention %q, %k, %v mask %m {heads = 2, kv_heads = 1, scale = 0.7 : f64} : (tensor<2x3x4xf32>, tensor<2x5x2xf32>, tensor<2x5x6xf32>, tensor<3x5xi1>) -> tensor<2x3x12xf32>
      return %0 : tensor<2x3x12xf32>
    })mlir",
              R"mlir(
    func.func @f(%q: tensor<2x3x4xf32>, %k: tensor<2x5x2xf32>, %v: tensor<2x5x6xf32>, %m: tensor<3x5xi1>) -> tensor<2x3x12xf32> {
      %zero = ef.constant dense<0.0> : tensor<f32>
      %low = ef.constant dense<0xFF800000> : tensor<f32>
      %mf = ef.select %m, %zero, %low : (tensor<3x5xi1>, tensor<f32>, tensor<f32>) -> tensor<3x5xf32>
      %0 = ef.attention %q, %k, %v mask %mf {heads = 2, kv_heads = 1, scale = 0.7 : f64} : (tensor<2x3x4xf32>, tensor<2x5x2xf32>, tensor<2x5x6xf32>, tensor<3x5xf32>) -> tensor<2x3x12xf32>
      return %0 : tensor<2x3x12xf32>
    })mlir");
}

TEST_F(EvaluateTest, GegluAndTimestepEmbedding) {
  Tensors gated = run(*context, R"mlir(
    func.func @f(%x: tensor<1x4xf32>) -> tensor<1x2xf32> {
      %0 = ef.geglu %x {activation = #ef<unary relu>} : (tensor<1x4xf32>) -> tensor<1x2xf32>
      return %0 : tensor<1x2xf32>
    })mlir",
                      {test::makeTensor(*context, {1, 4}, {2, 3, 5, -7})});
  expectNear(toVector(gated[0]), {10, 0}, 0);

  Tensors embedded = run(*context, R"mlir(
    func.func @f(%t: tensor<1xf32>, %f: tensor<2xf32>) -> tensor<1x4xf32> {
      %0 = ef.timestep_embedding %t, %f {scale = 2.0 : f64, flip} : (tensor<1xf32>, tensor<2xf32>) -> tensor<1x4xf32>
      return %0 : tensor<1x4xf32>
    })mlir",
                         {test::makeTensor(*context, {1}, {3}),
                          test::makeTensor(*context, {2}, {1, 0.5})});
  expectNear(toVector(embedded[0]),
             {std::cos(6), std::cos(3), std::sin(6), std::sin(3)}, 1e-6);
}

TEST_F(EvaluateTest, IntegerDivisionByZeroIsADiagnostic) {
  auto module = parseSourceString<ModuleOp>(R"mlir(
    func.func @f(%x: tensor<2xi32>, %y: tensor<2xi32>) -> tensor<2xi32> {
      %0 = ef.binary div %x, %y : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi32>
      return %0 : tensor<2xi32>
    })mlir",
                                            context.get());
  auto type = RankedTensorType::get({2}, IntegerType::get(context.get(), 32));
  std::string message;
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
    message = diagnostic.str();
  });
  auto results = evaluate(*module->getOps<func::FuncOp>().begin(),
                          {ef::HostTensor(type), ef::HostTensor(type)});
  EXPECT_TRUE(failed(results));
  EXPECT_NE(message.find("integer division by zero"), std::string::npos)
      << message;
}

TEST_F(EvaluateTest, IntegersWrapAroundAndDivideAsOnnxSays) {
  auto type = RankedTensorType::get({3}, IntegerType::get(context.get(), 8));
  ef::HostTensor a(type), b(type);
  for (auto [i, x, y] : {std::tuple(0, -128, -1), std::tuple(1, -7, 3),
                         std::tuple(2, 100, 100)}) {
    a.setInt(i, x);
    b.setInt(i, y);
  }
  auto compute = [&](StringRef kind) {
    std::string text = ("func.func @f(%x: tensor<3xi8>, %y: tensor<3xi8>) -> "
                        "tensor<3xi8> {\n%0 = ef.binary " +
                        kind +
                        " %x, %y : (tensor<3xi8>, tensor<3xi8>) -> "
                        "tensor<3xi8>\nreturn %0 : tensor<3xi8>\n}")
                           .str();
    return toVector(run(*context, text, {a, b})[0]);
  };
  EXPECT_EQ(compute("div"), std::vector<double>({-128, -2, 1}));
  EXPECT_EQ(compute("mod"), std::vector<double>({0, 2, 0}));
  EXPECT_EQ(compute("fmod"), std::vector<double>({0, -1, 0}));
  EXPECT_EQ(compute("add"), std::vector<double>({127, -4, -56}));
}
