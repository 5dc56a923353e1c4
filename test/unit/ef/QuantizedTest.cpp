// Reference evaluation of quantised kernels: values worked out by hand, extreme
// ones, and the float operation on the same integers.
#include "dialects/ef/Quantized.h"
#include "test/unit/ef/Evaluation.h"

using namespace mlir;
using namespace efc;
using namespace efc::test;

static constexpr unsigned seed = 20261123;

class QuantizedTest : public ::testing::Test {
protected:
  QuantizedTest() { RecordProperty("seed", seed); }

  /// A tensor of stored integers.
  ef::HostTensor integers(ArrayRef<int64_t> shape, float scale, int32_t limit,
                          llvm::function_ref<int64_t(int64_t)> value) {
    ef::HostTensor tensor(RankedTensorType::get(
        shape, ef::makeActivationType(context.get(), scale, limit)));
    for (int64_t i = 0; i < tensor.getNumElements(); ++i)
      tensor.setInt(i, value(i));
    return tensor;
  }
  ef::HostTensor floats(ArrayRef<int64_t> shape,
                        llvm::function_ref<double(int64_t)> value) {
    ef::HostTensor tensor(
        RankedTensorType::get(shape, Float32Type::get(context.get())));
    for (int64_t i = 0; i < tensor.getNumElements(); ++i)
      tensor.setFloat(i, value(i));
    return tensor;
  }
  std::vector<double> evaluate(StringRef text, const Tensors &arguments) {
    return toVector(run(*context, text, arguments)[0]);
  }

  std::unique_ptr<MLIRContext> context = makeContext();
  std::mt19937 generator{seed};
};

TEST_F(QuantizedTest, MatmulScalesTheExactSum) {
  // Scales 0.5 and {0.25, 2, 1 (zeros)}: 1000 * 100 - 2000 * 127 = -154000.
  Tensors arguments = {integers({1, 2}, 0.5f, 32767,
                                [](int64_t i) { return i == 0 ? 1000 : 2000; }),
                       floats({2, 3}, [](int64_t i) {
                         return std::vector{
                             25.0, 254.0, 0.0, -31.75, 2.0, 0.0}[i];
                       })};
  std::vector<double> result = evaluate(R"mlir(
    !w = !quant.uniform<i8<-127:127>:f32:1, {0.25, 2.0, 1.0}>
    func.func @f(%x: tensor<1x2x!quant.uniform<i16:f32, 0.5>>, %w: tensor<2x3xf32>) -> tensor<1x3xf32> {
      %q = quant.qcast %w : tensor<2x3xf32> to tensor<2x3x!w>
      %0 = ef.matmul %x, %q : (tensor<1x2x!quant.uniform<i16:f32, 0.5>>, tensor<2x3x!w>) -> tensor<1x3xf32>
      return %0 : tensor<1x3xf32>
    })mlir",
                                        arguments);
  expectNear(result, {-154000 * 0.125, (1000 * 127 + 2000 * 1) * 1.0, 0}, 0);
}

TEST_F(QuantizedTest, LargestSumsAreExact) {
  // 23040 * 32767 * 127 needs 37 bits; one product more or less must show.
  constexpr int64_t k = 23040;
  for (int64_t last : {32767, 32766}) {
    Tensors arguments = {
        integers({1, k}, 1.0f, 32767,
                 [&](int64_t i) { return i + 1 == k ? last : 32767; }),
        floats({1, k}, [](int64_t) { return 127.0; })};
    std::vector<double> result = evaluate(R"mlir(
      func.func @f(%x: tensor<1x23040x!quant.uniform<i16:f32, 1.0>>, %w: tensor<1x23040xf32>) -> tensor<1x1xf32> {
        %q = quant.qcast %w : tensor<1x23040xf32> to tensor<1x23040x!quant.uniform<i8<-127:127>:f32:0, {1.0}>>
        %0 = ef.matmul %x, %q {transpose_b} : (tensor<1x23040x!quant.uniform<i16:f32, 1.0>>, tensor<1x23040x!quant.uniform<i8<-127:127>:f32:0, {1.0}>>) -> tensor<1x1xf32>
        return %0 : tensor<1x1xf32>
      })mlir",
                                          arguments);
    int64_t sum = ((k - 1) * 32767 + last) * 127;
    EXPECT_EQ(result[0], static_cast<double>(static_cast<float>(sum)));
  }
}

TEST_F(QuantizedTest, ConvEqualsTheFloatOneOnIntegers) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  auto random = [&](int64_t limit) {
    return static_cast<int64_t>(generator() % (2 * limit + 1)) - limit;
  };
  std::vector<int64_t> input(2 * 7 * 6 * 4), filter(6 * 2 * 3 * 3);
  for (int64_t &q : input)
    q = random(8191);
  for (int64_t &q : filter)
    q = random(127);
  for (int64_t channel = 0; channel < 6; ++channel) {
    filter[channel * 18] = 127; // The scale is 1.
  }
  std::string attributes =
      "{strides = array<i64: 2, 1>, pads = array<i64: 1, 0, 2, 1>, dilations = "
      "array<i64: 1, 2>, groups = 2, layout = #ef<layout channels_last>}";
  auto at = [](const std::vector<int64_t> &values) {
    return [&](int64_t i) { return values[i]; };
  };
  auto filterTensor = floats(
      {6, 2, 3, 3}, [&](int64_t i) { return static_cast<double>(filter[i]); });
  std::vector<double> actual = evaluate(
      R"mlir(
    !x = !quant.uniform<i16<-8191:8191>:f32, 1.0>
    !w = !quant.uniform<i8<-127:127>:f32:0, {1.0, 1.0, 1.0, 1.0, 1.0, 1.0}>
    func.func @f(%x: tensor<2x7x6x4x!x>, %w: tensor<6x2x3x3xf32>) -> tensor<2x4x3x6xf32> {
      %q = quant.qcast %w : tensor<6x2x3x3xf32> to tensor<6x2x3x3x!w>
      %0 = ef.conv %x, %q )mlir" +
          attributes +
          R"mlir( : (tensor<2x7x6x4x!x>, tensor<6x2x3x3x!w>) -> tensor<2x4x3x6xf32>
      return %0 : tensor<2x4x3x6xf32>
    })mlir",
      {integers({2, 7, 6, 4}, 1.0f, 8191, at(input)), filterTensor});
  std::vector<double> expected = evaluate(
      R"mlir(
    func.func @f(%x: tensor<2x7x6x4xf32>, %w: tensor<6x2x3x3xf32>) -> tensor<2x4x3x6xf32> {
      %0 = ef.conv %x, %w )mlir" +
          attributes +
          R"mlir( : (tensor<2x7x6x4xf32>, tensor<6x2x3x3xf32>) -> tensor<2x4x3x6xf32>
      return %0 : tensor<2x4x3x6xf32>
    })mlir",
      {floats({2, 7, 6, 4},
              [&](int64_t i) { return static_cast<double>(input[i]); }),
       filterTensor});
  expectNear(actual, expected, 0);
}

TEST_F(QuantizedTest, AttentionIsNearTheFloatOne) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::normal_distribution<double> normal;
  auto draw = [&](int64_t) {
    return static_cast<int64_t>(
        std::clamp(normal(generator) * 1000, -4000.0, 4000.0));
  };
  Tensors stored, real;
  for (int64_t tokens : {5, 7, 7}) {
    stored.push_back(integers({2, tokens, 8}, 0.001f, 32767, draw));
    real.push_back(floats({2, tokens, 8}, [&](int64_t i) {
      return static_cast<double>(stored.back().getInt(i)) * 0.001f;
    }));
  }
  StringRef body = "{heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, "
                   "causal";
  std::string x = "tensor<2x5x8x!t>", y = "tensor<2x7x8x!t>",
              xf = "tensor<2x5x8xf32>", yf = "tensor<2x7x8xf32>";
  std::vector<double> actual = evaluate(
      "!t = !quant.uniform<i16:f32, 0.0010000000474974513>\nfunc.func @f(%q: " +
          x + ", %k: " + y + ", %v: " + y + ") -> " + xf +
          " {\n%0 = ef.attention %q, %k, %v " + body.str() +
          ", score_scale = 0.001 : f64} : (" + x + ", " + y + ", " + y +
          ") -> " + xf + "\nreturn %0 : " + xf + "\n}",
      stored);
  std::vector<double> expected = evaluate(
      "func.func @f(%q: " + xf + ", %k: " + yf + ", %v: " + yf + ") -> " + xf +
          " {\n%0 = ef.attention %q, %k, %v " + body.str() + "} : (" + xf +
          ", " + yf + ", " + yf + ") -> " + xf + "\nreturn %0 : " + xf + "\n}",
      real);
  expectNear(actual, expected, 2e-3);
}

TEST_F(QuantizedTest, NormsAreNearTheFloatOnes) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ef::HostTensor stored = integers({2, 3, 2, 8}, 0.01f, 32767, [&](int64_t i) {
    return static_cast<int64_t>(generator() % 2000) + 100;
  });
  ef::HostTensor real = floats({2, 3, 2, 8}, [&](int64_t i) {
    return static_cast<double>(stored.getInt(i)) * 0.01f;
  });
  Tensors factors = {floats({8}, [](int64_t i) { return 1 + 0.1 * i; }),
                     floats({8}, [](int64_t i) { return i - 4.0; })};
  std::string q = "tensor<2x3x2x8x!quant.uniform<i16:f32, 0.01>>",
              f = "tensor<2x3x2x8xf32>", v = "tensor<8xf32>";
  auto text = [&](const std::string &type, const std::string &op,
                  const std::string &types) {
    return "func.func @f(%x: " + type + ", %s: " + v + ", %b: " + v + ") -> " +
           f + " {\n%0 = " + op + " : (" + type + types + ") -> " + f +
           "\nreturn %0 : " + f + "\n}";
  };
  std::string vectors = ", " + v + ", " + v;
  for (std::string op :
       {"ef.group_norm %x, %s, %b {groups = 2 : i64, epsilon = 1.0e-5 : f64, "
        "layout = #ef<layout channels_last>}",
        "ef.layer_norm %x scale %s bias %b {axis = 3 : i64, epsilon = 1.0e-5 : "
        "f64}",
        "ef.layer_norm %x scale %s bias %b {axis = 3 : i64, epsilon = 1.0e-5 : "
        "f64, rms}"})
    expectNear(evaluate(text(q, op, vectors), {stored, factors[0], factors[1]}),
               evaluate(text(f, op, vectors), {real, factors[0], factors[1]}),
               1e-5);
}

TEST_F(QuantizedTest, KernelCastsResidualAndResult) {
  // 3 * 0.5 + (-4) * 0.25 = 0.5 -> SiLU 0.3112 -> / 0.125 = 2.49 -> 2.
  Tensors arguments = {integers({1}, 0.5f, 32767, [](int64_t) { return 3; }),
                       integers({1}, 0.25f, 32767, [](int64_t) { return -4; })};
  Tensors results = run(*context, R"mlir(
    !a = !quant.uniform<i16:f32, 0.5>
    !b = !quant.uniform<i16:f32, 0.25>
    !c = !quant.uniform<i16<-8191:8191>:f32, 0.125>
    func.func @f(%x: tensor<1x!a>, %y: tensor<1x!b>) -> tensor<1x!c> {
      %0 = ef.fused (%p = %x, %q = %y) : (tensor<1x!a>, tensor<1x!b>) -> tensor<1x!c> {
        %1 = quant.dcast %p : tensor<1x!a> to tensor<1xf32>
        %2 = quant.dcast %q : tensor<1x!b> to tensor<1xf32>
        %3 = ef.binary add %1, %2 : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
        %4 = ef.unary silu %3 : (tensor<1xf32>) -> tensor<1xf32>
        %5 = quant.qcast %4 : tensor<1xf32> to tensor<1x!c>
        ef.yield %5 : tensor<1x!c>
      }
      return %0 : tensor<1x!c>
    })mlir",
                        arguments);
  EXPECT_EQ(results[0].getInt(0), 2);
}

TEST_F(QuantizedTest, AveragePoolOfExtremes) {
  ef::HostTensor input = integers({1, 2, 2, 2}, 0.5f, 32767, [](int64_t i) {
    return i % 2 == 0 ? 32767 : std::vector{-1, 2, -3, 5}[i / 2];
  });
  std::vector<double> result = evaluate(R"mlir(
    func.func @f(%x: tensor<1x2x2x2x!quant.uniform<i16:f32, 0.5>>) -> tensor<1x1x1x2xf32> {
      %0 = ef.pool avg %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, counted_pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, layout = #ef<layout channels_last>} : (tensor<1x2x2x2x!quant.uniform<i16:f32, 0.5>>) -> tensor<1x1x1x2xf32>
      return %0 : tensor<1x1x1x2xf32>
    })mlir",
                                        {input});
  expectNear(result, {32767 * 0.5, 3 * 0.125}, 0);
}
