// Builds small artifacts for tests: a valid one, and, by way of its model, any
// invalid one.
#ifndef EFC_TEST_UNIT_RUNTIME_CORE_TESTARTIFACT_H
#define EFC_TEST_UNIT_RUNTIME_CORE_TESTARTIFACT_H

#include "efrt/artifact_generated.h"
#include "runtime/core/AlignedMemory.h"

#include <functional>
#include <string>
#include <vector>

namespace efrt::test {

inline constexpr int64_t kRows = 37, kColumns = 16;

/// y = n * (x + w) + rowsum(x + w) on [kRows, kColumns] floats, as two
/// launches: "add" into the arena, then "scale" into the output. Inputs x and n
/// (one i32), weights w.
struct TestArtifact {
  efc::fb::ModelT model;
  std::vector<std::vector<std::byte>>
      sectionData; ///< Of model.sections, in order: weights, then code.
  std::vector<float> weights;

  TestArtifact();

  /// Sets offsets and checksums and writes the file's bytes. `adjust` sees the
  /// model after that, so it can break those too.
  std::vector<std::byte>
  assemble(const std::function<void(efc::fb::ModelT &)> &adjust = {});

  /// What y must be.
  std::vector<float> expected(std::span<const float> x, int32_t n) const;
};

/// Repairs the header's checksum after a test changed the header.
void fixHeaderChecksum(std::span<std::byte> artifact);

/// The bytes at a 64-byte aligned address.
AlignedMemory aligned(std::span<const std::byte> bytes);

/// A folder that is removed at the end.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string file(const std::string &name) const { return path + "/" + name; }
  std::string path;
};

void writeFile(const std::string &path, std::span<const std::byte> bytes);
std::vector<std::byte> readFile(const std::string &path);

} // namespace efrt::test

#endif
