// The simulator runs the hand-made program, and every broken form of it is
// caught or harmless.
#include "Mutations.h"
#include "TestPrograms.h"

#include "npu/Encoding.h"
#include "npu/Numerics.h"
#include "npu/Verifier.h"
#include "npu/simulator/Simulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::test;

namespace {
/// Memory of matmulProgram()'s tensors.
struct Tensors {
  std::vector<std::vector<std::byte>> slots;
  std::vector<int8_t> weights;
  std::vector<float> factors;
  std::vector<int16_t> x;

  explicit Tensors(const Program &program) {
    std::mt19937 generator(7);
    for (uint64_t bytes : program.slotBytes)
      slots.emplace_back(bytes);
    for (uint32_t i = 0; i < kOutputs * kDepth; ++i)
      weights.push_back(static_cast<int8_t>(generator() % 255 - 127));
    for (uint32_t i = 0; i < kOutputs; ++i)
      factors.push_back(1e-7f * static_cast<float>(i + 1));
    for (uint32_t i = 0; i < kTiles * kTileRows * kDepth; ++i)
      x.push_back(static_cast<int16_t>(generator()));
    std::memcpy(slots[0].data(), weights.data(), weights.size());
    std::memcpy(slots[0].data() + weights.size(), factors.data(),
                factors.size() * 4);
    std::memcpy(slots[2].data(), x.data(), x.size() * 2);
  }

  std::vector<void *> addresses() {
    std::vector<void *> result;
    for (std::vector<std::byte> &slot : slots)
      result.push_back(slot.data());
    return result;
  }
};
} // namespace

static std::vector<std::byte> run(const Program &program) {
  auto simulator = std::move(*Simulator::create(testMachine(), 2, false));
  Status status = simulator->addProgram("npu_0", *encodeProgram(program));
  EXPECT_TRUE(status.ok()) << status.message();
  Tensors tensors(program);
  EXPECT_TRUE(simulator->run(0, tensors.addresses()).ok());
  return tensors.slots[3];
}

TEST(Simulator, RunsAProgramFromItsBytes) {
  Program program = matmulProgram();
  std::vector<std::byte> bytes = run(program);
  std::vector<int16_t> y(bytes.size() / 2);
  std::memcpy(y.data(), bytes.data(), bytes.size());
  Tensors tensors(program);
  using namespace efrt::numerics;
  for (uint32_t row = 0; row < kTiles * kTileRows; ++row)
    for (uint32_t n = 0; n < kOutputs; ++n) {
      int64_t sum = 0;
      for (uint32_t k = 0; k < kDepth; ++k)
        sum += tensors.x[row * kDepth + k] * tensors.weights[n * kDepth + k];
      float value = silu32(static_cast<float>(sum) * tensors.factors[n]);
      int32_t product = quantize(value, invert(0.0005f), 32767);
      float total = dequantize(product, 0.0005f) +
                    dequantize(tensors.x[row * kDepth + n], 0.001f);
      ASSERT_EQ(y[row * kOutputs + n], quantize(total, invert(0.002f), 8191))
          << row << ", " << n;
    }
}

TEST(Simulator, RefusesProgramsThatRace) {
  Program program = matmulProgram();
  for (std::vector<Command> &queue : program.queues)
    for (Command &command : queue)
      command.waits.clear();
  auto simulator = std::move(*Simulator::create(testMachine(), 1, false));
  Status status = simulator->addProgram("npu_0", *encodeProgram(program));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.getCode(), StatusCode::CorruptData);
  EXPECT_THAT(status.message(), testing::HasSubstr("'/model/MatMul'"));
}

TEST(Simulator, TimingOnlyComputesNothing) {
  auto simulator = std::move(*Simulator::create(testMachine(), 1, true));
  Program program = matmulProgram();
  ASSERT_TRUE(simulator->addProgram("npu_0", *encodeProgram(program)).ok());
  EXPECT_GT(simulator->timeline(0).cycles, 0);
  Tensors tensors(program);
  EXPECT_TRUE(simulator->run(0, tensors.addresses()).ok());
  EXPECT_EQ(tensors.slots[3], std::vector<std::byte>(program.slotBytes[3]));
}

TEST(Mutations, AreCaughtOrHarmless) {
  Program program = matmulProgram();
  program.flow = dataFlowOf(program);
  std::vector<std::byte> expected = run(program);
  std::map<std::pair<MutationKind, Outcome>, int> counts;
  for (unsigned seed = 0; seed < 600; ++seed) {
    std::mt19937 generator(seed);
    Mutation mutation = mutate(program, generator);
    Judgement judgement = judge(mutation.program, testMachine(), expected, run);
    ++counts[{mutation.kind, judgement.outcome}];
    EXPECT_NE(judgement.outcome, Outcome::Missed)
        << "seed " << seed << ": " << nameOf(mutation.kind) << " of "
        << mutation.command;
    if (judgement.outcome == Outcome::CaughtByVerifier)
      EXPECT_FALSE(judgement.message.empty());
  }
  for (auto [key, count] : counts)
    RecordProperty(std::string(nameOf(key.first)) + " " +
                       std::to_string(static_cast<int>(key.second)),
                   count);
  // Nothing that leaves the data flow as it was can change a result, so most
  // are caught; of each kind some.
  for (size_t kind = 0; kind < kNumMutationKinds; ++kind)
    EXPECT_GT(
        (counts[{static_cast<MutationKind>(kind), Outcome::CaughtByVerifier}]),
        0)
        << nameOf(static_cast<MutationKind>(kind));
}
