// Costs of commands and the event model, against values worked out by hand.
#include "npu/Timing.h"
#include "TestPrograms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace efrt;
using namespace efrt::npu;
using ::testing::HasSubstr;

/// 1 cycle = 1 ns, 16 bytes a cycle, DMA set-up 10 cycles.
static Machine makeMachine() {
  Machine machine = test::testMachine();
  machine.scratchpadBytes = 1 << 20;
  machine.loadStoreCost = 2;
  machine.normStatsCost = 3;
  machine.layerNormCost = 6;
  return machine;
}

/// A contiguous load of `bytes`.
static Command makeDma(uint32_t bytes, bool isStore = false) {
  DmaCommand dma;
  dma.isStore = isStore;
  dma.elementBytes = 1;
  dma.extents = {1, 1, 1, 1, bytes};
  dma.dramStrides = {0, 0, 0, 0, 1};
  dma.scratchStrides = {0, 0, 0, 0, 1};
  Command command;
  command.body = dma;
  return command;
}

/// A vector command of 1 operation an element (no operands, result): 32 *
/// (cycles - 5) / (2 + 1) elements would be needed, so the cost is set instead.
static Command makeVector(uint32_t elements) {
  VectorCommand vector;
  vector.program.result.extents = {1, 1, 1, elements};
  Command command;
  command.body = vector;
  return command;
}

/// 5 + 32 * n * 2 / 32 cycles.
static constexpr uint32_t kVectorUnit = 32;

static Command makeMatmul(uint32_t rows, uint32_t k, uint32_t n,
                          DType weights) {
  TensorCommand tensor;
  tensor.input.extents = {1, rows, 1, k};
  tensor.weights.dtype = weights;
  tensor.weights.extents = {n, 1, 1, k};
  tensor.epilogue.result.extents = {1, rows, 1, n};
  Command command;
  command.body = tensor;
  return command;
}

class TimingTest : public ::testing::Test {
protected:
  /// Appends `command` in serial order.
  Command &add(Queue queue, Command command, std::vector<Wait> waits = {}) {
    command.sequence = sequence++;
    command.notify = true;
    command.waits = std::move(waits);
    auto &commands = program.queues[static_cast<size_t>(queue)];
    commands.push_back(std::move(command));
    return commands.back();
  }

  Event eventOf(const Timeline &timeline, uint32_t number) {
    for (const Event &event : timeline.events)
      if (event.sequence == number)
        return event;
    ADD_FAILURE() << "command " << number << " did not run";
    return {};
  }

  Machine machine = makeMachine();
  Program program;
  uint32_t sequence = 0;
};

TEST_F(TimingTest, TensorCyclesRoundUpToTheArray) {
  // 17 -> 32 rows, 40 -> 64 channels, 17 -> 32 outputs; 8192 MAC * 1/2 * 1/2.
  double expected = 100 + 32.0 * 64 * 32 / (8192 * 0.25);
  EXPECT_DOUBLE_EQ(
      cyclesOf(makeMatmul(17, 40, 17, DType::I8), Queue::Gte0, machine),
      expected);
  EXPECT_DOUBLE_EQ(tensorCycles(machine.gte, 0.5, 17, 1, 40, 17, 2), expected);
  // Quarter rate for 16-bit weights: the products take twice as long.
  EXPECT_DOUBLE_EQ(
      cyclesOf(makeMatmul(17, 40, 17, DType::I16), Queue::Gte1, machine),
      100 + 2 * (expected - 100));
  // A small engine does not round positions up.
  EXPECT_DOUBLE_EQ(
      cyclesOf(makeMatmul(1, 64, 32, DType::I8), Queue::Ste0, machine),
      10 + 64 * 32 / (512 * 0.25));
}

TEST_F(TimingTest, OutputStageBindsWhenItIsSlower) {
  Command command = makeMatmul(16, 32, 16, DType::I8);
  // Products: 16 * 32 * 16 / 2048 = 4 cycles. Store: 256 * 2 / 128 = 4.
  EXPECT_DOUBLE_EQ(cyclesOf(command, Queue::Gte0, machine), 104);
  auto &tensor = std::get<TensorCommand>(command.body);
  tensor.epilogue.operands.resize(1);
  tensor.epilogue.code = {{Opcode::Load, 1, 0}, {Opcode::Add, 0, 0, 1}};
  // Now (2 operands and results * 2 + 2 instructions) * 256 / 128.
  EXPECT_DOUBLE_EQ(costOf(tensor.epilogue, machine), 6);
  EXPECT_DOUBLE_EQ(cyclesOf(command, Queue::Gte0, machine), 112);
}

TEST_F(TimingTest, GatedProductsCountTwice) {
  Command command = makeMatmul(16, 320, 24, DType::I8);
  auto &tensor = std::get<TensorCommand>(command.body);
  tensor.gated = true;
  tensor.gateWeights = tensor.weights;
  // 24 -> 32 outputs, twice.
  EXPECT_DOUBLE_EQ(cyclesOf(command, Queue::Gte0, machine),
                   100 + 16.0 * 320 * 64 / 2048);
  // The output stage sees one result for each pair.
  tensor.epilogue.code.assign(40, {Opcode::Add, 0, 0, 0});
  double rounded = 16 * 64 * (42 / 2.0) / 128;
  EXPECT_DOUBLE_EQ(cyclesOf(command, Queue::Gte0, machine), 100 + rounded);
}

TEST_F(TimingTest, DepthwiseSumsItsTaps) {
  Command command = makeMatmul(1, 1, 48, DType::I8);
  auto &tensor = std::get<TensorCommand>(command.body);
  tensor.depthwise = true;
  tensor.input.extents = {1, 8, 8, 48};
  tensor.weights.extents = {48, 3, 3, 1};
  tensor.epilogue.result.extents = {1, 8, 8, 48};
  // 9 taps -> 32.
  EXPECT_DOUBLE_EQ(cyclesOf(command, Queue::Ste0, machine),
                   10 + 64.0 * 32 * 48 / (512 * 0.25));
}

TEST_F(TimingTest, VectorCommands) {
  EXPECT_DOUBLE_EQ(vectorCycles(machine, 320, 7), 5 + 70);
  EXPECT_DOUBLE_EQ(cyclesOf(makeVector(320), Queue::Vector0, machine), 5 + 20);
  Command command;
  SoftmaxCommand softmax;
  softmax.input.extents = {1, 1, 4, 64};
  command.body = softmax;
  EXPECT_DOUBLE_EQ(cyclesOf(command, Queue::Vector1, machine), 5 + 64);
  NormStatsCommand stats;
  stats.input.extents = {1, 16, 2, 10};
  command.body = stats;
  EXPECT_DOUBLE_EQ(cyclesOf(command, Queue::Vector1, machine), 5 + 30);
  LayerNormCommand norm;
  norm.input.extents = {1, 1, 4, 80};
  command.body = norm;
  EXPECT_DOUBLE_EQ(cyclesOf(command, Queue::Vector1, machine), 5 + 10 * 8);
  NormFactorsCommand factors;
  factors.gamma.extents = {1, 1, 2, 8};
  command.body = factors;
  // Each group 9 instructions and 2 accesses, each channel 3 and 4.
  EXPECT_DOUBLE_EQ(cyclesOf(command, Queue::Vector1, machine),
                   5 + (2 * (9 + 4 + 8 * (3 + 8))) / 32.0);
}

TEST_F(TimingTest, DmaChargesBursts) {
  DmaCommand dma;
  dma.elementBytes = 2;
  dma.extents = {1, 1, 4, 8, 16};
  // Rows of 16 elements follow each other, planes do not.
  dma.dramStrides = {0, 0, 4096, 32, 2};
  EXPECT_DOUBLE_EQ(dmaBytesCharged(dma, machine), 4 * 8 * 32);
  // Rows of 32 bytes apart: each charged as 64.
  dma.dramStrides = {0, 0, 4096, 100, 2};
  EXPECT_DOUBLE_EQ(dmaBytesCharged(dma, machine), 4 * 8 * 64);
  // Single elements apart.
  dma.dramStrides = {0, 0, 4096, 512, 4};
  EXPECT_DOUBLE_EQ(dmaBytesCharged(dma, machine), 4 * 8 * 16 * 64);
  // A small transfer takes a burst.
  EXPECT_DOUBLE_EQ(cyclesOf(makeDma(3), Queue::Dma0, machine), 10 + 4);
  EXPECT_DOUBLE_EQ(dmaCycles(machine, 64), 14);
}

TEST_F(TimingTest, QueuesRunInOrderBesideEachOther) {
  add(Queue::Vector0, makeVector(kVectorUnit)); // 5 + 2 = 7
  add(Queue::Vector0, makeVector(kVectorUnit));
  add(Queue::Vector1, makeVector(10 * kVectorUnit)); // 25
  Timeline timeline = simulateTime(program, machine);
  EXPECT_FALSE(timeline.deadlocked) << timeline.problem;
  EXPECT_DOUBLE_EQ(eventOf(timeline, 0).end, 7);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 1).start, 7);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 1).end, 14);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 2).start, 0);
  EXPECT_DOUBLE_EQ(timeline.cycles, 25);
  EXPECT_DOUBLE_EQ(timeline.busy[size_t(Queue::Vector0)], 14);
  EXPECT_DOUBLE_EQ(timeline.busy[size_t(Queue::Vector1)], 25);
}

TEST_F(TimingTest, WaitsHoldACommandBack) {
  add(Queue::Vector0, makeVector(kVectorUnit)); // ends 7
  add(Queue::Vector0, makeVector(kVectorUnit)); // ends 14
  add(Queue::Vector1, makeVector(kVectorUnit), {{Queue::Vector0, 2}});
  add(Queue::Vector2, makeVector(kVectorUnit),
      {{Queue::Vector0, 1}, {Queue::Vector1, 1}});
  Timeline timeline = simulateTime(program, machine);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 2).start, 14);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 3).start, 21);
  EXPECT_DOUBLE_EQ(timeline.cycles, 28);
}

TEST_F(TimingTest, CommandsWithoutNotifyDoNotCount) {
  add(Queue::Vector0, makeVector(kVectorUnit)).notify = false;
  add(Queue::Vector0, makeVector(kVectorUnit));
  add(Queue::Vector1, makeVector(kVectorUnit), {{Queue::Vector0, 1}});
  EXPECT_DOUBLE_EQ(eventOf(simulateTime(program, machine), 2).start, 14);
}

TEST_F(TimingTest, TransfersShareTheBandwidth) {
  add(Queue::Dma0, makeDma(1600));
  add(Queue::Dma1, makeDma(800, /*isStore=*/true));
  Timeline timeline = simulateTime(program, machine);
  // Both set up until 10. At 8 bytes a cycle each the store ends at 110; the
  // load has 800 bytes left, at 16 a cycle.
  EXPECT_DOUBLE_EQ(eventOf(timeline, 1).end, 110);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 0).end, 160);
  EXPECT_EQ(timeline.dramBytes, 2400u);
  EXPECT_EQ(timeline.dramReadBytes, 1600u);
  // One alone.
  program.queues[size_t(Queue::Dma1)].clear();
  EXPECT_DOUBLE_EQ(simulateTime(program, machine).cycles,
                   cyclesOf(makeDma(1600), Queue::Dma0, machine));
}

TEST_F(TimingTest, SetUpTakesNoBandwidth) {
  add(Queue::Dma0, makeDma(1600));
  add(Queue::Vector0, makeVector(kVectorUnit)); // ends 7
  add(Queue::Dma1, makeDma(1600), {{Queue::Vector0, 1}});
  Timeline timeline = simulateTime(program, machine);
  // The first is alone from 10 to 17 (112 bytes), both share until its other
  // 1488 bytes are through at 17 + 186 = 203; then 112 are left of the second.
  EXPECT_DOUBLE_EQ(eventOf(timeline, 0).end, 203);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 2).end, 210);
}

TEST_F(TimingTest, WithoutOverlapStepsAreSerial) {
  machine.overlap = false;
  add(Queue::Dma0, makeDma(160));                      // step 0: 20
  add(Queue::Gte0, makeMatmul(16, 32, 16, DType::I8)); // step 1: 104
  add(Queue::Gte1, makeMatmul(16, 32, 16, DType::I8));
  add(Queue::Vector0, makeVector(kVectorUnit)); // step 2: 7
  add(Queue::Dma0, makeDma(160));               // step 3: shared
  add(Queue::Dma1, makeDma(160, /*isStore=*/true));
  Timeline timeline = simulateTime(program, machine);
  EXPECT_FALSE(timeline.deadlocked) << timeline.problem;
  EXPECT_DOUBLE_EQ(eventOf(timeline, 1).start, 20);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 2).start, 20);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 3).start, 124);
  EXPECT_DOUBLE_EQ(eventOf(timeline, 4).start, 131);
  EXPECT_DOUBLE_EQ(timeline.cycles, 131 + 10 + 20);
}

TEST_F(TimingTest, DeadlockNamesTheCommands) {
  program.sources = {{"/down/conv1/Conv", "conv3x3+silu"}};
  add(Queue::Gte0, makeMatmul(16, 32, 16, DType::I8), {{Queue::Dma0, 2}});
  add(Queue::Dma0, makeDma(64));
  add(Queue::Dma0, makeDma(64), {{Queue::Gte0, 1}});
  Timeline timeline = simulateTime(program, machine);
  EXPECT_TRUE(timeline.deadlocked);
  EXPECT_EQ(timeline.events.size(), 1u);
  EXPECT_EQ(timeline.problem,
            "deadlock: command 1 of dma0 (sequence 2: conv3x3+silu of "
            "'/down/conv1/Conv') waits for gte0 to count 1 but it stays at 0; "
            "command 0 of gte0 (sequence 0: conv3x3+silu of "
            "'/down/conv1/Conv') waits for dma0 to count 2 but it stays at 1");
}

TEST_F(TimingTest, WithoutOverlapAQueueAgainstTheSerialOrderDeadlocks) {
  machine.overlap = false;
  add(Queue::Dma0, makeDma(64)).sequence = 2;
  add(Queue::Gte0, makeMatmul(16, 32, 16, DType::I8));
  add(Queue::Dma0, makeDma(64)).sequence = 0;
  Timeline timeline = simulateTime(program, machine);
  EXPECT_TRUE(timeline.deadlocked);
  EXPECT_THAT(timeline.problem, HasSubstr("before its turn"));
}

TEST_F(TimingTest, OnStartSeesCommandsByStartAndCanStop) {
  add(Queue::Vector0, makeVector(10 * kVectorUnit));
  add(Queue::Vector1, makeVector(kVectorUnit));
  add(Queue::Vector1, makeVector(kVectorUnit));
  std::vector<uint32_t> order;
  simulateTime(program, machine, [&](Queue, const Command &command) {
    order.push_back(command.sequence);
    return true;
  });
  EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2}));
  Timeline timeline =
      simulateTime(program, machine, [&](Queue, const Command &command) {
        return command.sequence != 2;
      });
  EXPECT_FALSE(timeline.deadlocked);
  EXPECT_DOUBLE_EQ(timeline.cycles, 7);
}

TEST_F(TimingTest, CountsMacs) {
  add(Queue::Gte0, makeMatmul(17, 40, 17, DType::I8));
  EXPECT_EQ(simulateTime(program, machine).macs, 17u * 40 * 17);
}

TEST_F(TimingTest, AnEmptyProgramTakesNoTime) {
  EXPECT_DOUBLE_EQ(simulateTime(program, machine).cycles, 0);
  machine.overlap = false;
  EXPECT_FALSE(simulateTime(program, machine).deadlocked);
}

/// A program as large as a whole U-Net's: the time of a chain is the sum of its
/// commands, however many there are.
TEST_F(TimingTest, ManyCommands) {
  constexpr uint32_t kCommands = 200000;
  for (uint32_t i = 0; i < kCommands / 2; ++i) {
    std::vector<Wait> waits;
    if (i > 0)
      waits = {{Queue::Vector0, i}};
    add(Queue::Dma0, makeDma(160), waits);
    add(Queue::Vector0, makeVector(kVectorUnit), {{Queue::Dma0, i + 1}});
  }
  Timeline timeline = simulateTime(program, machine);
  EXPECT_EQ(timeline.events.size(), kCommands);
  EXPECT_NEAR(timeline.cycles, kCommands / 2 * 27.0, 1e-3);
}
