// The compile's report as JSON (--report) and as a summary for a terminal.
#ifndef EFC_COMPILER_PIPELINE_REPORT_H
#define EFC_COMPILER_PIPELINE_REPORT_H

#include "compiler/pipeline/Compiler.h"

#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace efc {

llvm::Error writeReport(const CompileReport &report, llvm::StringRef path);
void printSummary(const CompileReport &report, llvm::raw_ostream &os);

} // namespace efc

#endif
