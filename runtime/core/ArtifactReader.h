// The steps between mapped bytes and a verified Artifact; each returns the
// first thing that is wrong as one sentence.
#ifndef EFRT_CORE_ARTIFACTREADER_H
#define EFRT_CORE_ARTIFACTREADER_H

#include "runtime/core/Artifact.h"

namespace efrt {

/// Prefix, header checksum, FlatBuffers structure, version and feature bits.
/// The result points into `bytes`.
Result<const efc::fb::Model *> readHeader(std::span<const std::byte> bytes);

/// Fills `artifact.sections` and `weights`: in range, aligned, apart from each
/// other and from the header.
Status readSections(const efc::fb::Model &model,
                    std::span<const std::byte> bytes, Artifact &artifact);

/// Fills everything else; `artifact.sections` must be there.
Status readModel(const efc::fb::Model &model, Artifact &artifact);

/// Compares each section with its checksum, using up to `threads` threads.
Status verifyChecksums(std::span<const ArtifactSection> sections,
                       unsigned threads);

/// A dimension or size that no real model reaches; below it, sums and products
/// of a few of them cannot overflow.
inline constexpr uint64_t kMaxBytes = uint64_t(1) << 46;

inline Status corrupt(std::string sentence) {
  return Status(StatusCode::CorruptData, std::move(sentence));
}

inline std::string toString(const flatbuffers::String *text) {
  return text ? text->str() : std::string();
}

} // namespace efrt

#endif
