// A partition of five commands whose every figure can be computed by hand.
#ifndef EFC_TEST_UNIT_REPORT_SMALLREPORT_H
#define EFC_TEST_UNIT_REPORT_SMALLREPORT_H

#include "compiler/report/CompileReport.h"
#include "compiler/report/ScratchMap.h"

namespace efc::test {

inline efrt::npu::View view(uint32_t address, uint32_t rows, uint32_t columns,
                            uint32_t rowBytes) {
  efrt::npu::View result;
  result.address = address;
  result.extents = {1, 1, rows, columns};
  result.strides = {0, 0, static_cast<int32_t>(rowBytes), 2};
  return result;
}

inline efrt::npu::Body transfer(bool isStore, uint32_t address,
                                uint32_t bytes) {
  efrt::npu::DmaCommand dma;
  dma.isStore = isStore;
  dma.address = address;
  dma.extents = {1, 1, 1, 1, bytes / 2};
  dma.dramStrides[4] = dma.scratchStrides[4] = 2;
  return dma;
}

inline efrt::npu::Body copy(efrt::npu::View from, efrt::npu::View to) {
  efrt::npu::VectorCommand vector;
  vector.program.operands = {from};
  vector.program.code = {{efrt::npu::Opcode::Load, 0, 0, 0, 0}};
  vector.program.result = to;
  return vector;
}

/// Cycles:      0      10      20      30      40
///   dma0       [load A ][load B ]
///   vector0            [-- A, left --]              10 to 30
///   vector1                     [-- A, right --]    20 to 40
///   dma1                                    [store] 40 to 50
/// A loads 256 bytes to 0, B 128 bytes to 256. The halves write columns of 8
/// rows of 32 bytes at 512; the store reads them.
inline NpuReport smallReport() {
  using namespace efrt::npu;
  NpuReport report;
  report.machine.name = "test";
  report.machine.clockHz = 1e9;
  report.machine.scratchpadBytes = 1024;
  report.machine.vectorEngines = 2;
  NpuPartition partition;
  partition.name = "npu_0";
  Program &program = partition.program;
  program.sources = {{"node_a", "copy", 0, 0}, {"node_b", "add", 1, 0}};
  uint32_t sequence = 0;
  auto add = [&](Queue queue, uint32_t source, double start, double end,
                 Body body) {
    std::vector<Command> &commands = program.queues[static_cast<size_t>(queue)];
    Command command;
    command.sequence = sequence;
    command.source = source;
    command.body = std::move(body);
    partition.timeline.events.push_back({queue,
                                         static_cast<uint32_t>(commands.size()),
                                         sequence++, start, end});
    commands.push_back(std::move(command));
  };
  add(Queue::Dma0, 0, 0, 10, transfer(false, 0, 256));
  add(Queue::Dma0, 1, 10, 20, transfer(false, 256, 128));
  add(Queue::Vector0, 0, 10, 30, copy(view(0, 8, 8, 32), view(512, 8, 8, 32)));
  add(Queue::Vector1, 0, 20, 40, copy(view(16, 8, 8, 32), view(528, 8, 8, 32)));
  add(Queue::Dma1, 0, 40, 50, transfer(true, 512, 256));
  partition.timeline.cycles = 50;
  program.scratchpadBytes = 768;
  partition.scratchPeakBytes = peakBytesOf(scratchBuffersOf(partition));
  report.partitions.push_back(std::move(partition));
  return report;
}

} // namespace efc::test

#endif
