// efc-npu-schedule and efc-npu-synchronize: see Passes.td.
#include "targets/exynos_npu/DataFlow.h"
#include "targets/exynos_npu/MachineFile.h"
#include "targets/exynos_npu/Passes.h"
#include "targets/exynos_npu/Schedule.h"
#include "targets/exynos_npu/Synchronize.h"

namespace efc::npu {
#define GEN_PASS_DEF_EFCNPUSCHEDULE
#define GEN_PASS_DEF_EFCNPUSYNCHRONIZE
#include "targets/exynos_npu/Passes.h.inc"
} // namespace efc::npu

using namespace mlir;
using namespace efc::npu;

namespace {
struct SchedulePass : efc::npu::impl::EfcNpuScheduleBase<SchedulePass> {
  using EfcNpuScheduleBase::EfcNpuScheduleBase;

  void runOnOperation() override {
    std::vector<std::string> settings(machineSettings.begin(),
                                      machineSettings.end());
    llvm::Expected<MachineFile> file = loadMachine(machine, settings);
    if (!file) {
      getOperation().emitError(llvm::toString(file.takeError()));
      return signalPassFailure();
    }
    ScheduleOptions options;
    options.lookahead = lookahead;
    EmittedCommands emitted(getOperation());
    FailureOr<ScheduleResult> result =
        scheduleProgram(getOperation(), file->machine, options);
    if (failed(result))
      return signalPassFailure();
    emitted.setFlow(getOperation());
    numPrefetched += result->prefetched;
    peakBytes = std::max<int64_t>(peakBytes, result->peakBytes);
    liveBytes = std::max<int64_t>(liveBytes, result->liveBytes);
  }
};

struct SynchronizePass
    : efc::npu::impl::EfcNpuSynchronizeBase<SynchronizePass> {
  void runOnOperation() override {
    ProgramOp program = getOperation();
    for (Operation &op : program.getBlock()) {
      auto command = dyn_cast<CommandOpInterface>(op);
      bool isReady = !command || command.getQueueAttr();
      if (auto alloc = dyn_cast<AllocOp>(op))
        isReady = alloc.getAddress().has_value();
      if (isReady)
        continue;
      op.emitOpError(command ? "has no queue" : "has no address")
          << "; run efc-npu-schedule before efc-npu-synchronize";
      return signalPassFailure();
    }
    SynchronizeResult result = synchronizeProgram(program);
    numWaits += result.waits;
    numNotifies += result.notifies;
  }
};
} // namespace
