// See Diagnostics.h.
#include "compiler/pipeline/Diagnostics.h"

#include "dialects/ef/Locations.h"

#include "llvm/Support/raw_ostream.h"

using namespace efc;

std::string efc::toText(mlir::Diagnostic &diagnostic) {
  std::string text;
  llvm::raw_string_ostream os(text);
  mlir::Location loc = diagnostic.getLocation();
  if (llvm::StringRef node = ef::getNodeName(loc); !node.empty())
    os << "node '" << node << "': ";
  else if (!mlir::isa<mlir::UnknownLoc>(loc))
    os << loc << ": ";
  os << diagnostic;
  return text;
}
