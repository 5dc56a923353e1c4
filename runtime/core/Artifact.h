// An opened .efa file whose every index, range and checksum has been verified:
// what uses it needs no further checks. Layout and order of verification:
// docs/design/artifact.md.
#ifndef EFRT_CORE_ARTIFACT_H
#define EFRT_CORE_ARTIFACT_H

#include "efrt/Session.h"
#include "efrt/artifact_generated.h"
#include "npu/Machine.h"
#include "runtime/core/MappedFile.h"

namespace efrt {

using efc::fb::DeviceKind;
using efc::fb::Memory;
using efc::fb::SectionKind;

struct ArtifactSection {
  SectionKind kind;
  std::string name;
  std::span<const std::byte> data; ///< 64-byte aligned, in the mapped file.
  uint64_t checksum;
};

/// An input or output of the model; `scale` as in the schema.
struct ArtifactPort : TensorInfo {
  double scale = 0;
};

struct ArtifactTensor {
  Memory memory;
  uint64_t offset; ///< In bytes for Arena and Weights, the index of the port
                   ///< for Input and Output.
  uint64_t size;   ///< Bytes.
  TensorInfo info;
};

struct ArtifactDispatch {
  DeviceKind device;
  uint32_t kernel; ///< Npu: index into npuPrograms.
  std::vector<uint32_t> tensors;
  uint32_t results; ///< The last so many of `tensors`.
  uint64_t work;
  uint64_t scratch; ///< Bytes per thread.
  std::string node, op;
  uint64_t macs, bytes;

  std::span<const uint32_t> resultTensors() const {
    return std::span(tensors).last(results);
  }
};

struct ArtifactVariant {
  std::string name, triple;
  std::vector<std::string> features;
  uint32_t section;
};

struct ArtifactNpuProgram {
  std::string name;
  std::span<const std::byte> commands; ///< For npu::decodeProgram().
  std::span<const std::byte> schedule; ///< For npu::decodeSchedule(), or empty.
  double cycles;                       ///< Simulated, by the compiler.
  uint64_t macs, dramBytes;
};

class Artifact {
public:
  /// Maps and verifies a file; the section checksums are computed by up to
  /// `threads` threads (0: one per usable core).
  static Result<Artifact> open(const std::string &path, unsigned threads = 0);
  /// The same for bytes that the caller keeps; they must be 64-byte aligned.
  static Result<Artifact> fromBytes(std::span<const std::byte> bytes,
                                    unsigned threads = 1);

  uint16_t versionMajor = 0, versionMinor = 0;
  std::string producer, name;
  std::vector<ArtifactPort> inputs, outputs;
  uint64_t arenaBytes = 0;
  std::vector<ArtifactTensor> tensors;
  std::vector<std::string> kernels;
  std::vector<ArtifactDispatch> dispatches;
  std::vector<ArtifactVariant> variants;
  npu::Machine npuMachine; ///< What npuPrograms, if any, were made for.
  std::vector<ArtifactNpuProgram> npuPrograms;
  std::vector<ArtifactSection> sections;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::span<const std::byte> weights; ///< Empty when the model has none.
  uint64_t fileBytes = 0;

private:
  MappedFile file;
};

/// What an artifact holds, as text for a person: signature, sections, variants,
/// memory, launches.
std::string describe(const Artifact &artifact);

} // namespace efrt

#endif
