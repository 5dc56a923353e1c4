#include "TestPrograms.h"

#include <algorithm>

using namespace efrt;
using namespace efrt::npu;
using namespace efrt::npu::test;

Machine test::testMachine() {
  Machine machine;
  machine.name = "test";
  machine.clockHz = 1e9;
  machine.scratchpadBytes = 1 << 16;
  machine.gte = {2, 32, 16, 16, 0.5, 128, 100};
  machine.ste = {2, 32, 16, 1, 0.5, 32, 10};
  machine.vectorEngines = 4;
  machine.vectorLanes = 32;
  machine.vectorStartCycles = 5;
  machine.dramBytesPerSecond = 16e9;
  machine.dmaSetupSeconds = 10e-9;
  machine.opCost.fill(1);
  machine.softmaxCost = 8;
  return machine;
}

View test::denseView(uint32_t address, DType dtype,
                     std::array<uint32_t, 4> extents, float scale,
                     int32_t limit) {
  View view;
  view.address = address;
  view.dtype = dtype;
  view.extents = extents;
  view.scale = scale;
  view.limit = limit;
  auto stride = static_cast<int32_t>(sizeOf(dtype));
  for (size_t i = 4; i-- > 0; stride *= static_cast<int32_t>(extents[i]))
    view.strides[i] = extents[i] == 1 ? 0 : stride;
  return view;
}

DmaCommand test::denseDma(bool isStore, uint16_t slot, uint64_t offset,
                          uint32_t address, uint32_t bytes) {
  DmaCommand dma;
  dma.isStore = isStore;
  dma.elementBytes = 1;
  dma.slot = slot;
  dma.offset = offset;
  dma.address = address;
  dma.extents = {1, 1, 1, 1, bytes};
  dma.dramStrides = {0, 0, 0, 0, 1};
  dma.scratchStrides = {0, 0, 0, 0, 1};
  return dma;
}

void test::append(Program &program, Queue queue, Body body) {
  uint32_t sequence = 0;
  for (const std::vector<Command> &commands : program.queues)
    sequence += static_cast<uint32_t>(commands.size());
  Command command;
  command.sequence = sequence;
  command.body = std::move(body);
  program.queues[static_cast<size_t>(queue)].push_back(std::move(command));
}

/// Do two accesses touch a granule, by their bounds?
static bool mayOverlap(const Access &a, const Access &b) {
  if (a.slot != b.slot || (!a.isWrite && !b.isWrite))
    return false;
  uint64_t granule = a.slot < 0 ? kScratchGranule : kDramGranule;
  auto bounds = [&](const Access &access) {
    uint64_t end = access.base + access.rowBytes;
    for (size_t i = 0; i < 4; ++i)
      end += (access.extents[i] - 1) * static_cast<uint64_t>(access.strides[i]);
    return std::pair(access.base / granule, (end - 1) / granule);
  };
  auto [firstA, lastA] = bounds(a);
  auto [firstB, lastB] = bounds(b);
  return firstA <= lastB && firstB <= lastA;
}

void test::synchronize(Program &program) {
  struct Entry {
    Command *command;
    size_t queue;
    uint32_t index;
    std::vector<Access> accesses;
  };
  std::vector<Entry> order;
  for (size_t queue = 0; queue < kNumQueues; ++queue)
    for (uint32_t i = 0; i < program.queues[queue].size(); ++i) {
      Command &command = program.queues[queue][i];
      command.notify = true;
      command.waits.clear();
      order.push_back({&command, queue, i, accessesOf(command)});
    }
  std::ranges::sort(order, {},
                    [](const Entry &entry) { return entry.command->sequence; });
  for (size_t later = 0; later < order.size(); ++later) {
    std::array<uint32_t, kNumQueues> counts = {};
    for (size_t earlier = 0; earlier < later; ++earlier)
      for (const Access &a : order[later].accesses)
        for (const Access &b : order[earlier].accesses)
          if (order[earlier].queue != order[later].queue && mayOverlap(a, b)) {
            uint32_t &count = counts[order[earlier].queue];
            count = std::max(count, order[earlier].index + 1);
          }
    for (size_t queue = 0; queue < kNumQueues; ++queue)
      if (counts[queue] > 0)
        order[later].command->waits.push_back(
            {static_cast<Queue>(queue), counts[queue]});
  }
}

static Instruction instruction(Opcode op, uint8_t dst, uint8_t a,
                               uint8_t b = 0) {
  return {op, dst, a, b, 0};
}

Program test::matmulProgram() {
  constexpr uint32_t factorsAt = kOutputs * kDepth,
                     xBytes = kTileRows * kDepth * 2,
                     yBytes = kTileRows * kOutputs * 2;
  // Two buffers of each, behind the weights.
  auto xAt = [&](uint32_t tile) { return 1024 + tile % 2 * 1024; };
  auto productAt = [&](uint32_t tile) { return 4096 + tile % 2 * 1024; };
  auto yAt = [&](uint32_t tile) { return 8192 + tile % 2 * 1024; };
  static_assert(xBytes <= 1024 && yBytes <= 1024);

  Program program;
  program.sources = {{"/model/MatMul", "matmul+silu", 0, 0},
                     {"/model/Add", "add", 0, 0}};
  program.slotBytes = {factorsAt + kOutputs * 4, kTiles * yBytes,
                       kTiles * xBytes, kTiles * yBytes};
  program.numInputs = 1;
  program.scratchpadBytes = 16384;
  append(program, Queue::Dma0, denseDma(false, 0, 0, 0, factorsAt));
  append(program, Queue::Dma0,
         denseDma(false, 0, factorsAt, factorsAt, kOutputs * 4));
  for (uint32_t tile = 0; tile < kTiles; ++tile) {
    append(program, Queue::Dma0,
           denseDma(false, 2, tile * xBytes, xAt(tile), xBytes));
    TensorCommand tensor;
    tensor.input =
        denseView(xAt(tile), DType::I16, {1, kTileRows, 1, kDepth}, 0.001f);
    tensor.weights = denseView(0, DType::I8, {kOutputs, 1, 1, kDepth});
    View factors = denseView(factorsAt, DType::F32, {1, 1, 1, kOutputs});
    tensor.epilogue.operands = {factors};
    tensor.epilogue.code = {instruction(Opcode::Load, 1, 0),
                            instruction(Opcode::Mul, 0, 0, 1),
                            instruction(Opcode::Silu, 2, 0)};
    tensor.epilogue.value = 2;
    tensor.epilogue.result = denseView(productAt(tile), DType::I16,
                                       {1, kTileRows, 1, kOutputs}, 0.0005f);
    append(program, Queue::Gte0, tensor);
    append(program, Queue::Dma1,
           denseDma(true, 1, tile * yBytes, productAt(tile), yBytes));
  }
  for (uint32_t tile = 0; tile < kTiles; ++tile) {
    append(program, Queue::Dma0,
           denseDma(false, 1, tile * yBytes, productAt(tile), yBytes));
    append(program, Queue::Dma0,
           denseDma(false, 2, tile * xBytes, xAt(tile), xBytes));
    VectorCommand vector;
    View x =
        denseView(xAt(tile), DType::I16, {1, 1, kTileRows, kOutputs}, 0.001f);
    x.strides[2] = kDepth * 2;
    View product = denseView(productAt(tile), DType::I16,
                             {1, 1, kTileRows, kOutputs}, 0.0005f);
    vector.program.operands = {product, x};
    vector.program.code = {instruction(Opcode::Load, 0, 0),
                           instruction(Opcode::Load, 1, 1),
                           instruction(Opcode::Add, 0, 0, 1)};
    vector.program.result = denseView(
        yAt(tile), DType::I16, {1, 1, kTileRows, kOutputs}, 0.002f, 8191);
    append(program, Queue::Vector0, vector);
    program.queues[static_cast<size_t>(Queue::Vector0)].back().source = 1;
    append(program, Queue::Dma1,
           denseDma(true, 3, tile * yBytes, yAt(tile), yBytes));
  }
  synchronize(program);
  return program;
}

namespace {
/// Random parts of commands.
struct RandomParts {
  std::mt19937 &generator;

  uint32_t below(uint32_t bound) { return generator() % bound; }

  View view() {
    static constexpr DType types[] = {DType::I8,  DType::I16, DType::I32,
                                      DType::I64, DType::F16, DType::F32,
                                      DType::F64};
    View view =
        denseView(below(1 << 20), types[below(7)],
                  {below(2) + 1, below(3) + 1, below(50) + 1, below(600) + 1});
    for (size_t i = 0; i < 4; ++i)
      if (below(4) == 0 && view.extents[i] > 1)
        view.strides[i] = static_cast<int32_t>(generator());
    if (below(2))
      view.scale = static_cast<float>(below(1000) + 1) * 1e-5f;
    static constexpr int32_t limits[] = {32767, 8191, 127};
    view.limit = limits[below(3)];
    return view;
  }

  VectorProgram program() {
    VectorProgram result;
    for (uint32_t i = below(kMaxOperands + 1); i > 0; --i)
      result.operands.push_back(view());
    uint32_t length = below(2) ? below(4) : below(kMaxInstructions + 1);
    for (uint32_t i = 0; i < length; ++i) {
      Instruction next = {
          static_cast<Opcode>(below(kNumOpcodes)),
          static_cast<uint8_t>(below(16)), static_cast<uint8_t>(below(16)),
          static_cast<uint8_t>(below(16)), static_cast<float>(below(100))};
      if (next.op == Opcode::Load && result.operands.empty())
        next.op = Opcode::Constant;
      if (next.op == Opcode::Load)
        next.a %= result.operands.size();
      result.code.push_back(next);
    }
    result.value = static_cast<uint8_t>(below(16));
    result.result = view();
    return result;
  }

  DmaCommand dma() {
    DmaCommand dma;
    dma.isStore = below(2);
    dma.elementBytes = static_cast<uint8_t>(1u << below(4));
    dma.slot = static_cast<uint16_t>(below(4));
    dma.offset = (uint64_t(generator()) << 16 | generator()) & 0xffffffffffff;
    dma.address = generator();
    for (size_t i = 0; i < 5; ++i) {
      dma.extents[i] = below(3) ? below(100) + 1 : 1;
      if (dma.extents[i] == 1)
        continue;
      dma.dramStrides[i] = below(5) ? static_cast<int32_t>(generator())
                                    : (int64_t(1) << 31) + below(100);
      dma.scratchStrides[i] = below(5) ? static_cast<int32_t>(generator()) : 0;
    }
    return dma;
  }

  TensorCommand tensor() {
    TensorCommand tensor;
    tensor.input = view();
    tensor.weights = view();
    tensor.gated = below(2);
    if (tensor.gated)
      tensor.gateWeights = view();
    tensor.depthwise = below(2);
    if (below(2)) {
      tensor.strideY = static_cast<uint16_t>(below(5) + 1);
      tensor.dilationX = static_cast<uint16_t>(below(5) + 1);
      tensor.padTop = static_cast<int16_t>(int(below(5)) - 2);
      tensor.padLeft = static_cast<int16_t>(int(below(5)) - 2);
    }
    tensor.epilogue = program();
    return tensor;
  }

  Body body() {
    switch (below(7)) {
    case 0:
      return dma();
    case 1:
      return tensor();
    case 2:
      return VectorCommand{program()};
    case 3:
      return SoftmaxCommand{view(), view(), view(),
                            static_cast<int32_t>(generator())};
    case 4:
      return NormStatsCommand{view(), view(), below(2) == 1};
    case 5:
      return NormFactorsCommand{view(), view(), view(),
                                view(), view(), uint64_t(generator()) << 12,
                                1e-5f,  0.25f};
    default:
      return LayerNormCommand{view(), view(),        view(),
                              1e-6f,  below(2) == 1, program()};
    }
  }
};
} // namespace

Program test::randomProgram(std::mt19937 &generator) {
  RandomParts parts{generator};
  Program program;
  for (uint32_t i = 0; i < 5; ++i)
    program.sources.push_back({"/node/" + std::to_string(i % 3),
                               "op" + std::to_string(i), parts.below(9), i});
  program.slotBytes = {1000, uint64_t(1) << 40, 3, 0};
  program.numInputs = 1;
  program.scratchpadBytes = generator();
  uint32_t count = parts.below(60);
  for (uint32_t i = 0; i < count; ++i) {
    append(program, static_cast<Queue>(parts.below(kNumQueues)), parts.body());
    program.flow.push_back(generator());
  }
  for (std::vector<Command> &queue : program.queues)
    for (Command &command : queue) {
      command.notify = parts.below(2);
      command.source = parts.below(5);
      for (uint8_t other = 0; other < kNumQueues; ++other)
        if (parts.below(4) == 0)
          command.waits.push_back(
              {static_cast<Queue>(other), parts.below(1 << 28)});
    }
  return program;
}
