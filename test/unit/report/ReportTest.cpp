// Figures of the reports against values computed by hand.
#include "compiler/report/Disassembly.h"
#include "compiler/report/NpuTotals.h"
#include "compiler/report/Reports.h"

#include "SmallReport.h"

#include "llvm/Support/JSON.h"

#include <gmock/gmock.h>

using namespace efc;
using testing::HasSubstr;

static std::string
written(llvm::function_ref<void(llvm::raw_ostream &)> write) {
  std::string text;
  llvm::raw_string_ostream os(text);
  write(os);
  return text;
}

TEST(LayerStatistics, DividesEachMomentAmongWhatRuns) {
  std::vector<LayerStatistics> layers = layersOf(test::smallReport());
  ASSERT_EQ(layers.size(), 2u);
  const LayerStatistics &a = layers[0], &b = layers[1];
  EXPECT_EQ(a.node, "node_a");
  EXPECT_EQ(a.op, "copy");
  // 0..10 alone, 10..20 half, 20..50 alone; the other layer has the other half.
  EXPECT_DOUBLE_EQ(a.share, 10 + 5 + 30);
  EXPECT_DOUBLE_EQ(b.share, 5);
  EXPECT_DOUBLE_EQ(a.start, 0);
  EXPECT_DOUBLE_EQ(a.end, 50);
  EXPECT_DOUBLE_EQ(b.start, 10);
  EXPECT_DOUBLE_EQ(b.end, 20);
}

TEST(LayerStatistics, AddsUpCommandsBytesAndCycles) {
  std::vector<LayerStatistics> layers = layersOf(test::smallReport());
  const LayerStatistics &a = layers[0], &b = layers[1];
  EXPECT_EQ(a.commands, 4u);
  EXPECT_EQ(b.commands, 1u);
  EXPECT_EQ(a.dramReadBytes, 256u);
  EXPECT_EQ(a.dramWriteBytes, 256u);
  EXPECT_EQ(b.dramReadBytes, 128u);
  EXPECT_DOUBLE_EQ(a.cyclesOf(EngineKind::Dma), 20);
  EXPECT_DOUBLE_EQ(a.cyclesOf(EngineKind::Vector), 40);
  EXPECT_EQ(a.scratchBytes, 512u);
  EXPECT_EQ(b.scratchBytes, 128u);
}

TEST(LayerStatistics, TotalsAreSums) {
  NpuReport report = test::smallReport();
  NpuTotals totals = totalsOf(report, layersOf(report));
  EXPECT_EQ(totals.commands, 5u);
  EXPECT_EQ(totals.dramReadBytes, 384u);
  EXPECT_EQ(totals.dramWriteBytes, 256u);
  EXPECT_DOUBLE_EQ(totals.milliseconds(report.machine), 50e-6);
  EXPECT_DOUBLE_EQ(totals.utilisation(EngineKind::Vector, report.machine),
                   40.0 / 100);
}

TEST(ScratchMap, PartsOfOneBufferAreOne) {
  NpuReport report = test::smallReport();
  std::vector<ScratchBuffer> buffers = scratchBuffersOf(report.partitions[0]);
  ASSERT_EQ(buffers.size(), 3u);
  // The operand, until its second half is read.
  EXPECT_EQ(buffers[0].address, 0u);
  EXPECT_EQ(buffers[0].bytes, 256u);
  EXPECT_DOUBLE_EQ(buffers[0].start, 0);
  EXPECT_DOUBLE_EQ(buffers[0].end, 40);
  // Both halves of the result, until it is stored.
  const ScratchBuffer &result =
      buffers[1].address == 512 ? buffers[1] : buffers[2];
  EXPECT_EQ(result.address, 512u);
  EXPECT_EQ(result.bytes, 256u);
  EXPECT_DOUBLE_EQ(result.start, 10);
  EXPECT_DOUBLE_EQ(result.end, 50);
  EXPECT_EQ(report.partitions[0].scratchPeakBytes, 256u + 256u + 128u);
}

TEST(ScratchMap, WhatIsOverwrittenEnds) {
  NpuReport report = test::smallReport();
  NpuPartition &partition = report.partitions[0];
  // A load over the operand while the result is stored.
  efrt::npu::Command command;
  command.sequence = 5;
  command.source = 1;
  command.body = test::transfer(false, 64, 128);
  auto &queue = partition.program.queues[0];
  partition.timeline.events.push_back(
      {efrt::npu::Queue::Dma0, static_cast<uint32_t>(queue.size()), 5, 42, 48});
  queue.push_back(command);
  std::vector<ScratchBuffer> buffers = scratchBuffersOf(partition);
  ASSERT_EQ(buffers.size(), 4u);
  EXPECT_EQ(buffers[3].address, 64u);
  EXPECT_DOUBLE_EQ(buffers[3].start, 42);
  for (const ScratchBuffer &a : buffers)
    for (const ScratchBuffer &b : buffers)
      EXPECT_TRUE(&a == &b || a.end <= b.start || b.end <= a.start ||
                  a.address + a.bytes <= b.address ||
                  b.address + b.bytes <= a.address);
}

TEST(Reports, NamesWithCommasAndQuotesSurviveCsv) {
  NpuReport report = test::smallReport();
  report.partitions[0].program.sources[0].node = "a,\"b\"";
  std::string csv = written([&](llvm::raw_ostream &os) {
    writeLayersCsv(report, layersOf(report), os);
  });
  EXPECT_THAT(csv, HasSubstr("npu_0,\"a,\"\"b\"\"\",copy,0,1,0,4,0,"));
}

TEST(Reports, PageCannotBeBrokenByAName) {
  CompileReport report;
  report.model = "</script><script>alert(1)</script>";
  report.npu = test::smallReport();
  report.npu->partitions[0].program.sources[0].node = "</script>";
  std::string page = written([&](llvm::raw_ostream &os) {
    writeHtml(report, layersOf(*report.npu), os);
  });
  EXPECT_EQ(llvm::StringRef(page).count("</script>"), 1u);
  EXPECT_EQ(llvm::StringRef(page).count("/*DATA*/"), 0u);
}

TEST(Reports, TraceIsJson) {
  NpuReport report = test::smallReport();
  std::string text =
      written([&](llvm::raw_ostream &os) { writeTrace(report, os); });
  llvm::Expected<llvm::json::Value> trace = llvm::json::parse(text);
  ASSERT_TRUE(!!trace) << llvm::toString(trace.takeError());
  size_t commands = 0;
  for (const llvm::json::Value &event :
       *trace->getAsObject()->getArray("traceEvents"))
    commands += event.getAsObject()->getString("ph") == "X";
  EXPECT_EQ(commands, 5u);
}

TEST(Disassembly, SaysWhatACommandDoes) {
  NpuReport report = test::smallReport();
  const efrt::npu::Program &program = report.partitions[0].program;
  auto text = [&](efrt::npu::Queue queue, size_t index) {
    return written([&](llvm::raw_ostream &os) {
      printCommand(program.queues[static_cast<size_t>(queue)][index], os);
    });
  };
  EXPECT_EQ(text(efrt::npu::Queue::Dma0, 0),
            "load [128] x 2 bytes slot 0 + 0 -> @0x0");
  EXPECT_EQ(text(efrt::npu::Queue::Dma1, 0),
            "store [128] x 2 bytes @0x200 -> slot 0 + 0");
  EXPECT_EQ(text(efrt::npu::Queue::Vector0, 0),
            "vector {r0 = load #0} (i16[8, 8] @0x0) -> i16[8, 8] @0x200");
}
