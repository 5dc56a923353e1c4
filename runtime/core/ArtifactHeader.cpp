// Verifies the fixed prefix, the FlatBuffers header and the places of the
// sections.
#include "efrt/Checksum.h"
#include "runtime/core/ArtifactReader.h"
#include "runtime/core/Text.h"

#include <algorithm>
#include <numeric>

using namespace efrt;

static constexpr unsigned char kMagic[8] = {'E',  'F',  'A',  0,
                                            '\r', '\n', 0x1a, '\n'};
static constexpr size_t kPrefixBytes = 32;
static constexpr size_t kSectionAlignment = 64;
static constexpr uint16_t kVersionMajor = 1;
/// NPU programs.
static constexpr uint64_t kKnownFeatures = 1;

/// The fixed part at the start of the file.
struct Prefix {
  unsigned char magic[8];
  uint32_t headerBytes;
  uint32_t reserved;
  uint64_t fileBytes;
  uint64_t headerChecksum;
};
static_assert(sizeof(Prefix) == kPrefixBytes);

static Status checkPrefix(const Prefix &prefix,
                          std::span<const std::byte> bytes) {
  if (!std::ranges::equal(prefix.magic, kMagic))
    return corrupt(
        "it does not start with the magic number of an .efa artifact");
  if (prefix.fileBytes != bytes.size())
    return corrupt(concat("it should be ", prefix.fileBytes,
                          " bytes long and is ", bytes.size(),
                          "; was it copied completely?"));
  if (prefix.reserved != 0)
    return corrupt("the reserved word of its prefix is not zero");
  if (prefix.headerBytes > bytes.size() - kPrefixBytes ||
      prefix.headerBytes >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return corrupt(concat("its header of ", prefix.headerBytes,
                          " bytes does not fit into the file"));
  return Status();
}

static Status checkVersion(const efc::fb::Model &model) {
  if (model.version_major() != kVersionMajor)
    return Status(StatusCode::Unsupported,
                  concat("it has format version ", model.version_major(), ".",
                         model.version_minor(), " and this runtime reads ",
                         kVersionMajor, ".x; compile the model again"));
  if (uint64_t unknown = model.required_features() & ~kKnownFeatures)
    return Status(StatusCode::Unsupported,
                  concat("it needs the format features ", unknown,
                         " (bits), which this runtime does not know"));
  return Status();
}

Result<const efc::fb::Model *>
efrt::readHeader(std::span<const std::byte> bytes) {
  if (bytes.size() < kPrefixBytes)
    return corrupt(concat("it has ", bytes.size(),
                          " bytes, too few for an .efa artifact"));
  Prefix prefix;
  std::memcpy(&prefix, bytes.data(), sizeof(prefix));
  if (Status status = checkPrefix(prefix, bytes); !status.ok())
    return status;
  std::span<const std::byte> header =
      bytes.subspan(kPrefixBytes, prefix.headerBytes);
  if (xxh64(header) != prefix.headerChecksum)
    return corrupt(
        "its header does not match its checksum: the file is damaged");
  const auto *data = reinterpret_cast<const uint8_t *>(header.data());
  flatbuffers::Verifier verifier(data, header.size());
  if (!efc::fb::VerifyModelBuffer(verifier))
    return corrupt("its header is not a valid FlatBuffer of an artifact");
  const efc::fb::Model *model = efc::fb::GetModel(data);
  if (Status status = checkVersion(*model); !status.ok())
    return status;
  return model;
}

/// The range that a section may use starts behind the header.
static size_t sectionsBegin(std::span<const std::byte> bytes) {
  Prefix prefix;
  std::memcpy(&prefix, bytes.data(), sizeof(prefix));
  return kPrefixBytes + prefix.headerBytes;
}

static Status checkOverlaps(std::span<const ArtifactSection> sections) {
  std::vector<size_t> order(sections.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](size_t i) {
    return std::pair(sections[i].data.data(), sections[i].data.size());
  });
  for (size_t i = 1; i < order.size(); ++i) {
    std::span<const std::byte> before = sections[order[i - 1]].data;
    if (before.data() + before.size() > sections[order[i]].data.data())
      return corrupt(
          concat("its sections ", order[i - 1], " and ", order[i], " overlap"));
  }
  return Status();
}

Status efrt::readSections(const efc::fb::Model &model,
                          std::span<const std::byte> bytes,
                          Artifact &artifact) {
  size_t begin = sectionsBegin(bytes);
  size_t count = model.sections() ? model.sections()->size() : 0;
  for (size_t i = 0; i < count; ++i) {
    const efc::fb::Section &section = *model.sections()->Get(i);
    std::string which =
        concat("its section ", i, " ", quote(toString(section.name())));
    if (section.offset() % kSectionAlignment != 0)
      return corrupt(
          concat(which, " is not aligned to ", kSectionAlignment, " bytes"));
    if (section.offset() < begin || section.offset() > bytes.size() ||
        section.size() > bytes.size() - section.offset())
      return corrupt(concat(which, " lies outside the file"));
    artifact.sections.push_back(
        {section.kind(), toString(section.name()),
         bytes.subspan(section.offset(), section.size()), section.checksum()});
    if (section.kind() != SectionKind::Weights)
      continue;
    if (artifact.weights.data())
      return corrupt("it has more than one section of weights");
    artifact.weights = artifact.sections.back().data;
  }
  return checkOverlaps(artifact.sections);
}
