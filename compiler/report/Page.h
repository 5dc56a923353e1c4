// The files of page/, which report.html is put together from. Embedded by
// cmake/EmbedFiles.cmake.
#ifndef EFC_COMPILER_REPORT_PAGE_H
#define EFC_COMPILER_REPORT_PAGE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace efc::page {

/// page.html, with the markers /*STYLE*/, /*DATA*/ and /*SCRIPTS*/.
llvm::StringRef html();
llvm::StringRef style();
/// In the order in which they run.
llvm::ArrayRef<llvm::StringRef> scripts();

} // namespace efc::page

#endif
