// The tiling problem: what its solutions are, and what its verifier refuses.
#include "targets/exynos_npu/Tiling.h"
#include "targets/exynos_npu/GroupCost.h"
#include "targets/exynos_npu/LayerOrder.h"
#include "targets/exynos_npu/MachineFile.h"

#include <gmock/gmock.h>

#include <random>

using namespace efc::npu;
using testing::HasSubstr;

namespace {
/// Builds graphs of layers on int16 tensors, layer by layer.
class GraphBuilder {
public:
  LayerGraph graph;

  int input(int64_t positions, int64_t channels, int64_t width = 0) {
    int tensor = addTensor(positions, channels, width, -1);
    graph.tensors[tensor].input = graph.numInputs++;
    return tensor;
  }

  int matmul(int x, int64_t channels) {
    Layer layer = begin(LayerKind::Matmul, {x});
    layer.weights = addWeights(channels, 1, graph.tensors[x].channels);
    layer.macs =
        graph.tensors[x].positions * graph.tensors[x].channels * channels;
    return finish(std::move(layer), graph.tensors[x].positions, channels);
  }

  int conv3x3(int x, int64_t channels) {
    Layer layer = begin(LayerKind::Conv, {x});
    layer.kernelY = layer.kernelX = 3;
    layer.padTop = layer.padLeft = 1;
    layer.weights = addWeights(channels, 9, graph.tensors[x].channels);
    layer.macs =
        graph.tensors[x].positions * graph.tensors[x].channels * 9 * channels;
    return finish(std::move(layer), graph.tensors[x].positions, channels,
                  graph.tensors[x].width);
  }

  int add(int x, int y) {
    Layer layer = begin(LayerKind::Elementwise, {});
    for (int tensor : {x, y}) {
      Operand operand;
      operand.tensor = tensor;
      graph.tensors[tensor].consumers.push_back(graph.layers.size());
      layer.epilogue.operands.push_back(operand);
    }
    return finish(std::move(layer), graph.tensors[x].positions,
                  graph.tensors[x].channels, graph.tensors[x].width);
  }

  int attention(int q, int k, int v, int64_t heads) {
    Layer layer = begin(LayerKind::Attention, {q, k, v});
    layer.inputs[1].use = layer.inputs[2].use = OperandUse::Whole;
    layer.heads = heads;
    layer.keys = graph.tensors[k].positions;
    layer.headChannels = layer.valueChannels =
        graph.tensors[q].channels / heads;
    layer.macs =
        2 * graph.tensors[q].positions * layer.keys * graph.tensors[q].channels;
    return finish(std::move(layer), graph.tensors[q].positions,
                  graph.tensors[q].channels);
  }

  void output(int tensor) { graph.tensors[tensor].output = graph.numOutputs++; }

private:
  int addTensor(int64_t positions, int64_t channels, int64_t width,
                int producer) {
    Tensor tensor;
    tensor.name = "t" + std::to_string(graph.tensors.size());
    tensor.positions = positions;
    tensor.channels = channels;
    tensor.width = width;
    tensor.height = width > 0 ? positions / width : 0;
    tensor.producer = producer;
    graph.tensors.push_back(std::move(tensor));
    return graph.tensors.size() - 1;
  }

  int addWeights(int64_t n, int64_t taps, int64_t k) {
    Constant constant;
    constant.layout = Constant::Layout::MatrixNK;
    constant.dtype = efrt::DType::I8;
    constant.n = n;
    constant.taps = taps;
    constant.k = k;
    graph.constants.push_back(std::move(constant));
    return graph.constants.size() - 1;
  }

  Layer begin(LayerKind kind, std::initializer_list<int> inputs) {
    Layer layer;
    layer.kind = kind;
    layer.node = "node" + std::to_string(graph.layers.size());
    layer.label = "layer";
    for (int tensor : inputs) {
      Operand operand;
      operand.tensor = tensor;
      layer.inputs.push_back(operand);
      graph.tensors[tensor].consumers.push_back(graph.layers.size());
    }
    return layer;
  }

  int finish(Layer layer, int64_t positions, int64_t channels,
             int64_t width = 0) {
    int result = addTensor(positions, channels, width, graph.layers.size());
    layer.results.push_back(result);
    graph.layers.push_back(std::move(layer));
    return result;
  }
};
} // namespace

static efrt::npu::Machine machineWith(const std::string &scratchpad) {
  llvm::Expected<MachineFile> file =
      loadMachine(defaultMachine, {"scratchpad=" + scratchpad});
  EXPECT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  return file->machine;
}

static Tiling solve(const TilingProblem &problem) {
  llvm::Expected<Tiling> tiling = tileByDynamicProgramming(problem);
  EXPECT_TRUE(static_cast<bool>(tiling)) << llvm::toString(tiling.takeError());
  return tiling ? *tiling : Tiling();
}

static std::string messageOf(llvm::Error error) {
  return llvm::toString(std::move(error));
}

/// A transformer block of 4096 tokens.
static LayerGraph transformerBlock() {
  GraphBuilder b;
  int x = b.input(4096, 320);
  int q = b.matmul(x, 320), k = b.matmul(x, 320), v = b.matmul(x, 320);
  int a = b.matmul(b.attention(q, k, v, 8), 320);
  int y = b.add(a, x);
  int f = b.matmul(b.matmul(y, 1280), 320);
  b.output(b.add(f, y));
  return std::move(b.graph);
}

TEST(Tiling, GroupsATransformerBlockAndSavesTraffic) {
  LayerGraph graph = transformerBlock();
  efrt::npu::Machine machine = machineWith("6MiB");
  TilingProblem problem(graph, machine, MltMode::Full);
  Tiling tiling = solve(problem);
  EXPECT_EQ(messageOf(problem.verify(tiling)), "");
  TilingProblem separate(graph, machine, MltMode::Attention);
  llvm::Expected<Tiling> alone = tileLayerByLayer(separate);
  ASSERT_TRUE(static_cast<bool>(alone));
  EXPECT_EQ(messageOf(separate.verify(*alone)), "");
  EXPECT_LT(tiling.groups.size(), alone->groups.size());
  EXPECT_LT(tiling.cycles, alone->cycles);
  auto traffic = [](const Tiling &t) {
    int64_t bytes = 0;
    for (const Group &group : t.groups)
      bytes += group.dramBytes;
    return bytes;
  };
  EXPECT_LT(traffic(tiling), traffic(*alone));
  EXPECT_GE(tiling.cycles, problem.lowerBoundCycles());
}

TEST(Tiling, IsDeterministicAndFitsEveryScratchpad) {
  LayerGraph graph = transformerBlock();
  for (const char *size : {"1MiB", "2MiB", "6MiB", "12MiB"}) {
    efrt::npu::Machine machine = machineWith(size);
    TilingProblem problem(graph, machine, MltMode::Full);
    Tiling tiling = solve(problem), again = solve(problem);
    EXPECT_EQ(messageOf(problem.verify(tiling)), "") << size;
    ASSERT_EQ(tiling.groups.size(), again.groups.size());
    for (size_t i = 0; i < tiling.groups.size(); ++i) {
      EXPECT_EQ(tiling.groups[i].tilePositions, again.groups[i].tilePositions);
      EXPECT_LE(tiling.groups[i].scratchBytes, machine.scratchpadBytes);
    }
  }
}

TEST(Tiling, SaysWhatATooSmallScratchpadLacks) {
  GraphBuilder b;
  b.output(b.conv3x3(b.input(64 * 64, 2560, 64), 320));
  efrt::npu::Machine machine = machineWith("256KiB");
  TilingProblem problem(b.graph, machine, MltMode::Full);
  std::string message = messageOf(problem.check());
  EXPECT_THAT(message, HasSubstr("node0"));
  EXPECT_THAT(message, HasSubstr("available"));
  EXPECT_THAT(message, HasSubstr("--machine"));
}

TEST(Tiling, TakesAConvolutionsHaloIntoTiledGroups) {
  GraphBuilder b;
  int x = b.conv3x3(b.input(64 * 64, 320, 64), 320);
  b.output(b.conv3x3(b.add(x, x), 320));
  EXPECT_TRUE(mayShareGroup(b.graph, 0, 3, /*tiled=*/true));
  // A stride leaves other positions.
  LayerGraph strided = b.graph;
  strided.layers[2].strideY = strided.layers[2].strideX = 2;
  EXPECT_TRUE(mayShareGroup(strided, 0, 3, /*tiled=*/false));
  EXPECT_FALSE(mayShareGroup(strided, 0, 3, /*tiled=*/true));
}

TEST(Tiling, DoesNotComputeAttentionTwice) {
  GraphBuilder b;
  int x = b.input(64 * 64, 320, 64), text = b.input(77, 320);
  int y = b.attention(x, text, text, 8);
  b.graph.tensors[y].width = b.graph.tensors[y].height = 64;
  b.output(b.conv3x3(y, 320));
  EXPECT_FALSE(mayShareGroup(b.graph, 0, 2, /*tiled=*/true));
}

TEST(Tiling, ChainsOfConvolutionsStayInTheScratchpad) {
  // As in a super-resolution network: 16 MB an image between layers.
  GraphBuilder b;
  int x = b.input(360 * 360, 64, 360);
  int y = x;
  for (int i = 0; i < 8; ++i)
    y = b.conv3x3(y, 64);
  b.output(b.add(y, x));
  efrt::npu::Machine machine = machineWith("6MiB");
  TilingProblem problem(b.graph, machine, MltMode::Full);
  Tiling tiling = solve(problem);
  EXPECT_EQ(messageOf(problem.verify(tiling)), "");
  EXPECT_LT(tiling.groups.size(), 5u);
  llvm::Expected<Tiling> alone = tileLayerByLayer(problem);
  ASSERT_TRUE(static_cast<bool>(alone));
  auto traffic = [](const Tiling &t) {
    int64_t bytes = 0;
    for (const Group &group : t.groups)
      bytes += group.dramBytes;
    return bytes;
  };
  EXPECT_LT(traffic(tiling), 0.6 * traffic(*alone));
  EXPECT_LT(tiling.cycles, alone->cycles);
  Tiling broken = tiling;
  broken.groups.front().tilePositions -= 1;
  EXPECT_THAT(messageOf(problem.verify(broken)), HasSubstr("whole rows"));
}

TEST(Tiling, VerifierRefusesWhatIsNoSolution) {
  LayerGraph graph = transformerBlock();
  efrt::npu::Machine machine = machineWith("6MiB");
  TilingProblem problem(graph, machine, MltMode::Full);
  const Tiling good = solve(problem);
  Tiling gap = good;
  gap.groups.erase(gap.groups.begin());
  EXPECT_THAT(messageOf(problem.verify(gap)), HasSubstr("do not follow"));
  Tiling shortened = good;
  shortened.groups.pop_back();
  EXPECT_THAT(messageOf(problem.verify(shortened)), HasSubstr("ends at"));
  // Keys of all positions cannot come from the same tiled group.
  Tiling merged;
  Group all = good.groups.front();
  all.first = 0;
  all.last = graph.layers.size();
  all.tilePositions = 512;
  all.layers.assign(graph.layers.size(), LayerTiling{64, 64, 8, false});
  merged.groups.push_back(all);
  EXPECT_THAT(messageOf(problem.verify(merged)), HasSubstr("other positions"));
  Tiling large = good;
  for (Group &group : large.groups) {
    group.tilePositions = 4096;
    for (LayerTiling &layer : group.layers)
      layer.chunk = 1 << 20;
  }
  EXPECT_THAT(messageOf(problem.verify(large)), HasSubstr("does not fit"));
}

TEST(Tiling, RandomChainsAreSolvedAndNeverBeatenLayerByLayer) {
  constexpr unsigned seed = 20260401;
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    GraphBuilder b;
    int x = b.input(1 << (4 + random() % 9), 32 * (1 + random() % 20));
    int y = x;
    for (int i = 0, count = 1 + random() % 12; i < count; ++i) {
      int next = b.matmul(y, 32 * (1 + random() % 20));
      if (random() % 3 == 0)
        next = b.add(next, next);
      y = next;
    }
    b.output(y);
    efrt::npu::Machine machine = machineWith(random() % 2 ? "1MiB" : "6MiB");
    TilingProblem problem(b.graph, machine, MltMode::Full);
    Tiling best = solve(problem);
    EXPECT_EQ(messageOf(problem.verify(best)), "")
        << "seed " << seed << ", round " << round;
    llvm::Expected<Tiling> alone = tileLayerByLayer(problem);
    ASSERT_TRUE(static_cast<bool>(alone));
    EXPECT_LE(best.cycles, alone->cycles * (1 + 1e-9))
        << "seed " << seed << ", round " << round;
  }
}

TEST(LayerOrder, MovesWhatNeedsOnlySmallInputsToTheFront) {
  GraphBuilder b;
  int x = b.input(4096, 320), text = b.input(77, 768);
  int q = b.matmul(x, 320);
  int k = b.matmul(text, 320);
  b.output(b.attention(q, k, k, 8));
  hoistSmallLayers(b.graph);
  EXPECT_EQ(b.graph.layers[0].results[0], k);
  EXPECT_EQ(b.graph.tensors[k].producer, 0);
  EXPECT_EQ(b.graph.tensors[q].producer, 1);
  EXPECT_EQ(b.graph.tensors[x].consumers, std::vector<int>({1}));
}
