// The reports of a compile: a summary for the terminal, and the files of
// --report. Times of the NPU are simulated, and every report says so.
#ifndef EFC_COMPILER_REPORT_REPORTS_H
#define EFC_COMPILER_REPORT_REPORTS_H

#include "compiler/report/LayerStatistics.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace efc {

void printSummary(const CompileReport &report, llvm::raw_ostream &os);
/// The NPU's part of it.
void printNpuSummary(const NpuReport &report,
                     const std::vector<LayerStatistics> &layers,
                     llvm::raw_ostream &os);

/// Creates `folder` if need be and writes compile.json and, if the target has
/// an NPU, layers.csv, layers.json, trace.json and report.html.
llvm::Error writeReports(const CompileReport &report, llvm::StringRef folder);

// The files one by one.
void writeCompileJson(const CompileReport &report, llvm::raw_ostream &os);
void writeLayersCsv(const NpuReport &report,
                    const std::vector<LayerStatistics> &layers,
                    llvm::raw_ostream &os);
void writeLayersJson(const NpuReport &report,
                     const std::vector<LayerStatistics> &layers,
                     llvm::raw_ostream &os);
/// Chrome's trace events, which ui.perfetto.dev opens: partitions are
/// processes, queues are threads.
void writeTrace(const NpuReport &report, llvm::raw_ostream &os);
/// One page that needs no network.
void writeHtml(const CompileReport &report,
               const std::vector<LayerStatistics> &layers,
               llvm::raw_ostream &os);

} // namespace efc

#endif
