// efc-cpu-plan-memory: see Passes.td.
#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/EfDialect.h"
#include "targets/cpu/Aliases.h"
#include "targets/cpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

#include <map>

namespace efc::cpu {
#define GEN_PASS_DEF_EFCCPUPLANMEMORY
#include "targets/cpu/Passes.h.inc"
} // namespace efc::cpu

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

/// Cache line and the widest vector: no two tensors share one.
static constexpr int64_t kAlignment = 64;

namespace {
/// A tensor of the arena. Live from launch `first`, which writes it, to launch
/// `last`, the last one that reads it; both included.
struct LiveRange {
  Operation *launch; ///< What writes it.
  unsigned place;    ///< Index into the launch's `offsets`.
  int64_t bytes = 0;
  int64_t first = 0, last = 0;
  int64_t offset = 0;
  int64_t output = -1; ///< Index of the model's output that it is, or -1.
};
} // namespace

static int64_t bytesOf(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return llvm::alignTo(type.getNumElements() *
                           ef::getElementBytes(type.getElementType()),
                       kAlignment);
}

/// What the partition needs of the arena while it runs.
static int64_t workspaceBytesOf(npu::LaunchOp launch) {
  auto program = SymbolTable::lookupNearestSymbolFrom<npu::ProgramOp>(
      launch, launch.getCalleeAttr());
  return program ? llvm::alignTo(program.getSlotBytes()[1], kAlignment) : 0;
}

static SmallVector<LiveRange> collectLiveRanges(func::FuncOp main) {
  SmallVector<LiveRange> ranges;
  llvm::DenseMap<Value, size_t> indices;
  int64_t time = 0;
  for (Operation &op : main.getBody().front()) {
    for (OpOperand &operand : op.getOpOperands()) {
      auto found = indices.find(getAliasRoot(operand.get()));
      if (found == indices.end())
        continue;
      LiveRange &range = ranges[found->second];
      range.last = time;
      if (isa<func::ReturnOp>(op))
        range.output = operand.getOperandNumber();
    }
    if (!isLaunch(&op))
      continue;
    for (OpResult result : op.getResults()) {
      indices[result] = ranges.size();
      ranges.push_back(
          {&op, result.getResultNumber(), bytesOf(result), time, time});
    }
    if (auto launch = dyn_cast<npu::LaunchOp>(op))
      ranges.push_back(
          {&op, op.getNumResults(), workspaceBytesOf(launch), time, time});
    ++time;
  }
  return ranges;
}

/// Largest first, each at the lowest offset where nothing that lives at the
/// same time is.
static int64_t placeRanges(MutableArrayRef<LiveRange *> ranges) {
  llvm::sort(ranges, [](LiveRange *a, LiveRange *b) {
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->first < b->first;
  });
  SmallVector<LiveRange *> placed; // By offset.
  int64_t arena = 0;
  for (LiveRange *range : ranges) {
    int64_t offset = 0;
    for (LiveRange *other : placed) {
      if (other->last < range->first || range->last < other->first)
        continue;
      if (offset + range->bytes <= other->offset)
        break;
      offset = std::max(offset, other->offset + other->bytes);
    }
    range->offset = offset;
    arena = std::max(arena, offset + range->bytes);
    placed.insert(llvm::upper_bound(placed, range,
                                    [](LiveRange *a, LiveRange *b) {
                                      return a->offset < b->offset;
                                    }),
                  range);
  }
  return arena;
}

static int64_t largestLiveSum(ArrayRef<LiveRange *> ranges) {
  std::map<int64_t, int64_t> changes;
  for (LiveRange *range : ranges) {
    changes[range->first] += range->bytes;
    changes[range->last + 1] -= range->bytes;
  }
  int64_t sum = 0, largest = 0;
  for (auto [time, change] : changes)
    largest = std::max(largest, sum += change);
  return largest;
}

namespace {
struct PlanMemory : efc::cpu::impl::EfcCpuPlanMemoryBase<PlanMemory> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    SmallVector<LiveRange> ranges = collectLiveRanges(main);
    SmallVector<LiveRange *> inArena;
    for (LiveRange &range : ranges)
      if (range.output < 0)
        inArena.push_back(&range);
    int64_t bytes = placeRanges(inArena);
    arenaBytes = bytes;
    liveBytes = largestLiveSum(inArena);

    llvm::MapVector<Operation *, SmallVector<int64_t>> places;
    for (LiveRange &range : ranges)
      places[range.launch].push_back(range.output < 0 ? range.offset
                                                      : -1 - range.output);
    Builder builder(&getContext());
    for (auto &[launch, offsets] : places)
      launch->setAttr("offsets", builder.getDenseI64ArrayAttr(offsets));
    module->setAttr("cpu.arena_bytes", builder.getI64IntegerAttr(bytes));
  }
};
} // namespace
