// Opens an artifact: the fixed order of its verification.
#include "runtime/core/Artifact.h"

#include "runtime/core/ArtifactReader.h"
#include "runtime/core/Text.h"

using namespace efrt;

Result<Artifact> Artifact::fromBytes(std::span<const std::byte> bytes,
                                     unsigned threads) {
  Artifact artifact;
  artifact.fileBytes = bytes.size();
  Result<const efc::fb::Model *> model = readHeader(bytes);
  if (!model)
    return model.status();
  if (Status status = readSections(**model, bytes, artifact); !status.ok())
    return status;
  if (Status status = readModel(**model, artifact); !status.ok())
    return status;
  if (Status status = verifyChecksums(artifact.sections, threads); !status.ok())
    return status;
  return artifact;
}

Result<Artifact> Artifact::open(const std::string &path, unsigned threads) {
  Result<MappedFile> mapped = MappedFile::open(path);
  if (!mapped)
    return mapped.status();
  Result<Artifact> artifact = fromBytes(mapped->bytes(), threads);
  if (!artifact)
    return Status(
        artifact.status().getCode(),
        concat("cannot load ", quote(path), ": ", artifact.status().message()));
  artifact->file = std::move(*mapped);
  return artifact;
}
