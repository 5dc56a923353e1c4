// The checksums of an artifact, shared by the compiler that writes them and the
// runtime that verifies them.
//
// XXH64 with seed 0, as specified in xxHash's doc/xxhash_spec.md (section
// "XXH64 Algorithm Description"), guards the header. A section's checksum is
// two levels of it: XXH64 over the little-endian XXH64s of the section's
// consecutive 1 MiB chunks (the last one shorter; none for an empty section).
// The chunks are independent, so a gigabyte of weights is verified by all cores
// at memory bandwidth. Both guard against damage, not against malice.
#ifndef EFRT_CHECKSUM_H
#define EFRT_CHECKSUM_H

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace efrt {

static_assert(std::endian::native == std::endian::little,
              "the artifact is little-endian and mapped as it is");

/// XXH64 (seed 0) of bytes that arrive in parts.
class Xxh64 {
public:
  void update(std::span<const std::byte> data) {
    totalBytes += data.size();
    if (pendingBytes > 0) {
      size_t taken = std::min(data.size(), pending.size() - pendingBytes);
      std::copy_n(data.begin(), taken, pending.begin() + pendingBytes);
      pendingBytes += taken;
      data = data.subspan(taken);
      if (pendingBytes < pending.size())
        return;
      consumeStripes(pending.data(), 1);
      pendingBytes = 0;
    }
    size_t stripes = data.size() / pending.size();
    consumeStripes(data.data(), stripes);
    data = data.subspan(stripes * pending.size());
    std::copy(data.begin(), data.end(), pending.begin());
    pendingBytes = data.size();
  }

  /// The hash of what came so far; more may follow.
  uint64_t digest() const {
    uint64_t hash = totalBytes < pending.size() ? prime5 : mergedLanes();
    hash += totalBytes;
    const std::byte *cursor = pending.data(), *end = cursor + pendingBytes;
    for (; end - cursor >= 8; cursor += 8)
      hash = std::rotl(hash ^ round(0, read<uint64_t>(cursor)), 27) * prime1 +
             prime4;
    for (; end - cursor >= 4; cursor += 4)
      hash = std::rotl(hash ^ (read<uint32_t>(cursor) * prime1), 23) * prime2 +
             prime3;
    for (; cursor != end; ++cursor)
      hash = std::rotl(hash ^ (static_cast<uint64_t>(*cursor) * prime5), 11) *
             prime1;
    hash = (hash ^ (hash >> 33)) * prime2;
    hash = (hash ^ (hash >> 29)) * prime3;
    return hash ^ (hash >> 32);
  }

private:
  static constexpr uint64_t prime1 = 0x9E3779B185EBCA87,
                            prime2 = 0xC2B2AE3D27D4EB4F,
                            prime3 = 0x165667B19E3779F9,
                            prime4 = 0x85EBCA77C2B2AE63,
                            prime5 = 0x27D4EB2F165667C5;

  template <typename T> static T read(const std::byte *from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
  }

  static uint64_t round(uint64_t lane, uint64_t input) {
    return std::rotl(lane + input * prime2, 31) * prime1;
  }

  void consumeStripes(const std::byte *data, size_t count) {
    std::array<uint64_t, 4> lane = lanes; // A local copy stays in registers.
    for (size_t stripe = 0; stripe < count; ++stripe, data += 32)
      for (size_t i = 0; i < 4; ++i)
        lane[i] = round(lane[i], read<uint64_t>(data + 8 * i));
    lanes = lane;
  }

  uint64_t mergedLanes() const {
    uint64_t hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) +
                    std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
    for (uint64_t lane : lanes)
      hash = (hash ^ round(0, lane)) * prime1 + prime4;
    return hash;
  }

  std::array<uint64_t, 4> lanes = {prime1 + prime2, prime2, 0, 0 - prime1};
  std::array<std::byte, 32> pending{};
  size_t pendingBytes = 0;
  uint64_t totalBytes = 0;
};

inline uint64_t xxh64(std::span<const std::byte> data) {
  Xxh64 hash;
  hash.update(data);
  return hash.digest();
}

/// Bytes of a chunk of the two-level section checksum.
inline constexpr size_t kChecksumChunkBytes = size_t(1) << 20;

/// The checksum of a section from the XXH64s of its chunks, in order.
inline uint64_t combineChunkChecksums(std::span<const uint64_t> chunks) {
  return xxh64(std::as_bytes(chunks));
}

/// The section checksum of bytes that arrive in parts (a writer that streams
/// weights to disk).
class SectionChecksum {
public:
  void update(std::span<const std::byte> data) {
    while (!data.empty()) {
      size_t taken = std::min(data.size(), kChecksumChunkBytes - chunkBytes);
      chunk.update(data.first(taken));
      chunkBytes += taken;
      data = data.subspan(taken);
      if (chunkBytes == kChecksumChunkBytes)
        closeChunk();
    }
  }

  uint64_t finish() {
    if (chunkBytes > 0)
      closeChunk();
    return combineChunkChecksums(chunks);
  }

private:
  void closeChunk() {
    chunks.push_back(chunk.digest());
    chunk = Xxh64();
    chunkBytes = 0;
  }

  Xxh64 chunk;
  size_t chunkBytes = 0;
  std::vector<uint64_t> chunks;
};

/// The checksum of a whole section (Section.checksum of the schema).
inline uint64_t sectionChecksum(std::span<const std::byte> data) {
  SectionChecksum checksum;
  checksum.update(data);
  return checksum.finish();
}

} // namespace efrt

#endif
