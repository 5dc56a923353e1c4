// Writes the folder of --report. See Reports.h.
#include "compiler/report/Reports.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace efc;
using namespace llvm;

static Error writeFile(StringRef folder, StringRef name,
                       function_ref<void(raw_ostream &)> write) {
  SmallString<128> path(folder);
  sys::path::append(path, name);
  return writeToOutput(path, [&](raw_ostream &os) {
    write(os);
    return Error::success();
  });
}

Error efc::writeReports(const CompileReport &report, StringRef folder) {
  if (std::error_code code = sys::fs::create_directories(folder))
    return createStringError(code, code.message());
  if (Error error = writeFile(folder, "compile.json", [&](raw_ostream &os) {
        writeCompileJson(report, os);
      }))
    return error;
  if (!report.npu)
    return Error::success();
  const NpuReport &npu = *report.npu;
  std::vector<LayerStatistics> layers = layersOf(npu);
  std::pair<StringRef, std::function<void(raw_ostream &)>> files[] = {
      {"layers.csv", [&](raw_ostream &os) { writeLayersCsv(npu, layers, os); }},
      {"layers.json",
       [&](raw_ostream &os) { writeLayersJson(npu, layers, os); }},
      {"trace.json", [&](raw_ostream &os) { writeTrace(npu, os); }},
      {"report.html", [&](raw_ostream &os) { writeHtml(report, layers, os); }}};
  for (const auto &[name, write] : files)
    if (Error error = writeFile(folder, name, write))
      return error;
  return Error::success();
}
