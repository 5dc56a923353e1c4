// See DataFlow.h.
#include "targets/exynos_npu/DataFlow.h"

#include "npu/Verifier.h"
#include "targets/exynos_npu/Convert.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace efc::npu;

/// Addresses repeat after this many bytes of buffers.
static constexpr uint64_t kWindowBytes = uint64_t(1) << 30;

bool EmittedCommands::placeBuffers(ProgramOp program) {
  constexpr uint64_t alignment = efrt::npu::kDramGranule;
  Builder builder(program.getContext());
  llvm::DenseMap<Value, uint64_t> placedAt;
  uint64_t next = 0;
  for (Operation &op : program.getBlock()) {
    if (auto alloc = dyn_cast<AllocOp>(op)) {
      uint64_t bytes = llvm::alignTo(alloc.getBytes(), alignment);
      if (next % kWindowBytes + bytes > kWindowBytes)
        next = llvm::alignTo(next, kWindowBytes);
      placedAt[alloc.getBuffer()] = next;
      alloc.setAddressAttr(builder.getI64IntegerAttr(next % kWindowBytes));
      next += bytes;
      continue;
    }
    for (Value operand : op.getOperands())
      if (auto placed = placedAt.find(operand);
          placed != placedAt.end() && next - placed->second > kWindowBytes)
        return false;
  }
  return true;
}

EmittedCommands::EmittedCommands(ProgramOp program) {
  bool isPlaced = placeBuffers(program);
  for (Operation &op : program.getBlock())
    if (auto command = dyn_cast<CommandOpInterface>(op); command && isPlaced) {
      indices[command] = commands.size();
      commands.push_back(toCommand(command));
    }
  for (auto alloc : program.getBlock().getOps<AllocOp>())
    alloc.removeAddressAttr();
}

void EmittedCommands::setFlow(ProgramOp op) {
  if (commands.empty())
    return;
  efrt::npu::Program program;
  program.slotBytes.assign(op.getSlotBytes().begin(), op.getSlotBytes().end());
  program.numInputs = op.getType().getNumInputs();
  program.scratchpadBytes = kWindowBytes;
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
