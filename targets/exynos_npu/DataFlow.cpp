// See DataFlow.h.
#include "targets/exynos_npu/DataFlow.h"

#include "npu/Verifier.h"
#include "targets/exynos_npu/Convert.h"

#include "mlir/IR/Builders.h"

#include <map>

using namespace mlir;
using namespace efc::npu;

namespace {
/// Addresses without an end, of which the lowest free ones are given away.
class AddressSpace {
public:
  uint64_t take(uint64_t bytes) {
    uint64_t begin = 0;
    for (auto [other, end] : taken) {
      if (begin + bytes <= other)
        break;
      begin = end;
    }
    taken[begin] = begin + bytes;
    return begin;
  }
  void giveBack(uint64_t begin) { taken.erase(begin); }

private:
  std::map<uint64_t, uint64_t> taken; ///< Ends by begin; apart.
};
} // namespace

/// Addresses are used again, since the memory that it takes to record the flow
/// goes with the highest one.
void EmittedCommands::placeBuffers(ProgramOp program) {
  constexpr uint64_t alignment = efrt::npu::kDramGranule;
  Builder builder(program.getContext());
  llvm::DenseMap<Value, Operation *> lastUse;
  for (Operation &op : program.getBlock())
    for (Value operand : op.getOperands())
      lastUse[operand] = &op;
  AddressSpace addresses;
  for (Operation &op : program.getBlock()) {
    for (Value operand : op.getOperands())
      if (auto alloc = operand.getDefiningOp<AllocOp>();
          alloc && !alloc.getAddress()) {
        uint64_t size = llvm::alignTo(alloc.getBytes(), alignment);
        uint64_t address = addresses.take(size);
        alloc.setAddressAttr(builder.getI64IntegerAttr(address));
        bytes = std::max(bytes, address + size);
      }
    for (Value operand : op.getOperands())
      if (auto alloc = operand.getDefiningOp<AllocOp>();
          alloc && lastUse.lookup(operand) == &op)
        addresses.giveBack(*alloc.getAddress());
  }
}

EmittedCommands::EmittedCommands(ProgramOp program) {
  placeBuffers(program);
  for (Operation &op : program.getBlock())
    if (auto command = dyn_cast<CommandOpInterface>(op)) {
      indices[command] = commands.size();
      commands.push_back(toCommand(command));
    }
  for (auto alloc : program.getBlock().getOps<AllocOp>())
    alloc.removeAddressAttr();
}

void EmittedCommands::setFlow(ProgramOp op) {
  efrt::npu::Program program;
  program.slotBytes.assign(op.getSlotBytes().begin(), op.getSlotBytes().end());
  program.numInputs = op.getType().getNumInputs();
  program.scratchpadBytes = bytes;
  std::vector<uint32_t> order;
  for (Operation &inner : op.getBlock()) {
    auto emitted = indices.find(&inner);
    if (emitted == indices.end())
      continue;
    efrt::npu::Command &command = commands[emitted->second];
    command.sequence = order.size();
    order.push_back(emitted->second);
    program.queues[0].push_back(std::move(command));
  }
  std::vector<uint32_t> flow = efrt::npu::dataFlowOf(program, order);
  op.setFlow(std::vector<int32_t>(flow.begin(), flow.end()));
}
