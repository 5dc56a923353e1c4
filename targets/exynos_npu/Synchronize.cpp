// Dependencies between commands, and the waits that keep them. See
// Synchronize.h.
//
// The serial order is walked once. Shadow memories know of each granule who
// wrote it last and who has read it since; vector clocks know which commands
// are certainly finished when a command starts, so that a wait is only made for
// what neither the queue's order nor another wait implies.
#include "targets/exynos_npu/Synchronize.h"

#include "targets/exynos_npu/Convert.h"

#include "npu/ShadowMemory.h"

using namespace mlir;
using namespace efc::npu;
using efrt::npu::Access;
using efrt::npu::kNumQueues;
using efrt::npu::Queue;
using efrt::npu::Wait;

namespace {
/// Of each queue a number of commands from its start.
using Clock = std::array<uint32_t, kNumQueues>;
using Scratch = efrt::npu::ShadowMemory<efrt::npu::kScratchGranule, kNumQueues>;
/// Only the DMA queues, which are the first two, reach DRAM.
using Dram = efrt::npu::ShadowMemory<efrt::npu::kDramGranule, 2>;

struct Node {
  CommandOpInterface op;
  uint32_t queue = 0, index = 0;    ///< Place in its queue.
  Clock finished = {};              ///< What is done when it is.
  SmallVector<uint32_t, 4> targets; ///< Commands that it waits for.
};

class Synchronizer {
public:
  explicit Synchronizer(ProgramOp program);
  SynchronizeResult run();

private:
  template <typename Shadow>
  void touch(Shadow &shadow, const Access &access, uint32_t index,
             Clock &needed);
  void synchronize(uint32_t index);
  SynchronizeResult apply();

  std::vector<Node> nodes;
  std::array<std::vector<uint32_t>, kNumQueues> queues; ///< Nodes.
  Scratch scratch;
  std::vector<std::unique_ptr<Dram>> dram; ///< By slot; null: never written.
};
} // namespace

static uint64_t scratchBytes(ProgramOp program) {
  uint64_t bytes = 0;
  for (auto alloc : program.getBlock().getOps<AllocOp>())
    bytes = std::max<uint64_t>(bytes, alloc.getAddress().value_or(0) +
                                          alloc.getBytes());
  return bytes;
}

Synchronizer::Synchronizer(ProgramOp program) : scratch(scratchBytes(program)) {
  ArrayRef<int64_t> slots = program.getSlotBytes();
  dram.resize(slots.size());
  for (Operation &op : program.getBlock()) {
    auto command = dyn_cast<CommandOpInterface>(op);
    if (!command)
      continue;
    if (auto store = dyn_cast<DmaStoreOp>(op)) {
      uint16_t slot = store.getTransfer().getValue().slot;
      if (!dram[slot])
        dram[slot] = std::make_unique<Dram>(slots[slot]);
    }
    Node &node = nodes.emplace_back();
    node.op = command;
    node.queue = static_cast<uint32_t>(command.getQueueAttr().getValue());
    node.index = queues[node.queue].size();
    queues[node.queue].push_back(nodes.size() - 1);
  }
}

/// Adds to `needed` what must be finished before the access, and notes it.
template <typename Shadow>
void Synchronizer::touch(Shadow &shadow, const Access &access, uint32_t index,
                         Clock &needed) {
  const Node &node = nodes[index];
  auto visit = [&](typename Shadow::State &state, typename Shadow::Mask,
                   uint64_t, uint64_t) {
    if (state.writer > 0 && state.writer != index + 1) {
      const Node &writer = nodes[state.writer - 1];
      needed[writer.queue] = std::max(needed[writer.queue], writer.index + 1);
    }
    if (!access.isWrite) {
      state.readers[node.queue] = node.index + 1;
      return true;
    }
    for (auto [queue, reader] : llvm::enumerate(state.readers))
      if (queue != node.queue)
        needed[queue] = std::max(needed[queue], reader);
    state.writer = index + 1;
    state.readers = {};
    return true;
  };
  efrt::npu::forEachRow(access, [&](uint64_t begin, uint64_t end) {
    return shadow.visitRow(begin, end, visit);
  });
}

void Synchronizer::synchronize(uint32_t index) {
  Node &node = nodes[index];
  Clock needed = {};
  std::vector<Access> accesses = efrt::npu::accessesOf(toCommand(node.op));
  // Reads first: a command may write where it has read.
  for (bool isWrite : {false, true})
    for (const Access &access : accesses) {
      if (access.isWrite != isWrite)
        continue;
      if (access.slot < 0)
        touch(scratch, access, index, needed);
      else if (dram[access.slot])
        touch(*dram[access.slot], access, index, needed);
    }
  Clock clock = {};
  if (node.index > 0)
    clock = nodes[queues[node.queue][node.index - 1]].finished;
  SmallVector<uint32_t, kNumQueues> candidates;
  for (size_t queue = 0; queue < kNumQueues; ++queue)
    if (needed[queue] > clock[queue])
      candidates.push_back(queues[queue][needed[queue] - 1]);
  // The latest command implies most.
  llvm::sort(candidates, std::greater<>());
  for (uint32_t candidate : candidates) {
    const Node &target = nodes[candidate];
    if (target.index < clock[target.queue])
      continue;
    node.targets.push_back(candidate);
    for (size_t queue = 0; queue < kNumQueues; ++queue)
      clock[queue] = std::max(clock[queue], target.finished[queue]);
  }
  clock[node.queue] = std::max(clock[node.queue], node.index + 1);
  node.finished = clock;
}

SynchronizeResult Synchronizer::apply() {
  SynchronizeResult result;
  std::vector<bool> notifies(nodes.size(), false);
  for (const Node &node : nodes)
    for (uint32_t target : node.targets)
      notifies[target] = true;
  // Of each command: its queue's counter when it is finished.
  std::vector<uint32_t> counters(nodes.size(), 0);
  for (const std::vector<uint32_t> &queue : queues) {
    uint32_t counter = 0;
    for (uint32_t index : queue)
      counters[index] = counter += notifies[index];
    result.notifies += counter;
  }
  for (auto [index, node] : llvm::enumerate(nodes)) {
    SmallVector<Wait, 4> waits;
    for (uint32_t target : node.targets)
      waits.push_back(
          {static_cast<Queue>(nodes[target].queue), counters[target]});
    llvm::sort(waits,
               [](const Wait &a, const Wait &b) { return a.queue < b.queue; });
    result.waits += waits.size();
    node.op.setNotify(notifies[index]);
    node.op.setWaitsAttr(waits.empty()
                             ? WaitsAttr()
                             : WaitsAttr::get(node.op->getContext(), waits));
  }
  return result;
}

SynchronizeResult Synchronizer::run() {
  for (uint32_t index = 0, e = nodes.size(); index < e; ++index)
    synchronize(index);
  return apply();
}

SynchronizeResult efc::npu::synchronizeProgram(ProgramOp program) {
  return Synchronizer(program).run();
}
