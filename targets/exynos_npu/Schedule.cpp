// Prefetch and placement of buffers. See Schedule.h.
//
// One walk over the serial order: each command gets its buffers placed, then
// loads of commands further on are taken forward while there is room. Room is
// judged twice: by the sum of what will be alive anyway (so that a prefetch
// does not starve a command that comes before its use), and by the allocator
// (fragmentation). If a command still finds no place, the latest prefetches are
// undone.
#include "targets/exynos_npu/Schedule.h"

#include "targets/exynos_npu/Convert.h"
#include "targets/exynos_npu/DramPlan.h"
#include "targets/exynos_npu/GroupEmitter.h"
#include "targets/exynos_npu/ScratchpadAllocator.h"

#include "npu/Timing.h"

#include "llvm/Support/FormatVariadic.h"

#include <map>

using namespace mlir;
using namespace efc::npu;
using efrt::npu::Machine;
using efrt::npu::Queue;

/// A buffer that lives for more commands than this counts as long-lived.
static constexpr int64_t kLongLife = 96;

namespace {
struct Buffer {
  AllocOp op;
  int64_t bytes = 0;
  int64_t first = -1, last = -1; ///< Commands that use it, in serial order.
  int64_t address = -1;          ///< While it has a place, or had one.
  bool isPlaced = false;
  int64_t uses = 0; ///< Commands done that use it.
  /// The command after which a prefetch took its place early.
  int64_t early = -1;
};

struct Item {
  CommandOpInterface op;
  SmallVector<int, 6> buffers; ///< Each once.
  bool isLoad = false;
  /// Loads: the last command before it that writes what it reads, or -1.
  int64_t after = -1;
  bool isDone = false;
};

class Scheduler {
public:
  Scheduler(ProgramOp program, const Machine &machine,
            const ScheduleOptions &options)
      : program(program), machine(machine), options(options),
        allocator(machine.scratchpadBytes) {}

  FailureOr<ScheduleResult> run();

private:
  void collect();
  void findDramDependencies();
  void sumLive();
  bool place(int64_t index, int64_t now);
  LogicalResult step(int64_t index);
  void prefetch(int64_t index);
  bool fits(int64_t load, int64_t now) const;
  void addLive(const Buffer &buffer, int64_t sign);
  bool undoPrefetch(int64_t index);
  void apply();
  LogicalResult reportNoPlace(int64_t index);

  ProgramOp program;
  const Machine &machine;
  const ScheduleOptions &options;
  ScratchpadAllocator allocator;
  std::vector<Buffer> buffers;
  std::vector<Item> items;
  std::vector<int64_t> live;  ///< Bytes alive at each command, with prefetches.
  std::vector<int64_t> order; ///< Commands as they will run; -1: undone.
  /// Loads that were taken forward and wait for their use: command and place in
  /// `order`.
  SmallVector<std::pair<int64_t, size_t>> waiting;
  int64_t nextLoad = 0; ///< No load before this one is left to prefetch.
  ScheduleResult result;
};
} // namespace

void Scheduler::collect() {
  llvm::DenseMap<Value, int> indices;
  for (Operation &op : program.getBlock()) {
    if (auto alloc = dyn_cast<AllocOp>(op)) {
      indices[alloc.getBuffer()] = buffers.size();
      Buffer &buffer = buffers.emplace_back();
      buffer.op = alloc;
      buffer.bytes =
          llvm::alignTo(alloc.getBytes(), ScratchpadAllocator::alignment);
      continue;
    }
    auto command = dyn_cast<CommandOpInterface>(op);
    if (!command)
      continue;
    int64_t index = items.size();
    Item &item = items.emplace_back();
    item.op = command;
    item.isLoad = isa<DmaLoadOp>(op);
    for (Value operand : op.getOperands()) {
      int buffer = indices.lookup(operand);
      if (llvm::is_contained(item.buffers, buffer))
        continue;
      item.buffers.push_back(buffer);
      if (buffers[buffer].first < 0)
        buffers[buffer].first = index;
      buffers[buffer].last = index;
    }
  }
}

/// Bytes [begin, end) of a slot that a transfer may touch.
static std::pair<int64_t, int64_t> dramRange(const efrt::npu::DmaCommand &dma) {
  int64_t begin = dma.offset, end = begin + dma.elementBytes;
  for (size_t i = 0; i < dma.extents.size(); ++i)
    end += (int64_t(dma.extents[i]) - 1) * dma.dramStrides[i];
  return {begin, end};
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
  for (const Buffer &buffer : buffers) {
    if (buffer.first < 0)
      continue;
    live[buffer.first] += buffer.bytes;
    live[buffer.last + 1] -= buffer.bytes;
  }
  for (size_t i = 1; i < live.size(); ++i)
    live[i] += live[i - 1];
  result.liveBytes = live.empty() ? 0 : *llvm::max_element(live);
}

/// Gives the command's buffers places; false, and none of them, if one finds
/// none.
bool Scheduler::place(int64_t index, int64_t now) {
  SmallVector<int, 6> placed;
  for (int b : items[index].buffers) {
    Buffer &buffer = buffers[b];
    if (buffer.isPlaced)
      continue;
    bool staysLong = buffer.last - buffer.first > kLongLife;
    std::optional<int64_t> address =
        allocator.allocate(buffer.bytes, now, staysLong);
    if (!address) {
      for (int undone : placed) {
        allocator.release(buffers[undone].address, buffers[undone].bytes, 0);
        buffers[undone].isPlaced = false;
      }
      return false;
    }
    buffer.address = *address;
    buffer.isPlaced = true;
    placed.push_back(b);
  }
  for (int b : items[index].buffers) {
    ++buffers[b].uses;
    result.peakBytes =
        std::max(result.peakBytes, buffers[b].address + buffers[b].bytes);
  }
  return true;
}

/// What a buffer that is placed early adds to the commands before its first.
void Scheduler::addLive(const Buffer &buffer, int64_t sign) {
  for (int64_t k = buffer.early + 1; k < buffer.first; ++k)
    live[k] += sign * buffer.bytes;
}

/// Undoes the latest prefetch for a command behind `index`.
bool Scheduler::undoPrefetch(int64_t index) {
  while (!waiting.empty() && waiting.back().first <= index)
    waiting.pop_back();
  if (waiting.empty())
    return false;
  auto [load, at] = waiting.pop_back_val();
  order[at] = -1;
  Item &item = items[load];
  item.isDone = false;
  nextLoad = std::min(nextLoad, load);
  --result.prefetched;
  for (int b : item.buffers) {
    Buffer &buffer = buffers[b];
    if (--buffer.uses > 0)
      continue;
    allocator.release(buffer.address, buffer.bytes, order.size());
    buffer.isPlaced = false;
    addLive(buffer, -1);
  }
  return true;
}

bool Scheduler::fits(int64_t load, int64_t now) const {
  int64_t bytes = 0;
  for (int b : items[load].buffers)
    if (!buffers[b].isPlaced)
      bytes += buffers[b].bytes;
  // What is left over covers fragmentation.
  int64_t limit = machine.scratchpadBytes / 32 * 31;
  for (int64_t k = now + 1; k < load; ++k)
    if (live[k] + bytes > limit)
      return false;
  return true;
}

/// Takes loads forward to behind command `index`.
void Scheduler::prefetch(int64_t index) {
  nextLoad = std::max(nextLoad, index + 1);
  int64_t end = std::min<int64_t>(items.size(), index + 1 + options.lookahead);
  bool isFirst = true;
  for (int64_t load = nextLoad; load < end; ++load) {
    Item &item = items[load];
    if (!item.isLoad || item.isDone)
      continue;
    if (isFirst)
      nextLoad = load;
    isFirst = false;
    if (item.after > index)
      continue;
    // Later loads wait for this one, or it would never get its room.
    SmallVector<int, 2> early;
    for (int b : item.buffers)
      if (!buffers[b].isPlaced)
        early.push_back(b);
    if (!fits(load, index) || !place(load, order.size()))
      return;
    for (int b : early) {
      buffers[b].early = index;
      addLive(buffers[b], 1);
    }
    item.isDone = true;
    ++result.prefetched;
    waiting.emplace_back(load, order.size());
    order.push_back(load);
  }
}

LogicalResult Scheduler::step(int64_t index) {
  Item &item = items[index];
  if (!item.isDone) {
    while (!place(index, order.size()))
      if (!undoPrefetch(index))
        return reportNoPlace(index);
    item.isDone = true;
    order.push_back(index);
  }
  for (int b : item.buffers)
    if (buffers[b].last == index)
      allocator.release(buffers[b].address, buffers[b].bytes, order.size());
  return success();
}

LogicalResult Scheduler::reportNoPlace(int64_t index) {
  Item &item = items[index];
  int64_t wanted = 0;
  for (int b : item.buffers)
    if (!buffers[b].isPlaced)
      wanted = std::max(wanted, buffers[b].bytes);
  SourceAttr source = item.op.getSourceAttr();
  InFlightDiagnostic diagnostic =
      item.op.emitError()
      << "'" << source.getNode() << "' (" << source.getOp()
      << ") needs a buffer of " << wanted << " bytes, but of the scratchpad's "
      << machine.scratchpadBytes << " bytes " << allocator.freeBytes()
      << " are free and at most " << allocator.largestFree()
      << " of them in one piece; choose a machine with a larger scratchpad "
         "(--machine), or --mlt=off, whose tiles are smaller";
  SmallVector<const Buffer *> placed;
  for (const Buffer &buffer : buffers)
    if (buffer.isPlaced && buffer.last >= index)
      placed.push_back(&buffer);
  llvm::sort(placed, [](const Buffer *a, const Buffer *b) {
    return a->address < b->address;
  });
  for (const Buffer *buffer : placed) {
    SourceAttr owner = items[buffer->first].op.getSourceAttr();
    diagnostic.attachNote(program.getLoc())
        << "bytes " << buffer->address << " to "
        << buffer->address + buffer->bytes << ": " << owner.getOp() << " of '"
        << owner.getNode() << "'";
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
  MLIRContext *context = program.getContext();
  Builder builder(context);
  for (Buffer &buffer : buffers) {
    if (buffer.first < 0) {
      buffer.op.erase();
      continue;
    }
    buffer.op.setAddressAttr(builder.getI64IntegerAttr(buffer.address));
    buffer.isPlaced = false;
  }
  QueueAssigner queues(machine);
  for (int64_t index : order) {
    if (index < 0)
      continue;
    for (int b : items[index].buffers)
      if (!std::exchange(buffers[b].isPlaced, true))
        buffers[b].op->moveBefore(&block, block.end());
    items[index].op->moveBefore(&block, block.end());
    queues.assign(items[index].op);
  }
  program.setMachineAttr(builder.getStringAttr(machine.name));
  program.setScratchpadBytesAttr(builder.getI64IntegerAttr(result.peakBytes));
}

FailureOr<ScheduleResult> Scheduler::run() {
  collect();
  findDramDependencies();
  sumLive();
  prefetch(-1);
  for (int64_t index = 0, e = items.size(); index < e; ++index) {
    if (failed(step(index)))
      return failure();
    prefetch(index);
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
