// What buildLayers() computes and efc-npu-print-layers does not show: formats,
// factors, extents of images, sizes and work.
#include "targets/exynos_npu/Layer.h"

#include "dialects/ef/EfDialect.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace efc;
using namespace efc::npu;
using efrt::DType;
using efrt::npu::Opcode;

namespace {

class Layers : public testing::Test {
protected:
  Layers() {
    context
        .loadDialect<ef::EfDialect, func::FuncDialect, quant::QuantDialect>();
  }
  LayerGraph build(const std::string &text, MltMode mlt = MltMode::Full) {
    module = parseSourceString<ModuleOp>(text, &context);
    EXPECT_TRUE(module);
    FailureOr<LayerGraph> graph =
        buildLayers(*module->getOps<func::FuncOp>().begin(), mlt);
    EXPECT_TRUE(succeeded(graph));
    return *graph;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

} // namespace

static const char *const kQuantizedConv = R"(
!x = tensor<1x4x6x2x!quant.uniform<i16<-8191:8191>:f32, 0.3>>
!y = tensor<1x2x3x3x!quant.uniform<i16:f32, 0.7>>
!w = tensor<3x2x3x3x!quant.uniform<i8<-127:127>:f32:0, {0.1, 0.2, 0.7}>>
func.func private @f(%x: !x) -> !y attributes {npu.partition} {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<3x2x3x3xf32>
  %q = quant.qcast %w : tensor<3x2x3x3xf32> to !w
  %0 = ef.fused (%x0 = %x, %q0 = %q) : (!x, !w) -> !y {
    %1 = ef.conv %x0, %q0 {dilations = array<i64: 1, 1>,
        layout = #ef<layout channels_last>, pads = array<i64: 1, 1, 0, 0>,
        strides = array<i64: 2, 2>} : (!x, !w) -> tensor<1x2x3x3xf32>
    %2 = quant.qcast %1 : tensor<1x2x3x3xf32> to !y
    ef.yield %2 : !y
  }
  return %0 : !y
})";

TEST_F(Layers, QuantizedConvolution) {
  LayerGraph graph = build(kQuantizedConv);
  ASSERT_EQ(graph.layers.size(), 1u);
  const Layer &layer = graph.layers[0];
  EXPECT_EQ(layer.kind, LayerKind::Conv);
  EXPECT_FALSE(layer.isPositionLocal());
  EXPECT_EQ(layer.macs, 6u * 3 * 9 * 2);
  EXPECT_EQ(layer.padTop, 1);
  EXPECT_EQ(layer.strideX, 2);

  const Tensor &input = graph.tensors[layer.inputs[0].tensor];
  EXPECT_EQ(input.dtype, DType::I16);
  EXPECT_EQ(input.scale, 0.3f);
  EXPECT_EQ(input.limit, 8191);
  EXPECT_EQ(input.height, 4);
  EXPECT_EQ(input.width, 6);
  EXPECT_EQ(input.input, 0);
  EXPECT_EQ(input.consumers, std::vector<int>{0});
  EXPECT_EQ(input.bytes(), 24 * 2 * 2);

  const Tensor &result = graph.tensors[layer.results[0]];
  EXPECT_EQ(result.scale, 0.7f);
  EXPECT_EQ(result.limit, 32767);
  EXPECT_EQ(result.output, 0);
  EXPECT_EQ(result.producer, 0);
  EXPECT_EQ(result.positions, 6);
  EXPECT_EQ(result.width, 3);

  const Constant &weights = graph.constants[layer.weights];
  EXPECT_EQ(weights.dtype, DType::I8);
  EXPECT_EQ(weights.layout, Constant::Layout::FilterNKC);
  EXPECT_EQ(weights.bytes(), 3 * 9 * 2);

  // f[n], rounded once to binary32, is all that the epilogue needs.
  ASSERT_EQ(layer.epilogue.operands.size(), 1u);
  const Constant &factors =
      graph.constants[layer.epilogue.operands[0].constant];
  EXPECT_EQ(factors.values,
            (std::vector<float>{0.3f * 0.1f, 0.3f * 0.2f, 0.3f * 0.7f}));
  ASSERT_EQ(layer.epilogue.code.size(), 2u);
  EXPECT_EQ(layer.epilogue.code[1].op, Opcode::Mul);
}

static const char *const kNorms = R"(
func.func private @f(%x: tensor<1x2x3x4xf16>) -> tensor<1x6x4xf16>
    attributes {npu.partition} {
  %g = ef.weight "g" from "m.onnx" at 0 : tensor<4xf32>
  %b = ef.weight "b" from "m.onnx" at 16 : tensor<4xf32>
  %0 = ef.group_norm %x, %g, %b {epsilon = 0.25 : f64, groups = 2 : i64,
      layout = #ef<layout channels_last>}
      : (tensor<1x2x3x4xf16>, tensor<4xf32>, tensor<4xf32>)
      -> tensor<1x2x3x4xf16>
  %1 = ef.reshape %0 : (tensor<1x2x3x4xf16>) -> tensor<1x6x4xf16>
  %2 = ef.layer_norm %1 scale %g {axis = 2 : i64, epsilon = 0.5 : f64}
      : (tensor<1x6x4xf16>, tensor<4xf32>) -> tensor<1x6x4xf16>
  return %2 : tensor<1x6x4xf16>
})";

TEST_F(Layers, Norms) {
  LayerGraph graph = build(kNorms);
  ASSERT_EQ(graph.layers.size(), 3u);
  const Layer &stats = graph.layers[0];
  EXPECT_EQ(stats.kind, LayerKind::GroupStats);
  EXPECT_FALSE(stats.isPositionLocal());
  EXPECT_EQ(stats.groups, 2);
  EXPECT_EQ(stats.epsilon, 0.25f);
  EXPECT_EQ(stats.results.size(), 2u);
  for (int result : stats.results) {
    EXPECT_EQ(graph.tensors[result].dtype, DType::F32);
    EXPECT_EQ(graph.tensors[result].channels, 4);
    EXPECT_EQ(graph.tensors[result].consumers, std::vector<int>{1});
  }
  EXPECT_TRUE(graph.layers[1].isPositionLocal());

  const Layer &norm = graph.layers[2];
  EXPECT_EQ(norm.kind, LayerKind::LayerNorm);
  EXPECT_EQ(norm.epsilon, 0.5f);
  EXPECT_EQ(norm.gamma.constant, stats.gamma.constant);
  // What the model leaves out is one and zero.
  EXPECT_EQ(graph.constants[norm.beta.constant].values,
            std::vector<float>(4, 0));
  EXPECT_EQ(graph.constants[norm.gamma.constant].bytes(), 16);
}

static const char *const kAttention = R"(
func.func private @f(%q: tensor<1x6x8xf16>, %k: tensor<1x5x8xf16>,
    %v: tensor<1x5x4xf16>) -> tensor<1x6x4xf16> attributes {npu.partition} {
  %0 = ef.attention %q, %k, %v
      {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
      : (tensor<1x6x8xf16>, tensor<1x5x8xf16>, tensor<1x5x4xf16>)
      -> tensor<1x6x4xf16>
  return %0 : tensor<1x6x4xf16>
})";

TEST_F(Layers, AttentionInOneLayerOrThree) {
  LayerGraph whole = build(kAttention, MltMode::Attention);
  ASSERT_EQ(whole.layers.size(), 1u);
  const Layer &one = whole.layers[0];
  EXPECT_EQ(one.macs, 2u * 6 * 5 * (4 + 2));
  EXPECT_EQ(one.inputs[1].use, OperandUse::Whole);
  // The sums stay inside.
  EXPECT_EQ(one.epilogue.operands[0].tensor, -1);
  EXPECT_EQ(one.epilogue.operands[0].constant, -1);

  LayerGraph parts = build(kAttention, MltMode::Off);
  ASSERT_EQ(parts.layers.size(), 3u);
  EXPECT_EQ(parts.layers[0].macs + parts.layers[2].macs, one.macs);
  const Tensor &scores = parts.tensors[parts.layers[0].results[0]];
  EXPECT_EQ(scores.positions, 2 * 6);
  EXPECT_EQ(scores.channels, 5);
  EXPECT_EQ(parts.tensors[parts.layers[1].results[1]].dtype, DType::F32);
  EXPECT_EQ(parts.layers[2].epilogue.operands[0].tensor,
            parts.layers[1].results[1]);
}

// Seventeen values at a time do not fit into the registers; sixteen do.
static std::string makeTower(int height) {
  std::string text = "func.func private @f(%x: tensor<4x8xf16>) -> "
                     "tensor<4x8xf16> attributes {npu.partition} {\n"
                     "  %0 = ef.fused (%v0 = %x) : (tensor<4x8xf16>) -> "
                     "tensor<4x8xf16> {\n";
  auto line = [&](const std::string &result, const std::string &op) {
    text += "    %" + result + " = ef." + op + "\n";
  };
  const std::string unary = " : (tensor<4x8xf16>) -> tensor<4x8xf16>";
  const std::string binary =
      " : (tensor<4x8xf16>, tensor<4x8xf16>) -> tensor<4x8xf16>";
  for (int i = 1; i < height; ++i)
    line("v" + std::to_string(i),
         "unary relu %v" + std::to_string(i - 1) + unary);
  // v[0] + (v[1] + (... + v[height - 1])) keeps all of them until the end.
  std::string sum = "v" + std::to_string(height - 1);
  for (int i = height - 2; i >= 0; --i) {
    line("s" + std::to_string(i),
         "binary add %v" + std::to_string(i) + ", %" + sum + binary);
    sum = "s" + std::to_string(i);
  }
  return text + "    ef.yield %" + sum +
         " : tensor<4x8xf16>\n  }\n  return %0 : tensor<4x8xf16>\n}\n";
}

TEST_F(Layers, RegistersAreReused) {
  LayerGraph graph = build(makeTower(16));
  const Epilogue &epilogue = graph.layers[0].epilogue;
  EXPECT_EQ(epilogue.code.size(), 1u + 15 + 15);
  for (const efrt::npu::Instruction &instruction : epilogue.code)
    EXPECT_LT(instruction.dst, 16);

  OwningOpRef<ModuleOp> tall =
      parseSourceString<ModuleOp>(makeTower(17), &context);
  ASSERT_TRUE(tall);
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    message = diagnostic.str();
    return success();
  });
  EXPECT_TRUE(failed(
      buildLayers(*tall->getOps<func::FuncOp>().begin(), MltMode::Full)));
  EXPECT_NE(message.find("more than 16 values"), std::string::npos) << message;
}
