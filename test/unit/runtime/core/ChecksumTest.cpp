// XXH64 against published values, and the two-level section checksum against
// its definition.
#include "efrt/Checksum.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>

using namespace efrt;

static std::span<const std::byte> bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text));
}

static std::vector<std::byte> randomBytes(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte &byte : bytes)
    byte = static_cast<std::byte>(generator());
  return bytes;
}

TEST(Checksum, PublishedValues) {
  EXPECT_EQ(xxh64(bytesOf("")), 0xEF46DB3751D8E999u);
  EXPECT_EQ(xxh64(bytesOf("a")), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(xxh64(bytesOf("abc")), 0x44BC2CF5AD770999u);
  EXPECT_EQ(xxh64(bytesOf("Nobody inspects the spammish repetition")),
            0xFBCEA83C8A378BF1u);
}

TEST(Checksum, PartsGiveTheSameAsTheWhole) {
  constexpr unsigned seed = 1;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 generator(seed);
  std::vector<std::byte> bytes =
      randomBytes(3 * kChecksumChunkBytes + 12345, seed);
  Xxh64 hash;
  SectionChecksum section;
  for (std::span<const std::byte> rest = bytes; !rest.empty();) {
    size_t limit = generator() % 4 == 0 ? 700000 : 70;
    std::span<const std::byte> part =
        rest.first(std::min<size_t>(rest.size(), generator() % limit));
    hash.update(part);
    section.update(part);
    rest = rest.subspan(part.size());
  }
  EXPECT_EQ(hash.digest(), xxh64(bytes));
  EXPECT_EQ(section.finish(), sectionChecksum(bytes));
}

TEST(Checksum, SectionIsTheHashOfItsChunksHashes) {
  std::vector<std::byte> bytes = randomBytes(kChecksumChunkBytes + 5, 2);
  std::span<const std::byte> all = bytes;
  std::vector<uint64_t> chunks = {xxh64(all.first(kChecksumChunkBytes)),
                                  xxh64(all.last(5))};
  EXPECT_EQ(sectionChecksum(all), xxh64(std::as_bytes(std::span(chunks))));
  EXPECT_EQ(sectionChecksum(all.first(kChecksumChunkBytes)),
            xxh64(std::as_bytes(std::span(chunks).first(1))));
  EXPECT_EQ(sectionChecksum({}), xxh64({}));
}
