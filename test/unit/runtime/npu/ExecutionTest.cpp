// Each command executed by the simulator against plain scalar code, with both
// sets of kernels and several thread counts: equal bits.
#include "ScalarGolden.h"
#include "TestPrograms.h"

#include "npu/Verifier.h"
#include "npu/simulator/Execution.h"
#include "npu/simulator/ScalarFunctions.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::test;
using efrt::npu::simulator::Kernels;

namespace {
class Execution : public testing::Test {
protected:
  /// Executes on copies of `scratch` with all kernels and thread counts; each
  /// must become `expected`.
  template <typename Body>
  void expectResult(const Body &body, Scratch expected) {
    Program program;
    program.slotBytes = {0, 0};
    program.scratchpadBytes = kScratchBytes;
    Command command;
    command.body = body;
    Queue queue =
        std::is_same_v<Body, TensorCommand> ? Queue::Gte0 : Queue::Vector0;
    Machine machine = testMachine();
    ASSERT_EQ(checkCommand(command, queue, program, machine), "");
    for (const Kernels *kernels :
         {&simulator::portableKernels(), &simulator::hostKernels()})
      for (unsigned threads : {1u, 3u}) {
        Scratch actual = scratch;
        auto pool = std::move(*ThreadPool::create(threads));
        simulator::Workbench workbench;
        simulator::ExecutionContext context = {
            *kernels, *pool, workbench, {actual.bytes.data(), {}}};
        simulator::execute(body, context);
        ASSERT_EQ(actual.bytes, expected.bytes)
            << (kernels == &simulator::portableKernels() ? "portable" : "host")
            << " kernels, " << threads << " threads, seed " << seed;
      }
  }

  template <typename T> void fill(const View &view, int64_t low, int64_t high) {
    forEachIndex(view, [&](std::array<uint32_t, 4> index) {
      int64_t span = high - low + 1;
      scratch.set(view, index,
                  static_cast<T>(low + int64_t(generator()) % span));
    });
  }
  void fillIntegers(const View &view, int32_t limit) {
    if (view.dtype == DType::I8)
      fill<int8_t>(view, -std::min(limit, 127), std::min(limit, 127));
    else
      fill<int16_t>(view, -limit, limit);
  }
  void fillHalves(const View &view) {
    std::normal_distribution<float> normal;
    forEachIndex(view, [&](std::array<uint32_t, 4> index) {
      scratch.set(view, index, simulator::toHalf(normal(generator)));
    });
  }
  void fillFloats(const View &view, float scale = 1) {
    std::normal_distribution<float> normal;
    forEachIndex(view, [&](std::array<uint32_t, 4> index) {
      scratch.set(view, index, normal(generator) * scale);
    });
  }
  void reseed(unsigned value) {
    seed = value;
    generator.seed(value);
  }

  unsigned seed = 1;
  std::mt19937 generator{1};
  Scratch scratch;
};
} // namespace

/// Sums as float32: `register 0` itself.
static VectorProgram storeSums(uint32_t address,
                               std::array<uint32_t, 4> extents) {
  VectorProgram program;
  program.result = denseView(address, DType::F32, extents);
  return program;
}

TEST_F(Execution, ConvolutionsOfAllShapes) {
  for (unsigned i = 0; i < 60; ++i) {
    reseed(i);
    auto below = [&](uint32_t bound) {
      return static_cast<uint32_t>(generator() % bound);
    };
    TensorCommand tensor;
    uint32_t rows = below(12) + 1, columns = below(20) + 1,
             channels = below(50) + 1, outputs = below(40) + 1,
             kernelY = below(3) + 1, kernelX = below(3) + 1;
    DType weights = i % 3 == 0 ? DType::I16 : DType::I8;
    tensor.depthwise = below(4) == 0;
    if (tensor.depthwise)
      outputs = channels;
    tensor.gated = below(3) == 0;
    tensor.input = denseView(0, DType::I16, {1, rows, columns, channels});
    if (below(4) == 0) { // Channels first.
      tensor.input.strides = {0, int32_t(columns * 2), 2,
                              int32_t(rows * columns * 2)};
    }
    std::array<uint32_t, 4> shape = {outputs, kernelY, kernelX,
                                     tensor.depthwise ? 1 : channels};
    tensor.weights = denseView(65536, weights, shape);
    tensor.gateWeights = denseView(4 * 65536, weights, shape);
    if (kernelY == 1 && kernelX == 1 && !tensor.depthwise && below(2)) {
      // [channels, outputs], as values in attention.
      auto bytes = static_cast<int32_t>(sizeOf(weights));
      tensor.weights.strides = {bytes, 0, 0, bytes * int32_t(outputs)};
    }
    tensor.strideY = static_cast<uint16_t>(below(2) + 1);
    tensor.strideX = static_cast<uint16_t>(below(2) + 1);
    tensor.dilationY = static_cast<uint16_t>(below(2) + 1);
    tensor.padTop = static_cast<int16_t>(below(3));
    tensor.padLeft = static_cast<int16_t>(below(3));
    tensor.epilogue =
        storeSums(8 * 65536, {1, below(10) + 1, below(14) + 1, outputs});
    if (tensor.gated)
      tensor.epilogue.code = {{Opcode::Gelu, 2, 1, 0, 0},
                              {Opcode::Mul, 3, 0, 2, 0}};
    tensor.epilogue.value = tensor.gated ? 3 : 0;
    fillIntegers(tensor.input, i % 2 ? 32767 : 8191);
    fillIntegers(tensor.weights, 32767);
    fillIntegers(tensor.gateWeights, 32767);
    Scratch expected = scratch;
    golden(expected, tensor);
    expectResult(tensor, expected);
  }
}

/// The longest sums of a U-Net with every value at its limit.
TEST_F(Execution, SumsOfExtremesAreExact) {
  for (int sign : {1, -1})
    for (DType weights : {DType::I8, DType::I16})
      for (uint32_t channels : {40u, 517u, 2560u, 23040u}) {
        TensorCommand tensor;
        tensor.input = denseView(0, DType::I16, {1, 7, 1, channels});
        tensor.weights = denseView(400000, weights, {9, 1, 1, channels});
        tensor.epilogue = storeSums(1 << 20, {1, 7, 1, 9});
        forEachIndex(tensor.input, [&](std::array<uint32_t, 4> index) {
          scratch.set(tensor.input, index,
                      static_cast<int16_t>(index[1] == 0   ? -32768
                                           : index[1] == 1 ? 32767
                                                           : -32767));
        });
        forEachIndex(tensor.weights, [&](std::array<uint32_t, 4> index) {
          if (weights == DType::I8)
            scratch.set(tensor.weights, index, static_cast<int8_t>(sign * 127));
          else
            scratch.set(
                tensor.weights, index,
                static_cast<int16_t>(sign * (index[0] ? 32767 : 32766)));
        });
        Scratch expected = scratch;
        golden(expected, tensor);
        expectResult(tensor, expected);
      }
}

TEST_F(Execution, HalfProductsGoThroughTapsAndChannelsInOrder) {
  for (unsigned i = 0; i < 20; ++i) {
    reseed(i + 100);
    uint32_t channels = static_cast<uint32_t>(generator() % 70 + 1),
             outputs = static_cast<uint32_t>(generator() % 40 + 1);
    TensorCommand tensor;
    tensor.gated = i % 3 == 0;
    tensor.depthwise = i % 5 == 4;
    if (tensor.depthwise)
      outputs = channels;
    std::array<uint32_t, 4> shape = {outputs, 3, 3,
                                     tensor.depthwise ? 1 : channels};
    tensor.input = denseView(0, DType::F16, {1, 9, 11, channels});
    tensor.weights = denseView(65536, DType::F16, shape);
    tensor.gateWeights = denseView(3 * 65536, DType::F16, shape);
    tensor.padTop = tensor.padLeft = 1;
    tensor.epilogue = storeSums(8 * 65536, {1, 9, 11, outputs});
    if (tensor.gated)
      tensor.epilogue.code = {{Opcode::Add, 0, 0, 1, 0}};
    tensor.epilogue.result.dtype = DType::F16;
    tensor.epilogue.result =
        denseView(8 * 65536, DType::F16, {1, 9, 11, outputs});
    fillHalves(tensor.input);
    fillHalves(tensor.weights);
    fillHalves(tensor.gateWeights);
    Scratch expected = scratch;
    golden(expected, tensor);
    expectResult(tensor, expected);
  }
}

TEST_F(Execution, VectorInstructions) {
  for (size_t op = static_cast<size_t>(Opcode::Add); op < kNumOpcodes; ++op)
    for (uint32_t columns : {5u, 600u}) {
      reseed(static_cast<unsigned>(op));
      VectorCommand vector;
      std::array<uint32_t, 4> extents = {2, 3, 7, columns};
      vector.program.operands = {
          denseView(0, DType::F32, extents),
          denseView(1 << 18, DType::I16, extents, 0.0003f)};
      // A row that repeats, and one value for each row.
      View row = denseView(1 << 19, DType::F16, {1, 1, 1, columns}),
           perRow = denseView(600000, DType::I32, {2, 3, 7, 1}, 0.5f);
      vector.program.operands.push_back(row);
      vector.program.operands.push_back(perRow);
      auto code = static_cast<Opcode>(op);
      vector.program.code = {{Opcode::Load, 0, 0, 0, 0},
                             {Opcode::Load, 1, 1, 0, 0},
                             {Opcode::Load, 2, 2, 0, 0},
                             {Opcode::Load, 3, 3, 0, 0},
                             {Opcode::Constant, 4, 0, 0, 0.75f},
                             {Opcode::Add, 1, 1, 2, 0},
                             {Opcode::Mul, 1, 1, 4, 0},
                             {Opcode::Add, 1, 1, 3, 0},
                             {code, 0, 0, 1, 0}};
      vector.program.result = denseView(1 << 20, DType::F32, extents);
      fillFloats(vector.program.operands[0], 4);
      fillIntegers(vector.program.operands[1], 32767);
      fillHalves(row);
      fill<int32_t>(perRow, -5, 5);
      static constexpr float extremes[] = {0.0f, -0.0f, 1e-40f, 1e30f, -1e30f};
      for (uint32_t i = 0; i < 5; ++i)
        scratch.set(vector.program.operands[0], {0, 0, i, 0}, extremes[i]);
      Scratch expected = scratch;
      forEachIndex(vector.program.result, [&](std::array<uint32_t, 4> index) {
        runProgram(expected, vector.program, index, 0, 0);
      });
      SCOPED_TRACE(testing::Message() << "opcode " << op);
      expectResult(vector, expected);
    }
}

TEST_F(Execution, VectorResultsOfAllTypesAndLayouts) {
  for (DType dtype : {DType::I16, DType::F16, DType::F32})
    for (int32_t step : {1, 3}) {
      VectorCommand vector;
      std::array<uint32_t, 4> extents = {1, 4, 9, 33};
      vector.program.operands = {denseView(0, DType::F32, extents)};
      vector.program.code = {{Opcode::Load, 5, 0, 0, 0}};
      vector.program.value = 5;
      View result = denseView(1 << 20, dtype, extents,
                              dtype == DType::I16 ? 0.01f : 1.0f, 8191);
      for (int32_t &stride : result.strides)
        stride *= step;
      vector.program.result = result;
      fillFloats(vector.program.operands[0], 60);
      scratch.set(vector.program.operands[0], {0, 0, 0, 0},
                  numerics::kNaN); // qcast of NaN is 0.
      scratch.set(vector.program.operands[0], {0, 0, 0, 1},
                  -numerics::kInfinity);
      if (dtype != DType::I16)
        scratch.set(vector.program.operands[0], {0, 0, 0, 0}, 1e-7f);
      Scratch expected = scratch;
      forEachIndex(result, [&](std::array<uint32_t, 4> index) {
        runProgram(expected, vector.program, index, 0, 0);
      });
      expectResult(vector, expected);
    }
}

TEST_F(Execution, SoftmaxInPlaceAndCausal) {
  for (int32_t causal : {INT32_MAX, -1, 0, 5})
    for (uint32_t columns : {1u, 77u, 300u}) {
      SoftmaxCommand softmax;
      softmax.input = denseView(0, DType::I16, {1, 1, 13, columns}, 0.0007f);
      softmax.result =
          denseView(0, DType::I16, {1, 1, 13, columns}, 1.0f / 32767);
      softmax.sums = denseView(1 << 20, DType::I32, {1, 1, 13, 1});
      softmax.causalOffset = causal;
      fillIntegers(softmax.input, 32767);
      Scratch expected = scratch;
      for (uint32_t row = 0; row < 13; ++row) {
        int64_t visible =
            std::clamp<int64_t>(int64_t(row) + causal + 1, 0, columns);
        int64_t most = -40000;
        int32_t sum = 0;
        for (uint32_t j = 0; j < visible; ++j)
          most = std::max(most, scratch.integer(softmax.input, {0, 0, row, j}));
        for (uint32_t j = 0; j < columns; ++j) {
          int32_t e = 0;
          if (j < visible)
            e = numerics::softmaxExponential(
                static_cast<int32_t>(
                    scratch.integer(softmax.input, {0, 0, row, j}) - most),
                softmax.input.scale);
          sum += e;
          expected.set(softmax.result, {0, 0, row, j}, static_cast<int16_t>(e));
        }
        expected.set(softmax.sums, {0, 0, row, 0}, sum);
      }
      expectResult(softmax, expected);
    }
}

TEST_F(Execution, HalfSoftmax) {
  SoftmaxCommand softmax;
  softmax.input = denseView(0, DType::F16, {1, 1, 6, 50});
  softmax.result = denseView(1 << 16, DType::F16, {1, 1, 6, 50});
  softmax.sums = denseView(1 << 20, DType::F32, {1, 1, 6, 1});
  fillHalves(softmax.input);
  Scratch expected = scratch;
  for (uint32_t row = 0; row < 6; ++row) {
    float most = -1e30f, sum = 0;
    for (uint32_t j = 0; j < 50; ++j)
      most = std::max(most, scratch.real(softmax.input, {0, 0, row, j}));
    for (uint32_t j = 0; j < 50; ++j) {
      float e =
          numerics::exp32(scratch.real(softmax.input, {0, 0, row, j}) - most);
      sum += e;
      expected.set(softmax.result, {0, 0, row, j}, simulator::toHalf(e));
    }
    expected.set(softmax.sums, {0, 0, row, 0}, sum);
  }
  expectResult(softmax, expected);
}

TEST_F(Execution, NormStatistics) {
  for (bool accumulate : {false, true}) {
    NormStatsCommand stats;
    stats.input = denseView(0, DType::I16, {1, 50, 8, 10});
    stats.stats = denseView(1 << 20, DType::I64, {1, 1, 8, 2});
    stats.accumulate = accumulate;
    fillIntegers(stats.input, 32767);
    fill<int64_t>(stats.stats, 0, 1 << 30);
    Scratch expected = scratch;
    for (uint32_t group = 0; group < 8; ++group) {
      int64_t sum = 0, squares = 0;
      for (uint32_t row = 0; row < 50; ++row)
        for (uint32_t c = 0; c < 10; ++c) {
          int64_t q = scratch.integer(stats.input, {0, row, group, c});
          sum += q;
          squares += q * q;
        }
      if (accumulate) {
        sum += scratch.integer(stats.stats, {0, 0, group, 0});
        squares += scratch.integer(stats.stats, {0, 0, group, 1});
      }
      expected.set(stats.stats, {0, 0, group, 0}, sum);
      expected.set(stats.stats, {0, 0, group, 1}, squares);
    }
    expectResult(stats, expected);
  }
}

TEST_F(Execution, NormFactorsFollowTheContract) {
  NormFactorsCommand factors;
  factors.stats = denseView(0, DType::I64, {1, 1, 4, 2});
  factors.gamma = denseView(1024, DType::F32, {1, 1, 4, 10});
  factors.beta = denseView(2048, DType::F32, {1, 1, 4, 10});
  factors.factors = denseView(4096, DType::F32, {1, 1, 4, 10});
  factors.biases = denseView(8192, DType::F32, {1, 1, 4, 10});
  factors.count = 40960;
  factors.epsilon = 1e-5f;
  factors.inputScale = 0.00037f;
  fillFloats(factors.gamma);
  fillFloats(factors.beta);
  for (uint32_t group = 0; group < 4; ++group) {
    scratch.set(factors.stats, {0, 0, group, 0},
                int64_t(group) * 12345678 - 20000000);
    scratch.set(factors.stats, {0, 0, group, 1},
                group == 3 ? int64_t(0) : int64_t(group + 1) << 41);
  }
  Scratch expected = scratch;
  double s = factors.inputScale, count = 40960, epsilon = factors.epsilon;
  for (uint32_t group = 0; group < 4; ++group) {
    double mean =
        double(scratch.integer(factors.stats, {0, 0, group, 0})) / count;
    volatile double squared = mean * mean; // Rounded: no fma.
    double variance =
        double(scratch.integer(factors.stats, {0, 0, group, 1})) / count -
        squared;
    variance = std::max(variance, 0.0);
    volatile double scaled = (variance * s) * s;
    double t = s * (1.0 / std::sqrt(scaled + epsilon));
    for (uint32_t c = 0; c < 10; ++c) {
      double gamma = scratch.real(factors.gamma, {0, 0, group, c});
      volatile double shift = (mean * t) * gamma;
      expected.set(factors.factors, {0, 0, group, c},
                   static_cast<float>(t * gamma));
      expected.set(
          factors.biases, {0, 0, group, c},
          static_cast<float>(
              double(scratch.real(factors.beta, {0, 0, group, c})) - shift));
    }
  }
  expectResult(factors, expected);
}

TEST_F(Execution, LayerNormRows) {
  for (bool rms : {false, true})
    for (uint32_t columns : {320u, 33u}) {
      LayerNormCommand norm;
      norm.input = denseView(0, DType::I16, {1, 1, 11, columns}, 0.00021f);
      norm.gamma = denseView(1 << 16, DType::F32, {1, 1, 1, columns});
      norm.beta = denseView(1 << 17, DType::F32, {1, 1, 1, columns});
      norm.epsilon = 1e-5f;
      norm.rms = rms;
      norm.epilogue.result =
          denseView(1 << 20, DType::I16, {1, 1, 11, columns}, 0.0002f);
      fillIntegers(norm.input, 32767);
      fillFloats(norm.gamma);
      fillFloats(norm.beta);
      Scratch expected = scratch;
      for (uint32_t row = 0; row < 11; ++row) {
        int64_t sum = 0, squares = 0;
        for (uint32_t c = 0; c < columns; ++c) {
          int64_t q = scratch.integer(norm.input, {0, 0, row, c});
          sum += q;
          squares += q * q;
        }
        auto [a, b] = numerics::layerNormFactors(numerics::normStatistics(
            sum, squares, columns, norm.input.scale, norm.epsilon, rms));
        for (uint32_t c = 0; c < columns; ++c) {
          float q =
              static_cast<float>(scratch.integer(norm.input, {0, 0, row, c}));
          volatile float value = q * a;
          if (!rms)
            value = value + b;
          value = value * scratch.real(norm.gamma, {0, 0, 0, c});
          value = value + scratch.real(norm.beta, {0, 0, 0, c});
          runProgram(expected, norm.epilogue, {0, 0, row, c}, value, 0);
        }
      }
      expectResult(norm, expected);
    }
}

TEST_F(Execution, Copies) {
  for (unsigned i = 0; i < 40; ++i) {
    reseed(i);
    DmaCommand dma;
    dma.elementBytes = static_cast<uint8_t>(1u << generator() % 4);
    dma.isStore = generator() % 2;
    int64_t dramStride = dma.elementBytes, scratchStride = dma.elementBytes;
    for (size_t d = 5; d-- > 0;) {
      dma.extents[d] = static_cast<uint32_t>(generator() % 5 + 1);
      dma.dramStrides[d] = dramStride;
      dma.scratchStrides[d] = static_cast<int32_t>(scratchStride);
      dramStride *= dma.extents[d] + generator() % 2;
      scratchStride *= dma.extents[d] + generator() % 2;
    }
    if (generator() % 2) { // A transposition.
      std::swap(dma.dramStrides[3], dma.dramStrides[4]);
      std::swap(dma.extents[0], dma.extents[3]);
      dma.extents[4] = dma.extents[3] =
          std::min(dma.extents[3], dma.extents[4]);
      dma.extents[0] = 1;
    }
    dma.address = static_cast<uint32_t>(generator() % 100 * 8);
    dma.offset = generator() % 100 * 8;
    std::vector<std::byte> dram(1 << 19);
    for (std::byte &byte : dram)
      byte = std::byte(generator());
    for (std::byte &byte : scratch.bytes)
      byte = std::byte(generator());
    Scratch expected = scratch;
    std::vector<std::byte> expectedDram = dram;
    uint32_t total = 1;
    for (uint32_t extent : dma.extents)
      total *= extent;
    for (uint32_t at = 0; at < total; ++at) {
      uint32_t rest = at;
      int64_t from = 0, to = 0;
      for (size_t d = 5; d-- > 0; rest /= dma.extents[d]) {
        from += rest % dma.extents[d] * dma.dramStrides[d];
        to += int64_t(rest % dma.extents[d]) * dma.scratchStrides[d];
      }
      std::byte *dramAt = expectedDram.data() + dma.offset + from,
                *scratchAt = expected.bytes.data() + dma.address + to;
      std::memcpy(dma.isStore ? dramAt : scratchAt,
                  dma.isStore ? scratchAt : dramAt, dma.elementBytes);
    }
    auto pool = std::move(*ThreadPool::create(2));
    simulator::Workbench workbench;
    void *slots[] = {dram.data()};
    simulator::ExecutionContext context = {simulator::hostKernels(),
                                           *pool,
                                           workbench,
                                           {scratch.bytes.data(), slots}};
    simulator::execute(dma, context);
    ASSERT_EQ(scratch.bytes, expected.bytes) << "seed " << i;
    ASSERT_EQ(dram, expectedDram) << "seed " << i;
  }
}

TEST(Halves, ConvertEveryValueBothWays) {
  std::array<uint16_t, 8> halves, back;
  std::array<float, 8> portable, host;
  for (uint32_t first = 0; first < 65536; first += 8) {
    for (uint32_t i = 0; i < 8; ++i)
      halves[i] = static_cast<uint16_t>(first + i);
    simulator::portableKernels().loadF16(halves.data(), portable.data(), 8);
    simulator::hostKernels().loadF16(halves.data(), host.data(), 8);
    ASSERT_EQ(std::memcmp(portable.data(), host.data(), sizeof(host)), 0)
        << first;
    simulator::portableKernels().storeF16(portable.data(), back.data(), 8);
    for (uint32_t i = 0; i < 8; ++i)
      if (portable[i] == portable[i])
        ASSERT_EQ(back[i], halves[i]);
  }
  std::mt19937 generator(3);
  for (int round = 0; round < 200000; ++round) {
    for (float &value : portable)
      value = numerics::fromBits(static_cast<uint32_t>(generator()));
    simulator::portableKernels().storeF16(portable.data(), halves.data(), 8);
    simulator::hostKernels().storeF16(portable.data(), back.data(), 8);
    ASSERT_EQ(halves, back) << "seed 3, round " << round;
  }
}
