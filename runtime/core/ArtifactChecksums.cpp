// Verifies the sections' checksums: a gigabyte of mapped weights, by all cores.
#include "efrt/Checksum.h"
#include "runtime/core/Affinity.h"
#include "runtime/core/ArtifactReader.h"
#include "runtime/core/Text.h"

#include <atomic>
#include <system_error>
#include <thread>

#include <sys/mman.h>

using namespace efrt;

/// One chunk of one section.
struct Chunk {
  std::span<const std::byte> data;
  uint64_t checksum = 0;
};

/// Brings the chunk's pages in with one call instead of a fault per 16 pages. A
/// hint: older kernels do not know it.
static void populate(std::span<const std::byte> data) {
#ifdef MADV_POPULATE_READ
  constexpr uintptr_t pageMask = 4095;
  auto begin = reinterpret_cast<uintptr_t>(data.data()) & ~pageMask;
  auto end = reinterpret_cast<uintptr_t>(data.data()) + data.size();
  (void)madvise(reinterpret_cast<void *>(begin), end - begin,
                MADV_POPULATE_READ);
#endif
}

static void hashChunks(std::vector<Chunk> &chunks, std::atomic<size_t> &next) {
  for (size_t i = next++; i < chunks.size(); i = next++) {
    populate(chunks[i].data);
    chunks[i].checksum = xxh64(chunks[i].data);
  }
}

static std::vector<Chunk>
splitIntoChunks(std::span<const ArtifactSection> sections) {
  std::vector<Chunk> chunks;
  for (const ArtifactSection &section : sections)
    for (size_t at = 0; at < section.data.size(); at += kChecksumChunkBytes)
      chunks.push_back({section.data.subspan(
          at, std::min(kChecksumChunkBytes, section.data.size() - at))});
  return chunks;
}

Status efrt::verifyChecksums(std::span<const ArtifactSection> sections,
                             unsigned threads) {
  std::vector<Chunk> chunks = splitIntoChunks(sections);
  std::atomic<size_t> next = 0;
  size_t helpers = std::min<size_t>(threads > 0 ? threads : usableCores(),
                                    chunks.size() / 4 + 1) -
                   1;
  {
    std::vector<std::jthread> pool;
    try {
      for (size_t i = 0; i < helpers; ++i)
        pool.emplace_back([&] { hashChunks(chunks, next); });
    } catch (const std::system_error &) {
      // Fewer threads than wished for only take longer.
    }
    hashChunks(chunks, next);
  }
  size_t at = 0;
  for (size_t i = 0; i < sections.size(); ++i) {
    std::vector<uint64_t> checksums;
    size_t end = at + (sections[i].data.size() + kChecksumChunkBytes - 1) /
                          kChecksumChunkBytes;
    for (; at < end; ++at)
      checksums.push_back(chunks[at].checksum);
    if (combineChunkChecksums(checksums) != sections[i].checksum)
      return corrupt(
          concat("its section ", i, " ", quote(sections[i].name),
                 " does not match its checksum: the file is damaged"));
  }
  return Status();
}
