// See ArtifactWriter.h and runtime/schema/artifact.fbs for the layout of the
// file.
#include "compiler/artifact/ArtifactWriter.h"

#include "efrt/Checksum.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace efc;

static constexpr uint64_t kAlignment = 64, kPrologueBytes = 32;
static constexpr char kMagic[8] = {'E',  'F',  'A',    '\0',
                                   '\r', '\n', '\x1a', '\n'};

static std::span<const std::byte> asBytes(ArrayRef<char> data) {
  return std::as_bytes(std::span(data.data(), data.size()));
}

uint32_t ArtifactWriter::addSection(fb::SectionKind kind, std::string name,
                                    std::vector<char> bytes) {
  uint64_t size = bytes.size();
  auto shared = std::make_shared<std::vector<char>>(std::move(bytes));
  return addSection(kind, std::move(name), size,
                    [shared](const Sink &sink) { return sink(*shared); });
}

uint32_t
ArtifactWriter::addSection(fb::SectionKind kind, std::string name,
                           uint64_t size,
                           std::function<Error(const Sink &)> produce) {
  sections.push_back({kind, std::move(name), size, std::move(produce)});
  return sections.size() - 1;
}

/// Defaults are written out, so that the size of the header does not depend on
/// the checksums.
static std::vector<char> serialize(const fb::ModelT &model) {
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceDefaults(true);
  fb::FinishModelBuffer(builder, fb::Model::Pack(builder, &model));
  const char *data = reinterpret_cast<const char *>(builder.GetBufferPointer());
  return {data, data + builder.GetSize()};
}

static Error streamFailure(StringRef path, raw_fd_ostream &stream) {
  std::error_code code = stream.error();
  stream.clear_error();
  return createStringError("cannot write '" + path + "': " + code.message() +
                           "; nothing was written");
}

static void writePrologue(raw_ostream &stream, ArrayRef<char> header,
                          uint64_t fileBytes) {
  uint32_t headerBytes = header.size(), zero = 0;
  uint64_t checksum = efrt::xxh64(asBytes(header));
  stream.write(kMagic, sizeof(kMagic));
  for (uint32_t word : {headerBytes, zero})
    stream.write(reinterpret_cast<const char *>(&word), sizeof(word));
  for (uint64_t word : {fileBytes, checksum})
    stream.write(reinterpret_cast<const char *>(&word), sizeof(word));
  stream.write(header.data(), header.size());
}

Error ArtifactWriter::write(StringRef path) {
  model.sections.clear();
  for (const Section &section : sections) {
    auto entry = std::make_unique<fb::SectionT>();
    entry->kind = section.kind;
    entry->name = section.name;
    entry->size = section.size;
    model.sections.push_back(std::move(entry));
  }
  // Offsets and checksums have a fixed width: the size is final before they are
  // known.
  uint64_t end = kPrologueBytes + serialize(model).size();
  for (auto [section, entry] : llvm::zip_equal(sections, model.sections)) {
    entry->offset = alignTo(end, kAlignment);
    end = entry->offset + section.size;
  }

  Expected<sys::fs::TempFile> file =
      sys::fs::TempFile::create(path + ".tmp%%%%%%");
  if (!file)
    return createStringError("cannot write '" + path +
                             "': " + toString(file.takeError()) +
                             "; choose another -o");
  llvm::scope_exit discard([&] { consumeError(file->discard()); });
  raw_fd_ostream stream(file->FD, /*shouldClose=*/false);
  for (auto [section, entry] : llvm::zip_equal(sections, model.sections)) {
    stream.seek(entry->offset);
    efrt::SectionChecksum checksum;
    [[maybe_unused]] uint64_t written = 0; // Only asserted on.
    Error error = section.produce([&](ArrayRef<char> bytes) -> Error {
      stream.write(bytes.data(), bytes.size());
      if (stream.has_error())
        return streamFailure(path, stream);
      checksum.update(asBytes(bytes));
      written += bytes.size();
      return Error::success();
    });
    if (error) {
      stream.clear_error();
      return error;
    }
    assert(written == section.size && "a section is as large as was said");
    entry->checksum = checksum.finish();
  }
  stream.seek(0);
  writePrologue(stream, serialize(model), end);
  stream.flush();
  if (!stream.has_error())
    if (std::error_code code = sys::fs::resize_file(file->FD, end))
      return createStringError("cannot write '" + path +
                               "': " + code.message());
  if (stream.has_error())
    return streamFailure(path, stream);
  discard.release();
  if (Error error = file->keep(path))
    return createStringError("cannot write '" + path +
                             "': " + toString(std::move(error)));
  return Error::success();
}
