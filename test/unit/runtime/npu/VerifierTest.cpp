// The static verifier: each class of mistake in a program, made by hand.
#include "TestPrograms.h"

#include "npu/HappensBefore.h"
#include "npu/Verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::test;
using testing::AllOf;
using testing::HasSubstr;

static std::string problemOf(const Program &program) {
  Status status = verifyProgram(program, testMachine());
  return status.ok() ? "" : status.message();
}

static Command &commandOf(Program &program, Queue queue, size_t index) {
  return program.queues[static_cast<size_t>(queue)][index];
}

template <typename Body>
static Body &bodyOf(Program &program, Queue queue, size_t index) {
  return std::get<Body>(commandOf(program, queue, index).body);
}

TEST(Verifier, AcceptsACorrectProgram) {
  Program program = matmulProgram();
  EXPECT_EQ(problemOf(program), "");
  program.flow = dataFlowOf(program);
  EXPECT_EQ(problemOf(program), "");
}

TEST(Verifier, FindsAMissingWait) {
  Program program = matmulProgram();
  std::erase_if(commandOf(program, Queue::Gte0, 2).waits,
                [](const Wait &wait) { return wait.queue == Queue::Dma0; });
  EXPECT_THAT(problemOf(program),
              AllOf(HasSubstr("may run before or beside what writes its "
                              "operand"),
                    HasSubstr("command 2 of gte0"), HasSubstr("of dma0"),
                    HasSubstr("'/model/MatMul'"), HasSubstr("bytes [")));
}

TEST(Verifier, FindsAnOverwrittenOperand) {
  Program program = matmulProgram();
  // The load of tile 3 reuses the buffer that tile 1's product still reads.
  commandOf(program, Queue::Dma0, 2 + 3).waits.clear();
  EXPECT_THAT(problemOf(program),
              HasSubstr("may overwrite what is still to be read by command 1 "
                        "of gte0"));
}

TEST(Verifier, FindsADeadlock) {
  Program program = matmulProgram();
  commandOf(program, Queue::Dma0, 0).waits = {{Queue::Dma1, 1}};
  EXPECT_THAT(problemOf(program),
              AllOf(HasSubstr("deadlocks"), HasSubstr("command 0 of dma0"),
                    HasSubstr("waits for dma1 to count 1, which stays at 0"),
                    HasSubstr("command 0 of gte0")));
}

TEST(Verifier, FindsAWaitForMoreThanThereIs) {
  Program program = matmulProgram();
  commandOf(program, Queue::Gte0, 5).waits.push_back({Queue::Vector0, 99});
  EXPECT_THAT(problemOf(program),
              HasSubstr("waits for vector0 to count 99, which stays at"));
}

TEST(Verifier, FindsAMissingNotify) {
  Program program = matmulProgram();
  commandOf(program, Queue::Dma0, 0).notify = false;
  EXPECT_NE(problemOf(program), "");
}

TEST(Verifier, FindsReadsOfWhatNothingWrote) {
  Program program = matmulProgram();
  bodyOf<DmaCommand>(program, Queue::Dma0, 2).extents[4] -= 2;
  EXPECT_THAT(problemOf(program), HasSubstr("reads what nothing wrote"));
}

TEST(Verifier, FindsUnwrittenOutputs) {
  Program program = matmulProgram();
  bodyOf<DmaCommand>(program, Queue::Dma1, 2 * kTiles - 1).extents[4] -= 2;
  EXPECT_THAT(problemOf(program), AllOf(HasSubstr("no command writes all of"),
                                        HasSubstr("output 0")));
}

TEST(Verifier, FindsOverlappingLiveRanges) {
  Program program = matmulProgram();
  program.flow = dataFlowOf(program);
  // Tile 1's rows arrive where tile 0's still are: the waits are made for
  // that, but the data of tile 0 is gone.
  bodyOf<DmaCommand>(program, Queue::Dma0, 3).address =
      bodyOf<DmaCommand>(program, Queue::Dma0, 2).address;
  bodyOf<TensorCommand>(program, Queue::Gte0, 1).input.address =
      bodyOf<TensorCommand>(program, Queue::Gte0, 0).input.address;
  commandOf(program, Queue::Gte0, 0).waits = {{Queue::Dma0, 4}};
  commandOf(program, Queue::Dma0, 4).waits = {{Queue::Gte0, 2}};
  EXPECT_THAT(problemOf(program), AllOf(HasSubstr("live ranges overlap"),
                                        HasSubstr("command 0 of gte0")));
}

/// The end of one store and the beginning of the next in one granule: a load of
/// the first may run before the second store or after it.
TEST(Verifier, NeighboursInAGranuleDoNotEnterTheDataFlow) {
  auto makeProgram = [](bool loadFirst) {
    Program program;
    program.sources = {{"/n", "op", 0, 0}};
    program.slotBytes = {0, 256, 256, 100};
    program.scratchpadBytes = 1024;
    program.numInputs = 1;
    append(program, Queue::Dma0, denseDma(false, 2, 0, 0, 256));
    append(program, Queue::Dma0, denseDma(true, 1, 0, 0, 100));
    DmaCommand load = denseDma(false, 1, 0, 512, 100),
               store = denseDma(true, 1, 100, 100, 100);
    append(program, Queue::Dma0, loadFirst ? load : store);
    append(program, Queue::Dma0, loadFirst ? store : load);
    append(program, Queue::Dma0, denseDma(true, 3, 0, 512, 100));
    return program;
  };
  std::vector<uint32_t> first = dataFlowOf(makeProgram(true)),
                        last = dataFlowOf(makeProgram(false));
  EXPECT_EQ(first[2], last[3]);
}

TEST(Verifier, AllowsBytesThatNothingReads) {
  Program program = matmulProgram();
  program.flow = dataFlowOf(program);
  append(program, Queue::Dma0, denseDma(false, 0, 0, 12288, 64));
  append(program, Queue::Dma0, denseDma(false, 0, 64, 12288, 64));
  synchronize(program);
  program.flow = dataFlowOf(program);
  EXPECT_EQ(problemOf(program), "");
}

TEST(Verifier, FindsWhatOnlyTheDataFlowShows) {
  Program program = matmulProgram();
  program.flow = dataFlowOf(program);
  // A load from the wrong rows: in range, aligned, ordered.
  bodyOf<DmaCommand>(program, Queue::Dma0, 2).offset = kTileRows * kDepth * 2;
  EXPECT_THAT(problemOf(program),
              AllOf(HasSubstr("other bytes than it was meant to"),
                    HasSubstr("command 2 of dma0")));
  // The right buffer, but other rows of it.
  program = matmulProgram();
  program.flow = dataFlowOf(program);
  VectorProgram &sum =
      bodyOf<VectorCommand>(program, Queue::Vector0, 1).program;
  sum.operands[1].address += kDepth * 2;
  for (View *view : {&sum.operands[0], &sum.operands[1], &sum.result})
    view->extents[2] -= 1;
  EXPECT_NE(problemOf(program), "");
  // Two buffers exchanged in a reader.
  program = matmulProgram();
  program.flow = dataFlowOf(program);
  View &operand =
      bodyOf<VectorCommand>(program, Queue::Vector0, 3).program.operands[1];
  operand.address = bodyOf<VectorCommand>(program, Queue::Vector0, 2)
                        .program.operands[1]
                        .address;
  EXPECT_NE(problemOf(program), "");
}

TEST(Verifier, DataFlowIgnoresAddresses) {
  Program program = matmulProgram(), moved = program;
  for (std::vector<Command> &queue : moved.queues)
    for (Command &command : queue)
      if (auto *dma = std::get_if<DmaCommand>(&command.body))
        dma->address += 4096;
      else if (auto *tensor = std::get_if<TensorCommand>(&command.body))
        for (View *view :
             {&tensor->input, &tensor->weights, &tensor->epilogue.operands[0],
              &tensor->epilogue.result})
          view->address += 4096;
      else if (auto *vector = std::get_if<VectorCommand>(&command.body))
        for (View *view :
             {&vector->program.operands[0], &vector->program.operands[1],
              &vector->program.result})
          view->address += 4096;
  moved.scratchpadBytes += 4096;
  EXPECT_EQ(problemOf(moved), "");
  EXPECT_EQ(dataFlowOf(program), dataFlowOf(moved));
}

TEST(Verifier, FindsAddressesOutOfRange) {
  Program program = matmulProgram();
  bodyOf<DmaCommand>(program, Queue::Dma0, 4).address =
      program.scratchpadBytes - 100;
  EXPECT_THAT(problemOf(program),
              AllOf(HasSubstr("its scratchpad side"),
                    HasSubstr("scratchpad has 16384 bytes")));
  program = matmulProgram();
  bodyOf<DmaCommand>(program, Queue::Dma0, 4).offset = 1 << 20;
  EXPECT_THAT(problemOf(program), HasSubstr("the tensor has"));
  program = matmulProgram();
  bodyOf<TensorCommand>(program, Queue::Gte0, 0).input.strides[1] = -48;
  bodyOf<TensorCommand>(program, Queue::Gte0, 0).input.address = 16;
  EXPECT_THAT(problemOf(program), HasSubstr("its input at 16 reaches from"));
  program = matmulProgram();
  program.scratchpadBytes = 1 << 20;
  EXPECT_THAT(problemOf(program), HasSubstr("the machine 'test' has 65536"));
}

TEST(Verifier, FindsWrongOperands) {
  auto problem = [](auto change) {
    Program program = matmulProgram();
    change(bodyOf<TensorCommand>(program, Queue::Gte0, 1));
    return problemOf(program);
  };
  EXPECT_THAT(problem([](TensorCommand &t) { t.input.address += 1; }),
              HasSubstr("not aligned"));
  EXPECT_THAT(problem([](TensorCommand &t) { t.weights.extents[3] = 23; }),
              HasSubstr("24 channels and its weights 23"));
  EXPECT_THAT(problem([](TensorCommand &t) {
                t.input.dtype = DType::F16;
                t.input.scale = 1;
              }),
              HasSubstr("multiplies f16 with i8"));
  EXPECT_THAT(problem([](TensorCommand &t) { t.epilogue.value = 9; }),
              HasSubstr("register 9 is stored and holds nothing"));
  EXPECT_THAT(problem([](TensorCommand &t) { t.epilogue.code[1].b = 5; }),
              HasSubstr("reads a register that holds nothing"));
  EXPECT_THAT(problem([](TensorCommand &t) { t.epilogue.code[0].a = 3; }),
              HasSubstr("operand 3 is loaded and there are 1"));
  EXPECT_THAT(
      problem([](TensorCommand &t) { t.epilogue.result.dtype = DType::I8; }),
      HasSubstr("cannot store"));
  EXPECT_THAT(problem([](TensorCommand &t) {
                t.epilogue.result.address = t.input.address;
              }),
              HasSubstr("its result lies on its input"));
  EXPECT_THAT(
      problem([](TensorCommand &t) { t.epilogue.result.strides[1] = 2; }),
      HasSubstr("elements of its result lie on each other"));
  EXPECT_THAT(
      problem([](TensorCommand &t) { t.epilogue.operands[0].extents[3] = 19; }),
      HasSubstr("an operand has 19 elements where the result has 20"));
}

TEST(Verifier, FindsRowsThatLieOnEachOther) {
  for (uint32_t rows : {1u, 4u}) {
    Program program;
    program.slotBytes = {0, 0};
    program.scratchpadBytes = 4096;
    Command command;
    VectorCommand vector;
    vector.program.operands = {denseView(32, DType::I16, {1, 1, rows, 64})};
    vector.program.code = {{Opcode::Load, 0, 0, 0, 0}};
    vector.program.result = denseView(0, DType::I16, {1, 1, rows, 64});
    command.body = vector;
    EXPECT_EQ(checkCommand(command, Queue::Vector0, program, testMachine()),
              "its result lies on an operand");
  }
}

/// Commands that make no sense are refused, whatever is wrong with them.
TEST(Verifier, RefusesRandomCommands) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 generator(seed);
    Program program = randomProgram(generator);
    if (seed % 2) // Few ranges are outside of that.
      program.scratchpadBytes = UINT32_MAX;
    for (size_t queue = 0; queue < kNumQueues; ++queue)
      for (const Command &command : program.queues[queue])
        checkCommand(command, static_cast<Queue>(queue), program,
                     testMachine());
    EXPECT_NE(problemOf(program), "");
  }
}

TEST(Verifier, FindsWrongEngines) {
  Program program = matmulProgram();
  Machine machine = testMachine();
  machine.vectorEngines = 0;
  Status status = verifyProgram(program, machine);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("does not have for vector"));
  std::swap(program.queues[static_cast<size_t>(Queue::Gte0)],
            program.queues[static_cast<size_t>(Queue::Vector3)]);
  EXPECT_THAT(problemOf(program), HasSubstr("for tensor commands"));
}

TEST(Verifier, FindsStoresToInputs) {
  Program program = matmulProgram();
  bodyOf<DmaCommand>(program, Queue::Dma1, 0).slot = 2;
  EXPECT_THAT(problemOf(program), HasSubstr("writes to an input"));
}

TEST(Verifier, FindsRacesInDram) {
  Program program = matmulProgram();
  // A reload of the workspace that waits for nothing but its buffer.
  Command &load = commandOf(program, Queue::Dma0, 2 + kTiles);
  std::erase_if(load.waits,
                [](const Wait &wait) { return wait.queue == Queue::Dma1; });
  EXPECT_NE(problemOf(program), "");
}

TEST(Timelines, AreCheckedInTime) {
  Program program = matmulProgram();
  Timeline timeline = simulateTime(program, testMachine());
  EXPECT_TRUE(checkTimeline(program, timeline).ok());
  // As if a load had taken longer than what waits for it knows.
  for (Event &event : timeline.events)
    if (event.queue == Queue::Dma0 && event.index == 2)
      event.end += 1e6;
  Status status = checkTimeline(program, timeline);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("command 0 of gte0"));
}

/// 60,000 commands on large buffers.
TEST(Verifier, TakesLargePrograms) {
  Program program;
  program.sources = {{"/n", "op", 0, 0}};
  constexpr uint32_t bytes = 8192, tiles = 20000;
  program.slotBytes = {0, 0, uint64_t(tiles) * bytes, uint64_t(tiles) * bytes};
  program.numInputs = 1;
  program.scratchpadBytes = 1 << 16;
  for (uint32_t tile = 0; tile < tiles; ++tile) {
    uint32_t x = tile % 4 * bytes, y = x + 4 * bytes;
    auto add = [&](Queue queue, Body body, std::vector<Wait> waits) {
      Command command;
      command.sequence = tile * 3 + static_cast<uint32_t>(body.index() == 2) +
                         2 * (queue == Queue::Dma1);
      command.notify = true;
      command.body = std::move(body);
      command.waits = std::move(waits);
      program.queues[static_cast<size_t>(queue)].push_back(std::move(command));
    };
    uint64_t offset = uint64_t(tile) * bytes;
    uint32_t reused = tile >= 4 ? tile - 3 : 0;
    add(Queue::Dma0, denseDma(false, 2, offset, x, bytes),
        {{Queue::Vector0, reused}});
    VectorCommand vector;
    vector.program.operands = {denseView(x, DType::I16, {1, 1, 1, bytes / 2})};
    vector.program.code = {{Opcode::Load, 0, 0, 0, 0}};
    vector.program.result = denseView(y, DType::I16, {1, 1, 1, bytes / 2});
    add(Queue::Vector0, vector,
        {{Queue::Dma0, tile + 1}, {Queue::Dma1, reused}});
    add(Queue::Dma1, denseDma(true, 3, offset, y, bytes),
        {{Queue::Vector0, tile + 1}});
  }
  EXPECT_EQ(problemOf(program), "");
}

TEST(Accesses, MergeContiguousDimensions) {
  Command command;
  DmaCommand dma = denseDma(false, 0, 1000, 0, 1);
  dma.elementBytes = 2;
  dma.extents = {1, 2, 3, 4, 5};
  dma.dramStrides = {0, 4000, 400, 10, 2};
  dma.scratchStrides = {0, 120, 40, 10, 2};
  command.body = dma;
  std::vector<Access> accesses = accessesOf(command);
  ASSERT_EQ(accesses.size(), 2u);
  EXPECT_FALSE(accesses[0].isWrite);
  EXPECT_EQ(accesses[0].slot, 0);
  EXPECT_EQ(accesses[0].base, 1000u);
  EXPECT_EQ(accesses[0].rowBytes, 40u);
  EXPECT_EQ(accesses[0].extents[2], 2u);
  EXPECT_EQ(accesses[0].strides[2], 4000);
  EXPECT_EQ(accesses[0].extents[3], 3u);
  EXPECT_EQ(accesses[0].strides[3], 400);
  EXPECT_TRUE(accesses[1].isWrite);
  EXPECT_EQ(accesses[1].slot, -1);
  EXPECT_EQ(accesses[1].rowBytes, 240u);
}

TEST(Accesses, LeaveOutRepetitionAndTurnNegativeStrides) {
  Command command;
  VectorCommand vector;
  vector.program.result = denseView(0, DType::F32, {1, 1, 4, 8});
  View repeated = denseView(512, DType::F32, {1, 1, 4, 8});
  repeated.strides[2] = 0;
  View backwards = denseView(1024 + 96, DType::F32, {1, 1, 4, 8});
  backwards.strides[2] = -32;
  vector.program.operands = {repeated, backwards};
  command.body = vector;
  std::vector<Access> accesses = accessesOf(command);
  ASSERT_EQ(accesses.size(), 3u);
  EXPECT_EQ(accesses[0].rowBytes, 32u);
  EXPECT_EQ(accesses[1].base, 1024u);
  EXPECT_EQ(accesses[1].rowBytes, 128u);
  EXPECT_TRUE(accesses[2].isWrite);
}
