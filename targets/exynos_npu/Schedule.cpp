// Prefetch and placement of buffers. See Schedule.h.
//
// Time counts in half commands of the serial order: command i is at 2 * i, what
// is taken forward to behind it at 2 * i + 1. First loads are taken forward as
// long as the sum of what is alive leaves room; then ScratchpadPacker gives all
// buffers places and lets prefetches start later where memory is in pieces.
#include "targets/exynos_npu/Schedule.h"

#include "targets/exynos_npu/Convert.h"
#include "targets/exynos_npu/DramPlan.h"
#include "targets/exynos_npu/GroupEmitter.h"
#include "targets/exynos_npu/ScratchpadPacker.h"

#include "npu/Timing.h"

#include <map>

using namespace mlir;
using namespace efc::npu;
using efrt::npu::Machine;
using efrt::npu::Queue;

/// Commands that pass before memory is used again, where there is a choice:
/// about as many as the queues have in flight.
static constexpr int64_t kSlackCommands = 24;

namespace {
struct Item {
  CommandOpInterface op;
  SmallVector<int, 6> buffers; ///< Each once.
  bool isLoad = false;
  /// Loads: the last command before it that writes what it reads, or -1.
  int64_t after = -1;
  /// The command that the load is taken forward to; its own index: none.
  int64_t early = 0;
};

class Scheduler {
public:
  Scheduler(ProgramOp program, const Machine &machine,
            const ScheduleOptions &options)
      : program(program), machine(machine), options(options) {}

  FailureOr<ScheduleResult> run();

private:
  void collect();
  void findDramDependencies();
  void sumLive();
  void prefetchAll(double share);
  void prefetch(int64_t index);
  bool fits(int64_t load, int64_t now) const;
  int64_t timeOf(int64_t index) const;
  void apply();
  LogicalResult reportNoPlace(size_t buffer, ScratchpadPacker &packer);

  ProgramOp program;
  const Machine &machine;
  const ScheduleOptions &options;
  std::vector<AllocOp> allocs;
  std::vector<PackedBuffer> buffers; ///< As `allocs`.
  std::vector<Item> items;
  std::vector<int64_t> live; ///< Bytes alive at each command, with prefetches.
  int64_t nextLoad = 0; ///< No load before this one is left to take forward.
  int64_t prefetchLimit = 0; ///< Bytes that may be alive then.
  ScheduleResult result;
};
} // namespace

void Scheduler::collect() {
  llvm::DenseMap<Value, int> indices;
  for (Operation &op : llvm::make_early_inc_range(program.getBlock())) {
    if (auto alloc = dyn_cast<AllocOp>(op)) {
      if (alloc->use_empty()) {
        alloc.erase();
        continue;
      }
      indices[alloc.getBuffer()] = buffers.size();
      allocs.push_back(alloc);
      buffers.emplace_back().bytes =
          llvm::alignTo(alloc.getBytes(), ScratchpadPacker::alignment);
      buffers.back().start = -1;
      continue;
    }
    auto command = dyn_cast<CommandOpInterface>(op);
    if (!command)
      continue;
    int64_t index = items.size();
    Item &item = items.emplace_back();
    item.op = command;
    item.isLoad = isa<DmaLoadOp>(op);
    item.early = index;
    for (Value operand : op.getOperands()) {
      int buffer = indices.lookup(operand);
      if (llvm::is_contained(item.buffers, buffer))
        continue;
      item.buffers.push_back(buffer);
      PackedBuffer &packed = buffers[buffer];
      if (packed.start < 0)
        packed.start = packed.latestStart = 2 * index;
      packed.end = 2 * index;
    }
  }
}

/// Bytes [begin, end) of a slot that a transfer may touch, in whole granules:
/// what conflicts by Command.h's rule stays in order.
static std::pair<int64_t, int64_t> dramRange(const efrt::npu::DmaCommand &dma) {
  int64_t begin = dma.offset, end = begin + dma.elementBytes;
  for (size_t i = 0; i < dma.extents.size(); ++i)
    end += (int64_t(dma.extents[i]) - 1) * dma.dramStrides[i];
  constexpr int64_t granule = efrt::npu::kDramGranule;
  return {begin / granule * granule, (end + granule - 1) / granule * granule};
}

/// A load must stay behind stores to what it reads.
void Scheduler::findDramDependencies() {
  // For each slot: disjoint ranges and the last command that wrote them.
  std::map<int, std::map<int64_t, std::pair<int64_t, int64_t>>> writers;
  for (auto [index, item] : llvm::enumerate(items)) {
    if (auto load = dyn_cast<DmaLoadOp>(item.op.getOperation())) {
      const efrt::npu::DmaCommand &dma = load.getTransfer().getValue();
      auto [begin, end] = dramRange(dma);
      auto slot = writers.find(dma.slot);
      if (slot == writers.end())
        continue;
      auto entry = slot->second.upper_bound(begin);
      if (entry != slot->second.begin())
        --entry;
      for (; entry != slot->second.end() && entry->first < end; ++entry)
        if (entry->second.first > begin)
          item.after = std::max(item.after, entry->second.second);
      continue;
    }
    auto store = dyn_cast<DmaStoreOp>(item.op.getOperation());
    if (!store)
      continue;
    const efrt::npu::DmaCommand &dma = store.getTransfer().getValue();
    auto [begin, end] = dramRange(dma);
    auto &ranges = writers[dma.slot];
    // Rows of different stores interleave (columns of an attention's heads), so
    // what stood there stays if it reaches further.
    auto entry = ranges.lower_bound(begin);
    if (entry != ranges.begin() && std::prev(entry)->second.first > begin)
      --entry;
    while (entry != ranges.end() && entry->first < end) {
      begin = std::min(begin, entry->first);
      end = std::max(end, entry->second.first);
      entry = ranges.erase(entry);
    }
    ranges[begin] = {end, static_cast<int64_t>(index)};
  }
}

void Scheduler::sumLive() {
  live.assign(items.size() + 1, 0);
  for (const PackedBuffer &buffer : buffers) {
    live[buffer.start / 2] += buffer.bytes;
    live[buffer.end / 2 + 1] -= buffer.bytes;
  }
  for (size_t i = 1; i < live.size(); ++i)
    live[i] += live[i - 1];
  result.liveBytes = *llvm::max_element(live);
}

bool Scheduler::fits(int64_t load, int64_t now) const {
  const PackedBuffer &buffer = buffers[items[load].buffers.front()];
  if (buffer.start <= 2 * now + 1)
    return true;
  for (int64_t k = now + 1; 2 * k < buffer.start; ++k)
    if (live[k] + buffer.bytes > prefetchLimit)
      return false;
  return true;
}

/// Takes loads forward as far as `share` of the scratchpad allows.
void Scheduler::prefetchAll(double share) {
  nextLoad = 0;
  prefetchLimit = static_cast<int64_t>(machine.scratchpadBytes * share);
  for (PackedBuffer &buffer : buffers) {
    buffer.start = buffer.latestStart;
    buffer.address = -1;
  }
  for (auto [index, item] : llvm::enumerate(items))
    item.early = index;
  sumLive();
  if (share > 0)
    for (int64_t index = -1, e = items.size(); index < e; ++index)
      prefetch(index);
}

/// Takes loads forward to behind command `index`.
void Scheduler::prefetch(int64_t index) {
  nextLoad = std::max(nextLoad, index + 1);
  int64_t end = std::min<int64_t>(items.size(), index + 1 + options.lookahead);
  bool isFirst = true;
  for (int64_t load = nextLoad; load < end; ++load) {
    Item &item = items[load];
    if (!item.isLoad || item.early < load)
      continue;
    if (isFirst)
      nextLoad = load;
    isFirst = false;
    if (item.after > index)
      continue;
    // Later loads wait for this one, or it would never get its room.
    if (!fits(load, index))
      return;
    PackedBuffer &buffer = buffers[item.buffers.front()];
    for (int64_t k = index + 1; 2 * k < buffer.start; ++k)
      live[k] += buffer.bytes;
    buffer.start = std::min(buffer.start, 2 * index + 1);
    item.early = index;
  }
}

/// When a command runs, on the scale of the buffers' lives.
int64_t Scheduler::timeOf(int64_t index) const {
  const Item &item = items[index];
  if (item.early == index)
    return 2 * index;
  int64_t start = buffers[item.buffers.front()].start;
  return std::min(2 * index, std::max(2 * item.early + 1, start));
}

LogicalResult Scheduler::reportNoPlace(size_t buffer,
                                       ScratchpadPacker &packer) {
  const PackedBuffer &wanted = buffers[buffer];
  auto sourceOf = [&](const PackedBuffer &other) {
    return items[other.latestStart / 2].op.getSourceAttr();
  };
  // The memory map of the fullest moment of its life.
  int64_t moment = wanted.start / 2;
  for (int64_t k = moment; 2 * k <= wanted.end; ++k)
    if (live[k] > live[moment])
      moment = k;
  SmallVector<int, 64> map = packer.conflictsOf(buffer, 0);
  llvm::erase_if(map, [&](int other) {
    return buffers[other].start > 2 * moment || buffers[other].end < 2 * moment;
  });
  int64_t end = 0, largest = 0;
  for (int other : map) {
    largest = std::max(largest, buffers[other].address - end);
    end = std::max(end, buffers[other].address + buffers[other].bytes);
  }
  largest = std::max(largest, machine.scratchpadBytes - end);
  SourceAttr source = sourceOf(wanted);
  InFlightDiagnostic diagnostic =
      items[wanted.latestStart / 2].op->emitError()
      << "'" << source.getNode() << "' (" << source.getOp()
      << ") needs a buffer of " << wanted.bytes << " bytes, " << live[moment]
      << " with what else is alive meanwhile; of the scratchpad's "
      << machine.scratchpadBytes << " bytes at most " << largest
      << " are free in one piece; choose a machine with a larger scratchpad "
         "(--machine), or --mlt=off, whose tiles are smaller";
  for (int other : map) {
    SourceAttr owner = sourceOf(buffers[other]);
    diagnostic.attachNote(program.getLoc())
        << "bytes " << buffers[other].address << " to "
        << buffers[other].address + buffers[other].bytes << ": "
        << owner.getOp() << " of '" << owner.getNode() << "'";
  }
  return diagnostic;
}

namespace {
/// Gives each command the engine of its kind that has least to do.
class QueueAssigner {
public:
  explicit QueueAssigner(const Machine &machine) : machine(machine) {}

  void assign(CommandOpInterface op) {
    efrt::npu::Command command = toCommand(op);
    auto [first, count] = enginesOf(op, command);
    size_t best = first;
    for (size_t queue = first; queue < first + count; ++queue)
      if (work[queue] < work[best])
        best = queue;
    auto queue = static_cast<Queue>(best);
    double cycles = efrt::npu::cyclesOf(command, queue, machine);
    work[best] += cycles;
    MLIRContext *context = op->getContext();
    op.setQueueAttr(QueueAttr::get(context, queue));
    op.setCyclesAttr(FloatAttr::get(Float32Type::get(context), cycles));
  }

private:
  /// First queue and number of queues that may run `op`.
  std::pair<size_t, size_t> enginesOf(Operation *op,
                                      const efrt::npu::Command &command) const {
    auto from = [](Queue queue) { return static_cast<size_t>(queue); };
    if (isa<DmaLoadOp>(op))
      return {from(Queue::Dma0), 1};
    if (isa<DmaStoreOp>(op))
      return {from(machine.dmaQueues > 1 ? Queue::Dma1 : Queue::Dma0), 1};
    if (!isa<TensorOp>(op))
      return {from(Queue::Vector0), std::max(machine.vectorEngines, 1u)};
    const auto &tensor = std::get<efrt::npu::TensorCommand>(command.body);
    const std::array<uint32_t, 4> &result = tensor.epilogue.result.extents;
    if (runsOnSmallEngines(int64_t(result[1]) * result[2], tensor.depthwise,
                           machine))
      return {from(Queue::Ste0), machine.ste.count};
    return {from(Queue::Gte0), std::max(machine.gte.count, 1u)};
  }

  const Machine &machine;
  std::array<double, efrt::npu::kNumQueues> work{};
};
} // namespace

void Scheduler::apply() {
  Block &block = program.getBlock();
  Builder builder(program.getContext());
  for (auto [alloc, buffer] : llvm::zip_equal(allocs, buffers)) {
    alloc.setAddressAttr(builder.getI64IntegerAttr(buffer.address));
    result.peakBytes =
        std::max(result.peakBytes, buffer.address + buffer.bytes);
  }
  std::vector<std::pair<int64_t, int64_t>> order; ///< Time, command.
  for (int64_t index = 0, e = items.size(); index < e; ++index) {
    order.emplace_back(timeOf(index), index);
    result.prefetched += order.back().first < 2 * index;
  }
  llvm::sort(order);
  QueueAssigner queues(machine);
  std::vector<bool> isMoved(allocs.size(), false);
  for (auto [time, index] : order) {
    for (int buffer : items[index].buffers) {
      if (!isMoved[buffer])
        allocs[buffer]->moveBefore(&block, block.end());
      isMoved[buffer] = true;
    }
    items[index].op->moveBefore(&block, block.end());
    queues.assign(items[index].op);
  }
  program.setMachineAttr(builder.getStringAttr(machine.name));
  program.setScratchpadBytesAttr(builder.getI64IntegerAttr(result.peakBytes));
}

FailureOr<ScheduleResult> Scheduler::run() {
  // Shares of the scratchpad; what is left over covers fragmentation.
  static constexpr double shares[] = {31.0 / 32, 7.0 / 8, 0};
  bool prefetches = options.lookahead > 0;
  collect();
  if (prefetches)
    findDramDependencies();
  for (double share : ArrayRef(shares).take_back(prefetches ? 3 : 1)) {
    prefetchAll(share);
    ScratchpadPacker packer(buffers, machine.scratchpadBytes,
                            2 * kSlackCommands);
    std::optional<size_t> failed = packer.run();
    if (!failed)
      break;
    if (share == 0)
      return reportNoPlace(*failed, packer);
  }
  apply();
  return result;
}

FailureOr<ScheduleResult>
efc::npu::scheduleProgram(ProgramOp program, const Machine &machine,
                          const ScheduleOptions &options) {
  ScheduleOptions own = options;
  if (!machine.overlap)
    own.lookahead = 0;
  return Scheduler(program, machine, own).run();
}
