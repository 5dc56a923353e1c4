// The figures of a machine by name: what the machine files, --print-machine and
// the artifact are written and read with, so that a new figure is named once.
#ifndef EFRT_NPU_MACHINEFIELDS_H
#define EFRT_NPU_MACHINEFIELDS_H

#include "efrt/Status.h"
#include "npu/Machine.h"

#include <string_view>
#include <utility>

namespace efrt::npu {

/// "add", "gelu_tanh", ...
std::string_view nameOf(Opcode op);

/// Calls visit(name, field) for each figure of `machine`, which may be const;
/// fields are uint32_t, double and bool. `name` (of machine) is none of them.
template <typename MachineT, typename Visit>
void forEachFigure(MachineT &machine, Visit &&visit) {
  visit("clock_hz", machine.clockHz);
  visit("scratchpad_bytes", machine.scratchpadBytes);
  visit("scratchpad_banks", machine.scratchpadBanks);
  auto visitEngine = [&](const std::string &prefix, auto &engine) {
    visit(prefix + "count", engine.count);
    visit(prefix + "array_k", engine.arrayK);
    visit(prefix + "array_n", engine.arrayN);
    visit(prefix + "array_m", engine.arrayM);
    visit(prefix + "utilisation", engine.utilisation);
    visit(prefix + "output_lanes", engine.outputLanes);
    visit(prefix + "start_cycles", engine.startCycles);
  };
  visitEngine("gte.", machine.gte);
  visitEngine("ste.", machine.ste);
  visit("vector.count", machine.vectorEngines);
  visit("vector.lanes", machine.vectorLanes);
  visit("vector.start_cycles", machine.vectorStartCycles);
  visit("dma.queues", machine.dmaQueues);
  visit("dma.setup_seconds", machine.dmaSetupSeconds);
  visit("dram.bytes_per_second", machine.dramBytesPerSecond);
  visit("dram.burst_bytes", machine.dramBurstBytes);
  visit("rate.i16xi8", machine.rateI16xI8);
  visit("rate.i16xi16", machine.rateI16xI16);
  visit("rate.f16xf16", machine.rateF16xF16);
  visit("cost.softmax", machine.softmaxCost);
  visit("cost.norm_stats", machine.normStatsCost);
  visit("cost.layer_norm", machine.layerNormCost);
  visit("cost.load_store", machine.loadStoreCost);
  for (size_t op = 0; op < kNumOpcodes; ++op)
    visit("cost." + std::string(nameOf(static_cast<Opcode>(op))),
          machine.opCost[op]);
  visit("overlap", machine.overlap);
}

/// All figures as the artifact stores them (a bool is 0 or 1).
std::vector<std::pair<std::string, double>> figuresOf(const Machine &machine);

/// The opposite. Fails with CorruptData for a figure that is missing, unknown,
/// there twice, or no value of its field.
Result<Machine>
machineFromFigures(std::string name,
                   const std::vector<std::pair<std::string, double>> &figures);

} // namespace efrt::npu

#endif
