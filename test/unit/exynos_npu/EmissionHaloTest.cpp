// Convolutions that follow others in a tiled group: each tile computes the rows
// of its halo itself, so that what is between them stays in the scratchpad.
#include "test/unit/exynos_npu/Emission.h"

#include "targets/exynos_npu/DramPlan.h"

#include "llvm/Support/FormatVariadic.h"

using namespace efc::npu;
using namespace efc::npu::test;
using efrt::npu::NormStatsCommand;
using efrt::npu::TensorCommand;

/// Types and weights of images of height x width x channels int16 values, whose
/// convolutions have int8 weights.
static std::string declarations(int64_t height, int64_t width,
                                int64_t channels) {
  std::string scales;
  for (int64_t i = 0; i < channels; ++i)
    scales += (i ? ", " : "") + llvm::formatv("{0}", (i % 3 + 1) / 64.0).str();
  return llvm::formatv(R"mlir(
    !x = tensor<1x{0}x{1}x{2}x!quant.uniform<i16<-8191:8191>:f32, 0.01>>
    !f = tensor<1x{0}x{1}x{2}xf32>
    !k = tensor<{2}x{2}x3x3xf32>
    !w = tensor<{2}x{2}x3x3x!quant.uniform<i8<-127:127>:f32:0, {{{3}}>>
    !v = tensor<{2}xf32>
    func.func private @npu_0(%x: !x) -> !x attributes {{npu.partition} {{
      %g = ef.weight "g" from "w.bin" at 0 : !v
      %b = ef.weight "b" from "w.bin" at 4 : !v)mlir",
                       height, width, channels, scales);
}

/// %result = convolution 3x3 of %input, plus %residual if there is one.
static std::string convolution(const std::string &result,
                               const std::string &input, int64_t offset,
                               const std::string &residual = "",
                               int64_t dilation = 1) {
  std::string body = llvm::formatv(
      R"mlir(
        %c = ef.conv %x0, %q0 {{dilations = array<i64: {0}, {0}>, layout = #ef<layout channels_last>,
            pads = array<i64: {0}, {0}, {0}, {0}>, strides = array<i64: 1, 1>} : (!x, !w) -> !f)mlir",
      dilation);
  std::string text = llvm::formatv(
      R"mlir(
      %w{0} = ef.weight "w{0}" from "w.bin" at {1} : !k
      %q{0} = quant.qcast %w{0} : !k to !w)mlir",
      result, offset);
  if (residual.empty())
    return text + llvm::formatv(R"mlir(
      %{0} = ef.fused (%x0 = %{1}, %q0 = %q{0}) : (!x, !w) -> !x {{{2}
        %d = quant.qcast %c : !f to !x
        ef.yield %d : !x
      })mlir",
                                result, input, body)
                      .str();
  return text + llvm::formatv(R"mlir(
      %{0} = ef.fused (%x0 = %{1}, %q0 = %q{0}, %r0 = %{3}) : (!x, !w, !x) -> !x {{{2}
        %r = quant.dcast %r0 : !x to !f
        %s = ef.binary add %c, %r : (!f, !f) -> !f
        %d = quant.qcast %s : !f to !x
        ef.yield %d : !x
      })mlir",
                              result, input, body, residual)
                    .str();
}

/// %result = silu(group norm of %input).
static std::string norm(const std::string &result, const std::string &input) {
  return llvm::formatv(
      R"mlir(
      %{0} = ef.fused (%x0 = %{1}, %g0 = %g, %b0 = %b) : (!x, !v, !v) -> !x {{
        %n = ef.group_norm %x0, %g0, %b0 {{epsilon = 1.0e-5 : f64, groups = 2 : i64,
            layout = #ef<layout channels_last>} : (!x, !v, !v) -> !f
        %s = ef.unary silu %n : (!f) -> !f
        %d = quant.qcast %s : !f to !x
        ef.yield %d : !x
      })mlir",
      result, input);
}

static std::string giveBack(const std::string &value) {
  return "\n      return %" + value + " : !x\n    }";
}

TEST_F(Emission, ChainOfConvolutionsComputesItsHalos) {
  constexpr int64_t height = 11, width = 5, channels = 6;
  makeWeights(channels * channels * 9 + 4);
  build(declarations(height, width, channels) + convolution("1", "x", 8) +
        convolution("2", "1", 0) + convolution("3", "2", 12, "x") +
        giveBack("3"));
  ASSERT_EQ(graph.layers.size(), 3u);
  Tiling tiling = priced(3 * width, /*weightsResident=*/true);
  for (LayerTiling &layer : tiling.groups[0].layers)
    layer.chunk = channels;
  Execution done = run(tiling, makeArguments(/*part=*/8));

  // Rows of four tiles: of the first, the second and the third convolution.
  std::vector<uint32_t> rows;
  for (const TensorCommand &tensor : done.commands<TensorCommand>())
    rows.push_back(tensor.epilogue.result.extents[1]);
  EXPECT_THAT(rows, testing::ElementsAre(5, 4, 3, 7, 5, 3, 7, 5, 3, 4, 3, 2));
  EXPECT_EQ(done.program.slotBytes[kWorkspaceSlot], 0u);
  uint64_t row = width * channels * 2;
  // The residual is read where the first convolution's input is.
  EXPECT_EQ(done.loadedBytes(kFirstInputSlot), (6 + 9 + 8 + 5) * row);
  EXPECT_EQ(done.storedBytes(kFirstInputSlot + 1), height * row);
  // Resident, and the convolutions have the same factors.
  EXPECT_EQ(done.loadedBytes(kWeightsSlot),
            3u * channels * channels * 9 + channels * 4);
}

TEST_F(Emission, ResnetBlockInThreeGroups) {
  // Statistics of all positions cut it: they end a group that computes what
  // they are of.
  constexpr int64_t height = 9, width = 4, channels = 8;
  makeWeights(channels * channels * 9 + 4);
  build(declarations(height, width, channels) + norm("1", "x") +
        convolution("2", "1", 8) + norm("3", "2") +
        convolution("4", "3", 0, "x") + giveBack("4"));
  // Statistics, silu, convolution, statistics, silu, convolution.
  ASSERT_EQ(graph.layers.size(), 6u);
  Tiling tiling = priced(2 * width);
  Group all = tiling.groups[0];
  tiling.groups.clear();
  for (auto [first, last] : {std::pair(0, 1), {1, 4}, {4, 6}}) {
    EXPECT_TRUE(mayShareGroup(graph, first, last, /*tiled=*/true));
    Group &group = tiling.groups.emplace_back(all);
    group.first = first;
    group.last = last;
    group.layers.assign(all.layers.begin() + first, all.layers.begin() + last);
  }
  EXPECT_FALSE(mayShareGroup(graph, 0, 2, /*tiled=*/true));
  Execution done = run(tiling, makeArguments(/*part=*/4));

  // Each position counts once in the sums, whatever the halos are.
  uint64_t summed = 0;
  for (const NormStatsCommand &stats : done.commands<NormStatsCommand>())
    summed += uint64_t(stats.input.extents[1]) * stats.input.extents[2] *
              stats.input.extents[3];
  EXPECT_EQ(summed, 2u * height * width * channels);
  // Of the tensors between the layers only the first convolution's result goes
  // to DRAM, once; beside it are factors and biases of two norms.
  EXPECT_EQ(done.storedBytes(kWorkspaceSlot),
            height * width * channels * 2 + 2u * 2 * channels * 4);
}

TEST_F(Emission, RandomChainsWithHalos) {
  for (int round = 0; round < 20; ++round) {
    auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(generator() % (high - low + 1));
    };
    int64_t height = draw(3, 14), width = draw(2, 9), channels = draw(1, 9) * 2;
    int64_t length = draw(2, 5);
    makeWeights(channels * channels * 9 + 4);
    std::string text = declarations(height, width, channels), last = "x";
    for (int64_t i = 1; i <= length; ++i) {
      std::string result = std::to_string(i);
      // What a residual joins may be any earlier tensor.
      std::string residual = draw(0, 1) ? "" : std::to_string(draw(0, i - 1));
      if (residual == "0")
        residual = "x";
      text += convolution(result, last, 4 * draw(0, 4), residual, draw(1, 2));
      last = result;
    }
    text += giveBack(last);
    SCOPED_TRACE("seed 20261123, round " + std::to_string(round) + text);
    build(text);
    ASSERT_TRUE(mayShareGroup(graph, 0, length, /*tiled=*/true));
    run(priced(width * draw(1, height), draw(0, 1)), makeArguments(8));
    if (HasFailure())
      return;
  }
}
