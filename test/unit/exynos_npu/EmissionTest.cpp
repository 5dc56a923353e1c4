// The commands of small graphs that are tiled by hand: what each of them reads
// and computes, the bytes that move, and the results, bit by bit.
#include "test/unit/exynos_npu/Emission.h"

#include "targets/exynos_npu/DramPlan.h"

#include "llvm/Support/FormatVariadic.h"

using namespace efc::npu;
using namespace efc::npu::test;
using efrt::npu::DmaCommand;
using efrt::npu::SoftmaxCommand;
using efrt::npu::TensorCommand;
using testing::ElementsAre;

/// "0.0156, 0.0312, ...": a scale for each of `count` channels.
static std::string scales(int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i)
    text += (i ? ", " : "") + llvm::formatv("{0}", (i % 3 + 1) / 64.0).str();
  return text;
}

//===--- Convolutions -----------------------------------------------------===//

namespace {
struct ConvCase {
  int64_t height, width, inputs, outputs;
  int64_t kernel = 3, stride = 1, dilation = 1;
  int64_t top = 1, left = 1, bottom = 1, right = 1; ///< Padding.

  int64_t outputHeight() const {
    return (height + top + bottom - dilation * (kernel - 1) - 1) / stride + 1;
  }
  int64_t outputWidth() const {
    return (width + left + right - dilation * (kernel - 1) - 1) / stride + 1;
  }
  int64_t weightBytes() const { return outputs * kernel * kernel * inputs; }
  std::string text() const;
};
} // namespace

std::string ConvCase::text() const {
  std::string x = llvm::formatv("tensor<1x{0}x{1}x{2}x!qx>", height, width,
                                inputs),
              y = llvm::formatv("1x{0}x{1}x{2}x", outputHeight(), outputWidth(),
                                outputs),
              w = llvm::formatv("{0}x{1}x{2}x{2}x", outputs, inputs, kernel);
  return llvm::formatv(
      R"mlir(
    !qx = !quant.uniform<i16<-8191:8191>:f32, 0.25>
    !qy = !quant.uniform<i16:f32, 2.0>
    !qw = !quant.uniform<i8<-127:127>:f32:0, {{{0}}>
    func.func private @npu_0(%x: {1}) -> tensor<{2}!qy> attributes {{npu.partition} {{
      %w = ef.weight "w" from "w.bin" at 0 : tensor<{3}f32>
      %q = quant.qcast %w : tensor<{3}f32> to tensor<{3}!qw>
      %0 = ef.fused (%x0 = %x, %q0 = %q) : ({1}, tensor<{3}!qw>) -> tensor<{2}!qy> {{
        %1 = ef.conv %x0, %q0 {{dilations = array<i64: {4}, {4}>, layout = #ef<layout channels_last>,
            pads = array<i64: {5}, {6}, {7}, {8}>, strides = array<i64: {9}, {9}>}
            : ({1}, tensor<{3}!qw>) -> tensor<{2}f32>
        %2 = quant.qcast %1 : tensor<{2}f32> to tensor<{2}!qy>
        ef.yield %2 : tensor<{2}!qy>
      }
      return %0 : tensor<{2}!qy>
    })mlir",
      scales(outputs), x, y, w, dilation, top, left, bottom, right, stride);
}

TEST_F(Emission, ConvolutionInTilesReadsItsHalo) {
  // Seven rows of six positions, two rows a tile; five channels to nine, four
  // at a time.
  ConvCase conv{7, 6, 5, 9};
  makeWeights(conv.weightBytes());
  build(conv.text());
  Tiling tiling = priced(/*tilePositions=*/12);
  tiling.groups[0].layers[0].chunk = 4;
  Execution done = run(tiling, makeArguments());

  std::vector<TensorCommand> tensors = done.commands<TensorCommand>();
  ASSERT_EQ(tensors.size(), 4u * 3);
  std::vector<std::tuple<int, int, int>> rows; // Read, above the image, made.
  for (size_t i = 0; i < tensors.size(); i += 3)
    rows.emplace_back(tensors[i].input.extents[1], tensors[i].padTop,
                      tensors[i].epilogue.result.extents[1]);
  // Above the first tile is padding, below the last one, too.
  EXPECT_THAT(rows, ElementsAre(std::tuple(3, 1, 2), std::tuple(4, 0, 2),
                                std::tuple(4, 0, 2), std::tuple(2, 0, 1)));
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(tensors[i].padLeft, 1);
    EXPECT_EQ(tensors[i].weights.extents[0], i % 3 == 2 ? 1u : 4u);
    EXPECT_EQ(tensors[i].input.extents[2], 6u);
  }
  uint64_t row = 6 * 5 * 2, vectors = 9 * 4;
  EXPECT_EQ(done.loadedBytes(kFirstInputSlot), (3 + 4 + 4 + 2) * row);
  EXPECT_EQ(done.storedBytes(kFirstInputSlot + 1), 7u * 6 * 9 * 2);
  EXPECT_EQ(done.loadedBytes(kWeightsSlot), 4 * 9u * 9 * 5 + vectors);
  // The estimate gives each tile its whole halo.
  EXPECT_EQ(uint64_t(tiling.groups[0].dramBytes) + vectors,
            done.movedBytes() + (4 * 4 - 13) * row);
}

TEST_F(Emission, ResidentWeightsAreLoadedOnce) {
  ConvCase conv{7, 6, 5, 9};
  makeWeights(conv.weightBytes());
  build(conv.text());
  Execution done = run(priced(12, /*weightsResident=*/true), makeArguments());
  EXPECT_EQ(done.loadedBytes(kWeightsSlot), 9u * 9 * 5 + 9 * 4);
}

TEST_F(Emission, StridedConvolutionReadsTheRowsThatItUses) {
  // As a U-Net goes down: nothing above and left, one row below and right.
  ConvCase conv{8, 8, 3, 4, 3, 2, 1, 0, 0, 1, 1};
  makeWeights(conv.weightBytes());
  build(conv.text());
  Execution done = run(priced(/*tilePositions=*/4), makeArguments());
  std::vector<TensorCommand> tensors = done.commands<TensorCommand>();
  ASSERT_EQ(tensors.size(), 4u);
  for (size_t tile = 0; tile < 4; ++tile) {
    EXPECT_EQ(tensors[tile].strideY, 2);
    EXPECT_EQ(tensors[tile].padTop, 0);
    // The last window ends in the row below the image.
    EXPECT_EQ(tensors[tile].input.extents[1], tile == 3 ? 2u : 3u);
  }
  EXPECT_EQ(done.loadedBytes(kFirstInputSlot), (3u * 3 + 2) * 8 * 3 * 2);
}

TEST_F(Emission, WindowsThatLieInThePaddingStandOnARow) {
  // Two rows of padding above and below an image of two rows: the first and the
  // last row of windows see nothing of it.
  ConvCase conv{2, 3, 2, 2, 1, 1, 1, 2, 0, 2, 0};
  makeWeights(conv.weightBytes());
  build(conv.text());
  Execution done = run(priced(/*tilePositions=*/3), makeArguments());
  EXPECT_EQ(done.commands<TensorCommand>().size(), 6u);
}

TEST_F(Emission, RandomConvolutions) {
  for (int round = 0; round < 25; ++round) {
    auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(generator() % (high - low + 1));
    };
    ConvCase conv{draw(5, 11), draw(5, 9), draw(1, 40), draw(1, 20)};
    conv.kernel = draw(1, 3);
    conv.stride = draw(1, 2);
    conv.dilation = draw(1, 2);
    for (int64_t *pad : {&conv.top, &conv.left, &conv.bottom, &conv.right})
      *pad = draw(0, 2);
    SCOPED_TRACE("round " + std::to_string(round) + conv.text());
    makeWeights(conv.weightBytes());
    build(conv.text());
    Tiling tiling =
        priced(conv.outputWidth() * draw(1, conv.outputHeight()), round % 2);
    tiling.groups[0].layers[0].chunk = draw(1, conv.outputs);
    // A 1x1 convolution without a stride is a matrix product.
    run(tiling, makeArguments());
    if (HasFailure())
      return;
  }
}

//===--- Matrix products --------------------------------------------------===//

/// x [positions, k] times weights [k, hidden], and those times [hidden, n].
static std::string twoMatmuls(int64_t positions, int64_t k, int64_t hidden,
                              int64_t n) {
  return llvm::formatv(
      R"mlir(
    !x = tensor<{0}x{1}x!quant.uniform<i16:f32, 0.001>>
    !h = tensor<{0}x{2}x!quant.uniform<i16:f32, 0.5>>
    !y = tensor<{0}x{3}x!quant.uniform<i16:f32, 64.0>>
    !u = tensor<{1}x{2}x!quant.uniform<i8<-127:127>:f32:1, {{{4}}>>
    !v = tensor<{2}x{3}x!quant.uniform<i8<-127:127>:f32:1, {{{5}}>>
    func.func private @npu_0(%x: !x) -> !y attributes {{npu.partition} {{
      %u = ef.weight "u" from "w.bin" at 0 : tensor<{1}x{2}xf32>
      %v = ef.weight "v" from "w.bin" at 4 : tensor<{2}x{3}xf32>
      %uq = quant.qcast %u : tensor<{1}x{2}xf32> to !u
      %vq = quant.qcast %v : tensor<{2}x{3}xf32> to !v
      %0 = ef.fused (%x0 = %x, %u0 = %uq) : (!x, !u) -> !h {{
        %2 = ef.matmul %x0, %u0 : (!x, !u) -> tensor<{0}x{2}xf32>
        %3 = quant.qcast %2 : tensor<{0}x{2}xf32> to !h
        ef.yield %3 : !h
      }
      %1 = ef.fused (%h0 = %0, %v0 = %vq) : (!h, !v) -> !y {{
        %2 = ef.matmul %h0, %v0 : (!h, !v) -> tensor<{0}x{3}xf32>
        %3 = quant.qcast %2 : tensor<{0}x{3}xf32> to !y
        ef.yield %3 : !y
      }
      return %1 : !y
    })mlir",
      positions, k, hidden, n, scales(hidden), scales(n));
}

TEST_F(Emission, LongProductsInChunks) {
  // Sums of 1100 products, beyond 32 bits where all are as large as can be;
  // output channels in chunks of 16 and 7, both with a remainder.
  constexpr int64_t positions = 13, k = 1100, hidden = 40, n = 10;
  makeWeights(k * hidden + 1);
  build(twoMatmuls(positions, k, hidden, n));
  Tiling tiling = priced(/*tilePositions=*/5);
  tiling.groups[0].layers[0].chunk = 16;
  tiling.groups[0].layers[1].chunk = 7;
  Tensors arguments = makeArguments();
  for (int64_t i = 0; i < k; ++i)
    arguments[0].setInt(i, i % 2 ? 32767 : -32767);
  Execution done = run(tiling, arguments);

  std::vector<TensorCommand> tensors = done.commands<TensorCommand>();
  ASSERT_EQ(tensors.size(), 3u * (3 + 2));
  for (size_t i = 0; i < tensors.size(); ++i) {
    static constexpr uint32_t channels[] = {16, 16, 8, 7, 3};
    EXPECT_EQ(tensors[i].weights.extents[0], channels[i % 5]);
    EXPECT_EQ(tensors[i].weights.extents[3], i % 5 < 3 ? k : hidden);
    EXPECT_EQ(tensors[i].epilogue.result.extents[1], i < 10 ? 5u : 3u);
  }
  // What is between the products never leaves the scratchpad.
  uint64_t vectors = (hidden + n) * 4;
  EXPECT_EQ(done.program.slotBytes[kWorkspaceSlot], 0u);
  EXPECT_EQ(done.loadedBytes(kFirstInputSlot), positions * k * 2u);
  EXPECT_EQ(done.storedBytes(kFirstInputSlot + 1), positions * n * 2u);
  EXPECT_EQ(done.loadedBytes(kWeightsSlot),
            3u * (k * hidden + hidden * n) + vectors);
  // Its estimate counts the last tile as a whole one.
  EXPECT_EQ(uint64_t(tiling.groups[0].dramBytes) + vectors,
            done.movedBytes() + 2 * k * 2);
}

TEST_F(Emission, GroupsOfTheirOwnMeetInTheWorkspace) {
  constexpr int64_t positions = 12, k = 48, hidden = 40, n = 10;
  makeWeights(k * hidden + 1);
  build(twoMatmuls(positions, k, hidden, n));
  TilingProblem problem(graph, machine, MltMode::Full);
  Tiling tiling;
  for (int index : {0, 1})
    tiling.groups.push_back(*problem.bestGroup(index, index + 1));
  Execution done = run(tiling, makeArguments());
  EXPECT_EQ(done.storedBytes(kWorkspaceSlot), positions * hidden * 2u);
  EXPECT_EQ(done.loadedBytes(kWorkspaceSlot), positions * hidden * 2u);
  EXPECT_EQ(uint64_t(tiling.groups[0].dramBytes + tiling.groups[1].dramBytes) +
                (hidden + n) * 4,
            done.movedBytes());
}

//===--- Attention --------------------------------------------------------===//

static std::string attention(int64_t queries, int64_t keys, int64_t heads,
                             int64_t headChannels, bool isCausal) {
  return llvm::formatv(
      R"mlir(
    !q = tensor<1x{0}x{2}x!quant.uniform<i16:f32, 0.002>>
    !k = tensor<1x{1}x{2}x!quant.uniform<i16:f32, 0.001>>
    !y = tensor<1x{0}x{2}x!quant.uniform<i16:f32, 0.0005>>
    func.func private @npu_0(%q: !q, %k: !k, %v: !k) -> !y attributes {{npu.partition} {{
      %0 = ef.fused (%q0 = %q, %k0 = %k, %v0 = %v) : (!q, !k, !k) -> !y {{
        %1 = ef.attention %q0, %k0, %v0 {{{4}heads = {3} : i64, kv_heads = {3} : i64, scale = 0.35 : f64,
            score_scale = 0.001 : f64} : (!q, !k, !k) -> tensor<1x{0}x{2}xf32>
        %2 = quant.qcast %1 : tensor<1x{0}x{2}xf32> to !y
        ef.yield %2 : !y
      }
      return %0 : !y
    })mlir",
      queries, keys, heads * headChannels, heads, isCausal ? "causal, " : "");
}

TEST_F(Emission, AttentionInTilesWithRemainders) {
  // 13 queries in tiles of 8, of which 3 at a time; 11 keys in chunks of 4;
  // 8 channels of the values in chunks of 3; two heads.
  build(attention(13, 11, 2, 8, /*isCausal=*/false));
  Tiling tiling = priced(/*tilePositions=*/8);
  LayerTiling &layer = tiling.groups[0].layers[0];
  layer.chunk = 3;
  layer.keyChunk = 4;
  layer.valueChunk = 3;
  Execution done = run(tiling, makeArguments(/*part=*/8));

  std::vector<uint32_t> rows;
  for (const SoftmaxCommand &softmax : done.commands<SoftmaxCommand>()) {
    EXPECT_EQ(softmax.input.extents[3], 11u);
    rows.push_back(softmax.input.extents[2]);
  }
  // Each of two heads: 3 + 3 + 2 queries of the first tile, then 3 + 2.
  EXPECT_THAT(rows, ElementsAre(3, 3, 2, 3, 3, 2, 3, 2, 3, 2));
  // Scores of 4, 4 and 3 keys, contexts of 3, 3 and 2 channels.
  EXPECT_EQ(done.commands<TensorCommand>().size(), 10u * (3 + 3));
  // Scores never leave the scratchpad; keys and values stream for each chunk of
  // queries.
  EXPECT_EQ(done.program.slotBytes[kWorkspaceSlot], 0u);
  uint64_t queries = 13 * 16 * 2, keys = 11 * 16 * 2;
  EXPECT_EQ(done.loadedBytes(kFirstInputSlot), queries);
  EXPECT_EQ(done.loadedBytes(kFirstInputSlot + 1), 5 * keys);
  EXPECT_EQ(done.loadedBytes(kFirstInputSlot + 2), 5 * keys);
  EXPECT_EQ(done.storedBytes(kFirstInputSlot + 3), queries);
}

TEST_F(Emission, AttentionMovesWhatItsTilingSays) {
  build(attention(16, 11, 2, 8, /*isCausal=*/false));
  for (int64_t tile : {4, 8, 16}) {
    Tiling tiling = priced(tile);
    Execution done = run(tiling, makeArguments(/*part=*/8));
    EXPECT_EQ(static_cast<uint64_t>(tiling.groups[0].dramBytes),
              done.movedBytes())
        << tile;
  }
}

TEST_F(Emission, CausalAttentionKnowsItsPlaceInEveryTile) {
  build(attention(9, 9, 1, 4, /*isCausal=*/true));
  Tiling tiling = priced(/*tilePositions=*/4);
  tiling.groups[0].layers[0].chunk = 3;
  Execution done = run(tiling, makeArguments(/*part=*/8));
  std::vector<int32_t> offsets;
  for (const SoftmaxCommand &softmax : done.commands<SoftmaxCommand>())
    offsets.push_back(softmax.causalOffset);
  EXPECT_THAT(offsets, ElementsAre(0, 3, 4, 7, 8));
}

TEST_F(Emission, AttentionInThreeLayersGivesTheSameBits) {
  // With its scores in DRAM: run() compares with the same reference.
  build(attention(13, 11, 2, 8, /*isCausal=*/false), MltMode::Off);
  ASSERT_EQ(graph.layers.size(), 3u);
  TilingProblem problem(graph, machine, MltMode::Off);
  Tiling tiling;
  for (int index : {0, 1, 2}) {
    std::optional<Group> group = problem.bestGroup(index, index + 1);
    ASSERT_TRUE(group);
    tiling.groups.push_back(*group);
  }
  Execution done = run(tiling, makeArguments(/*part=*/8));
  EXPECT_GT(done.storedBytes(kWorkspaceSlot), 2u * 13 * 11 * 2);
}
