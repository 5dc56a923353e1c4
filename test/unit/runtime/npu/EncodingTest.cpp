// Program <-> bytes: round trips, and bytes that are no program.
#include "TestPrograms.h"

#include "npu/Encoding.h"
#include "npu/MachineFields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::test;
using testing::HasSubstr;

/// Compares by encoding again: equal bytes mean equal programs, as long as
/// the encoding loses nothing, which is checked field by field below.
static void expectSame(const Program &a, const Program &b) {
  EXPECT_EQ(*encodeProgram(a), *encodeProgram(b));
  EXPECT_EQ(a.slotBytes, b.slotBytes);
  EXPECT_EQ(a.numInputs, b.numInputs);
  EXPECT_EQ(a.scratchpadBytes, b.scratchpadBytes);
  EXPECT_EQ(a.flow, b.flow);
  ASSERT_EQ(a.sources.size(), b.sources.size());
  for (size_t i = 0; i < a.sources.size(); ++i) {
    EXPECT_EQ(a.sources[i].node, b.sources[i].node);
    EXPECT_EQ(a.sources[i].op, b.sources[i].op);
    EXPECT_EQ(a.sources[i].group, b.sources[i].group);
    EXPECT_EQ(a.sources[i].tile, b.sources[i].tile);
  }
  for (size_t queue = 0; queue < kNumQueues; ++queue) {
    ASSERT_EQ(a.queues[queue].size(), b.queues[queue].size());
    for (size_t i = 0; i < a.queues[queue].size(); ++i) {
      const Command &x = a.queues[queue][i], &y = b.queues[queue][i];
      EXPECT_EQ(x.sequence, y.sequence);
      EXPECT_EQ(x.source, y.source);
      EXPECT_EQ(x.notify, y.notify);
      EXPECT_EQ(x.body.index(), y.body.index());
      ASSERT_EQ(x.waits.size(), y.waits.size());
      for (size_t j = 0; j < x.waits.size(); ++j) {
        EXPECT_EQ(x.waits[j].queue, y.waits[j].queue);
        EXPECT_EQ(x.waits[j].count, y.waits[j].count);
      }
    }
  }
}

static void expectSame(const View &a, const View &b) {
  EXPECT_EQ(a.address, b.address);
  EXPECT_EQ(a.dtype, b.dtype);
  EXPECT_EQ(a.extents, b.extents);
  EXPECT_EQ(a.strides, b.strides);
  EXPECT_EQ(a.scale, b.scale);
  EXPECT_EQ(a.limit, b.limit);
}

TEST(Encoding, RoundTripsRandomPrograms) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 generator(seed);
    Program program = randomProgram(generator);
    Result<std::vector<std::byte>> bytes = encodeProgram(program);
    ASSERT_TRUE(bytes.ok()) << bytes.status().message();
    Result<Program> decoded = decodeProgram(*bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status().message();
    expectSame(program, *decoded);
  }
}

TEST(Encoding, KeepsEveryField) {
  Program program;
  program.sources = {{"n", "o", 7, 9}};
  program.slotBytes = {1, 2, 3};
  TensorCommand tensor;
  tensor.input = denseView(64, DType::I16, {1, 8, 8, 32}, 0.5f, 8191);
  tensor.input.strides[1] = 1024;
  tensor.weights = denseView(4096, DType::I8, {16, 3, 3, 32});
  tensor.strideY = 2;
  tensor.dilationX = 3;
  tensor.padTop = -1;
  tensor.padLeft = 1;
  tensor.epilogue.code = {{Opcode::Constant, 3, 0, 0, -0.25f},
                          {Opcode::Mul, 4, 0, 3, 0}};
  tensor.epilogue.value = 4;
  tensor.epilogue.result = denseView(0, DType::F32, {1, 4, 8, 16}, 1, 127);
  append(program, Queue::Gte1, tensor);
  Program decoded = std::move(*decodeProgram(*encodeProgram(program)));
  const auto &read = std::get<TensorCommand>(
      decoded.queues[static_cast<size_t>(Queue::Gte1)][0].body);
  expectSame(read.input, tensor.input);
  expectSame(read.weights, tensor.weights);
  expectSame(read.epilogue.result, tensor.epilogue.result);
  EXPECT_EQ(read.strideY, 2);
  EXPECT_EQ(read.strideX, 1);
  EXPECT_EQ(read.dilationX, 3);
  EXPECT_EQ(read.padTop, -1);
  EXPECT_EQ(read.padLeft, 1);
  ASSERT_EQ(read.epilogue.code.size(), 2u);
  EXPECT_EQ(read.epilogue.code[0].op, Opcode::Constant);
  EXPECT_EQ(read.epilogue.code[0].dst, 3);
  EXPECT_EQ(read.epilogue.code[0].immediate, -0.25f);
  EXPECT_EQ(read.epilogue.code[1].b, 3);
  EXPECT_EQ(read.epilogue.value, 4);
}

TEST(Encoding, KeepsDmaStridesOfAllWidths) {
  Program program;
  program.sources = {{}};
  program.slotBytes = {1, 2, 3};
  DmaCommand dma;
  dma.isStore = true;
  dma.elementBytes = 8;
  dma.slot = 2;
  dma.offset = 0x123456789abc;
  dma.address = 0xfffffff8;
  dma.extents = {2, 3, 1, 5, 7};
  dma.dramStrides = {-(int64_t(1) << 31), (int64_t(1) << 31) + 8, 0, 0, 8};
  dma.scratchStrides = {-8, 16, 0, 32, 0};
  append(program, Queue::Dma1, dma);
  Program decoded = std::move(*decodeProgram(*encodeProgram(program)));
  const auto &read = std::get<DmaCommand>(decoded.queues[1][0].body);
  EXPECT_TRUE(read.isStore);
  EXPECT_EQ(read.elementBytes, 8);
  EXPECT_EQ(read.slot, 2);
  EXPECT_EQ(read.offset, dma.offset);
  EXPECT_EQ(read.address, dma.address);
  EXPECT_EQ(read.extents, dma.extents);
  EXPECT_EQ(read.dramStrides, dma.dramStrides);
  EXPECT_EQ(read.scratchStrides, dma.scratchStrides);
}

TEST(Encoding, RefusesWhatHasNoEncoding) {
  Program program;
  program.sources = {{}};
  program.slotBytes = {0, 0};
  append(program, Queue::Dma0, denseDma(false, 0, uint64_t(1) << 48, 0, 4));
  Result<std::vector<std::byte>> bytes = encodeProgram(program);
  ASSERT_FALSE(bytes.ok());
  EXPECT_THAT(bytes.status().message(), HasSubstr("48 bits"));
  program = matmulProgram();
  program.queues[0][0].waits = {{Queue::Gte0, 1}, {Queue::Gte0, 2}};
  EXPECT_FALSE(encodeProgram(program).ok());
}

TEST(Decoding, RefusesDamagedBytes) {
  std::vector<std::byte> good = *encodeProgram(matmulProgram());
  for (unsigned seed = 0; seed < 20000; ++seed) {
    std::mt19937 generator(seed);
    std::vector<std::byte> bytes = good;
    for (unsigned i = generator() % 4; i-- > 0;)
      bytes[generator() % bytes.size()] ^= std::byte(1u << generator() % 8);
    if (generator() % 4 == 0)
      bytes.resize(generator() % bytes.size());
    Result<Program> decoded = decodeProgram(bytes);
    if (!decoded.ok()) {
      ASSERT_FALSE(decoded.status().message().empty()) << "seed " << seed;
      continue;
    }
    // Then it is a program like any other.
    Result<std::vector<std::byte>> again = encodeProgram(*decoded);
    ASSERT_TRUE(again.ok()) << again.status().message();
    ASSERT_EQ(*encodeProgram(*decodeProgram(*again)), *again)
        << "seed " << seed;
  }
}

TEST(Decoding, RefusesGarbage) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 generator(seed);
    std::vector<std::byte> bytes(generator() % 2000);
    for (std::byte &byte : bytes)
      byte = std::byte(generator() % (seed % 2 ? 4 : 256));
    if (seed % 3 == 0 && bytes.size() >= 12) { // Past the first checks.
      uint32_t header[] = {0x55504e45, 1 << 16,
                           static_cast<uint32_t>(bytes.size() / 4)};
      bytes.resize(bytes.size() / 4 * 4);
      std::memcpy(bytes.data(), header, sizeof(header));
    }
    ASSERT_FALSE(decodeProgram(bytes).ok()) << "seed " << seed;
  }
}

TEST(Decoding, NamesTheCommand) {
  std::vector<std::byte> bytes = *encodeProgram(matmulProgram());
  bytes.resize(bytes.size() - 4);
  uint32_t words = static_cast<uint32_t>(bytes.size() / 4);
  std::memcpy(bytes.data() + 8, &words, 4);
  Result<Program> decoded = decodeProgram(bytes);
  ASSERT_FALSE(decoded.ok());
  EXPECT_THAT(decoded.status().message(), HasSubstr("shorter"));
}

TEST(Decoding, RefusesAnotherVersion) {
  std::vector<std::byte> bytes = *encodeProgram(matmulProgram());
  bytes[6] = std::byte(2);
  Result<Program> decoded = decodeProgram(bytes);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.status().getCode(), StatusCode::Unsupported);
  EXPECT_THAT(decoded.status().message(), HasSubstr("2.0"));
}

TEST(Schedule, RoundTrips) {
  Program program = matmulProgram();
  Timeline timeline = simulateTime(program, testMachine());
  ASSERT_FALSE(timeline.deadlocked) << timeline.problem;
  std::vector<std::byte> bytes = encodeSchedule(timeline);
  Result<std::vector<Event>> events = decodeSchedule(bytes, program);
  ASSERT_TRUE(events.ok()) << events.status().message();
  ASSERT_EQ(events->size(), timeline.events.size());
  for (size_t i = 0; i < events->size(); ++i) {
    EXPECT_EQ((*events)[i].sequence, timeline.events[i].sequence);
    EXPECT_EQ((*events)[i].start, timeline.events[i].start);
    EXPECT_EQ((*events)[i].end, timeline.events[i].end);
  }
  bytes[4] = std::byte(200);
  EXPECT_FALSE(decodeSchedule(bytes, program).ok());
  bytes.pop_back();
  EXPECT_FALSE(decodeSchedule(bytes, program).ok());
}

TEST(MachineFields, RoundTripAndRefuse) {
  Machine machine = testMachine();
  machine.opCost[5] = 2.5;
  machine.overlap = false;
  auto figures = figuresOf(machine);
  Result<Machine> read = machineFromFigures("test", figures);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(figuresOf(*read), figures);
  EXPECT_EQ(read->name, "test");
  auto broken = figures;
  broken.pop_back();
  EXPECT_FALSE(machineFromFigures("test", broken).ok());
  broken = figures;
  broken.emplace_back("warp_drives", 1);
  EXPECT_FALSE(machineFromFigures("test", broken).ok());
  broken = figures;
  for (auto &[name, value] : broken)
    if (name == "clock_hz")
      value = 0;
  EXPECT_FALSE(machineFromFigures("test", broken).ok());
}
