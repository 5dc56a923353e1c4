// Writes .efa files (runtime/schema/artifact.fbs). Deterministic: the same
// calls give the same bytes.
#ifndef EFC_COMPILER_ARTIFACT_ARTIFACTWRITER_H
#define EFC_COMPILER_ARTIFACT_ARTIFACTWRITER_H

#include "efrt/artifact_generated.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <functional>
#include <vector>

namespace efc {

class ArtifactWriter {
public:
  /// Takes the next bytes of a section, in order.
  using Sink = std::function<llvm::Error(llvm::ArrayRef<char>)>;

  /// All of the header but `sections`; fill it before write().
  fb::ModelT model;

  /// A section whose bytes are at hand. Returns its index.
  uint32_t addSection(fb::SectionKind kind, std::string name,
                      std::vector<char> bytes);
  /// A section of `size` bytes that `produce` streams when the file is written,
  /// so that weights never have to be in memory together.
  uint32_t addSection(fb::SectionKind kind, std::string name, uint64_t size,
                      std::function<llvm::Error(const Sink &)> produce);

  /// Writes to a temporary file beside `path` and renames it: a failure leaves
  /// nothing behind and an older file as it was.
  llvm::Error write(llvm::StringRef path);

private:
  struct Section {
    fb::SectionKind kind;
    std::string name;
    uint64_t size;
    std::function<llvm::Error(const Sink &)> produce;
  };
  std::vector<Section> sections;
};

} // namespace efc

#endif
