// See Page.h.
#include "compiler/report/Page.h"

#include "llvm/ADT/STLExtras.h"

#include <array>

using namespace llvm;

namespace {
struct EmbeddedFile {
  StringLiteral name; ///< Without folder and extension.
  StringLiteral text;
};
} // namespace

static constexpr EmbeddedFile embeddedFiles[] = {
#include "compiler/report/PageFiles.inc"
};

static StringRef textOf(StringRef name) {
  for (const EmbeddedFile &file : embeddedFiles)
    if (file.name == name)
      return file.text;
  llvm_unreachable("every file of the page is embedded");
}

StringRef efc::page::html() { return textOf("page"); }

StringRef efc::page::style() { return textOf("style"); }

ArrayRef<StringRef> efc::page::scripts() {
  static const std::array<StringRef, 4> scripts = {
      textOf("core"), textOf("timeline"), textOf("scratchpad"), textOf("main")};
  return scripts;
}
