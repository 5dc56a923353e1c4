// The loader: what it reads from a valid artifact, and that every kind of
// damage is a sentence.
#include "TestArtifact.h"

#include "efrt/Checksum.h"
#include "runtime/core/Artifact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

using namespace efrt;
using namespace efrt::test;
using testing::HasSubstr;
namespace fb = efc::fb;

static Result<Artifact> parse(std::span<const std::byte> bytes) {
  AlignedMemory memory = aligned(bytes);
  Result<Artifact> artifact =
      Artifact::fromBytes(std::span(memory.data(), memory.size()));
  if (artifact)
    (void)describe(*artifact); // Whatever was accepted must be printable.
  return artifact;
}

TEST(Artifact, ReadsWhatWasWritten) {
  TestArtifact test;
  AlignedMemory memory = aligned(test.assemble());
  Result<Artifact> artifact =
      Artifact::fromBytes(std::span(memory.data(), memory.size()));
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  EXPECT_EQ(artifact->name, "rows");
  ASSERT_EQ(artifact->inputs.size(), 2u);
  EXPECT_EQ(artifact->inputs[0].name, "x");
  EXPECT_THAT(artifact->inputs[0].shape, testing::ElementsAre(kRows, kColumns));
  EXPECT_EQ(artifact->inputs[1].dtype, DType::I32);
  EXPECT_EQ(artifact->weights.size(), test.weights.size() * sizeof(float));
  EXPECT_TRUE(std::ranges::equal(artifact->weights,
                                 std::as_bytes(std::span(test.weights))));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(artifact->weights.data()) % 64, 0u);
  ASSERT_EQ(artifact->dispatches.size(), 2u);
  EXPECT_EQ(artifact->dispatches[1].node, "/model/scale");
  EXPECT_THAT(artifact->dispatches[1].resultTensors(),
              testing::ElementsAre(4u));
  EXPECT_EQ(artifact->metadata[0].second, "value");
  std::string text = describe(*artifact);
  EXPECT_THAT(text, HasSubstr("input        'x'  37x16 f32\n"));
  EXPECT_THAT(text, HasSubstr("cpu variant  'generic'"));
  EXPECT_THAT(text, HasSubstr("launches     2 of 2 kernels"));
}

TEST(Artifact, EveryFlippedHeaderBitIsAnError) {
  std::vector<std::byte> bytes = TestArtifact().assemble();
  uint32_t headerBytes;
  std::memcpy(&headerBytes, bytes.data() + 8, 4);
  AlignedMemory memory = aligned(bytes);
  for (size_t at = 0; at < 32 + headerBytes; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      memory.data()[at] ^= std::byte(1 << bit);
      Result<Artifact> artifact =
          Artifact::fromBytes(std::span(memory.data(), memory.size()));
      EXPECT_FALSE(artifact.ok()) << "byte " << at << " bit " << bit;
      memory.data()[at] ^= std::byte(1 << bit);
    }
  EXPECT_TRUE(
      Artifact::fromBytes(std::span(memory.data(), memory.size())).ok());
}

/// With a checksum that matches, a damaged header reaches the checks behind it:
/// none of them may read out of bounds.
TEST(Artifact, FlippedHeaderBitsWithMatchingChecksumNeverCrash) {
  std::vector<std::byte> bytes = TestArtifact().assemble();
  uint32_t headerBytes;
  std::memcpy(&headerBytes, bytes.data() + 8, 4);
  size_t refused = 0;
  for (size_t at = 32; at < 32 + headerBytes; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> damaged = bytes;
      damaged[at] ^= std::byte(1 << bit);
      fixHeaderChecksum(damaged);
      refused += !parse(damaged).ok();
    }
  EXPECT_GT(refused, 8u * headerBytes / 3);
}

TEST(Artifact, RandomHeaderDamageNeverCrashes) {
  constexpr unsigned seed = 7;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 generator(seed);
  std::vector<std::byte> bytes = TestArtifact().assemble();
  uint32_t headerBytes;
  std::memcpy(&headerBytes, bytes.data() + 8, 4);
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::byte> damaged = bytes;
    for (unsigned i = 0, count = 1 + generator() % 6; i < count; ++i) {
      constexpr int64_t values[] = {
          0, -1, 1, 64, 0x7fffffff, std::numeric_limits<int64_t>::max()};
      int64_t value = generator() % 2 ? values[generator() % std::size(values)]
                                      : static_cast<int64_t>(generator());
      size_t width = size_t(1) << generator() % 4;
      std::memcpy(damaged.data() + 32 + generator() % (headerBytes - width),
                  &value, width);
    }
    fixHeaderChecksum(damaged);
    (void)parse(damaged).ok();
  }
}

TEST(Artifact, TruncatedAnywhereIsAnError) {
  std::vector<std::byte> bytes = TestArtifact().assemble();
  for (size_t size = 0; size < bytes.size(); size += 97) {
    Result<Artifact> artifact = parse(std::span(bytes).first(size));
    ASSERT_FALSE(artifact.ok()) << size;
    EXPECT_EQ(artifact.status().getCode(), StatusCode::CorruptData);
  }
}

TEST(Artifact, DamagedSectionsAreAnError) {
  TestArtifact test;
  std::vector<std::byte> bytes = test.assemble();
  for (size_t section = 0; section < 2; ++section)
    for (size_t at = 0; at < test.sectionData[section].size(); at += 101) {
      std::vector<std::byte> damaged = bytes;
      damaged[test.model.sections[section]->offset + at] ^= std::byte(0x10);
      Result<Artifact> artifact = parse(damaged);
      ASSERT_FALSE(artifact.ok()) << "section " << section << " byte " << at;
      EXPECT_THAT(artifact.status().message(),
                  HasSubstr("does not match its checksum"));
    }
}

TEST(Artifact, ChecksumsOfLargeSectionsDoNotDependOnThreads) {
  TestArtifact test;
  test.sectionData[0].resize(9 * kChecksumChunkBytes + 77, std::byte(3));
  std::vector<std::byte> bytes = test.assemble();
  AlignedMemory memory = aligned(bytes);
  std::span<std::byte> all(memory.data(), memory.size());
  for (unsigned threads : {0u, 1u, 2u, 5u})
    EXPECT_TRUE(Artifact::fromBytes(all, threads).ok());
  all[test.model.sections[0]->offset + 5 * kChecksumChunkBytes] ^= std::byte(1);
  for (unsigned threads : {0u, 1u, 2u, 5u})
    EXPECT_FALSE(Artifact::fromBytes(all, threads).ok());
}

struct Mistake {
  const char *name;
  std::function<void(fb::ModelT &)> make;
  const char *sentence;
};

static void PrintTo(const Mistake &mistake, std::ostream *stream) {
  *stream << mistake.name;
}

class ArtifactMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ArtifactMistake, IsNamed) {
  Result<Artifact> artifact = parse(TestArtifact().assemble(GetParam().make));
  ASSERT_FALSE(artifact.ok());
  EXPECT_THAT(artifact.status().message(), HasSubstr(GetParam().sentence));
}

static constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();

static const Mistake kMistakes[] = {
    {"Version", [](fb::ModelT &m) { m.version_major = 2; },
     "format version 2.1"},
    {"Features", [](fb::ModelT &m) { m.required_features = 6; },
     "needs the format features 6"},
    {"SectionRange", [](fb::ModelT &m) { m.sections[0]->size = kHuge; },
     "lies outside the file"},
    {"SectionOffset", [](fb::ModelT &m) { m.sections[0]->offset = kHuge - 63; },
     "lies outside the file"},
    {"SectionInHeader", [](fb::ModelT &m) { m.sections[0]->offset = 64; },
     "lies outside the file"},
    {"SectionAlignment", [](fb::ModelT &m) { ++m.sections[0]->offset; },
     "is not aligned"},
    {"SectionOverlap",
     [](fb::ModelT &m) { m.sections[1]->offset = m.sections[0]->offset; },
     "overlap"},
    {"TwoWeights",
     [](fb::ModelT &m) { m.sections[1]->kind = fb::SectionKind::Weights; },
     "more than one section of weights"},
    {"SectionChecksum", [](fb::ModelT &m) { ++m.sections[1]->checksum; },
     "section 1 'generic' does not match its checksum"},
    {"Arena", [](fb::ModelT &m) { m.arena_bytes = kHuge; },
     "asks for an arena"},
    {"TensorBeyondArena", [](fb::ModelT &m) { m.tensors[2]->offset = 4; },
     "tensor 2 't' lies outside"},
    {"TensorOffsetOverflows",
     [](fb::ModelT &m) { m.tensors[2]->offset = kHuge - 3; }, "lies outside"},
    {"TensorBeyondWeights", [](fb::ModelT &m) { m.tensors[1]->offset = 64; },
     "tensor 1 'w' lies outside"},
    {"TensorAlignment",
     [](fb::ModelT &m) { m.arena_bytes += 64, m.tensors[2]->offset = 2; },
     "is not aligned"},
    {"TensorInputIndex", [](fb::ModelT &m) { m.tensors[0]->offset = 2; },
     "lies outside"},
    {"TensorInputSize", [](fb::ModelT &m) { m.tensors[0]->offset = 1; },
     "lies outside"},
    {"TensorOutputIndex", [](fb::ModelT &m) { m.tensors[4]->offset = 9; },
     "lies outside"},
    {"TensorMemory",
     [](fb::ModelT &m) { m.tensors[0]->memory = static_cast<fb::Memory>(9); },
     "lies outside"},
    {"TensorSize", [](fb::ModelT &m) { m.tensors[2]->size -= 4; }, "claims"},
    {"TensorDType",
     [](fb::ModelT &m) { m.tensors[2]->dtype = static_cast<fb::DType>(77); },
     "no valid element type and shape"},
    {"TensorNegative", [](fb::ModelT &m) { m.tensors[2]->shape[0] = -1; },
     "no valid element type and shape"},
    {"TensorOverflow",
     [](fb::ModelT &m) { m.tensors[2]->shape = {1 << 30, 1 << 30, 1 << 30}; },
     "no valid element type and shape"},
    {"PortShape", [](fb::ModelT &m) { m.inputs[0]->shape[1] = -16; },
     "input 0 'x' has no valid"},
    {"PortDType",
     [](fb::ModelT &m) { m.outputs[0]->dtype = static_cast<fb::DType>(13); },
     "output 0 'y' has no valid"},
    {"PortTwice", [](fb::ModelT &m) { m.inputs[1]->name = "x"; },
     "two inputs named 'x'"},
    {"Kernel", [](fb::ModelT &m) { m.dispatches[0]->kernel = 2; },
     "launch 0 ('/model/add') names kernel 2 of 2"},
    {"DispatchTensor", [](fb::ModelT &m) { m.dispatches[0]->tensors[0] = 5; },
     "names tensor 5 of 5"},
    {"DispatchResults", [](fb::ModelT &m) { m.dispatches[0]->results = 4; },
     "more results than tensors"},
    {"WritesWeights", [](fb::ModelT &m) { m.dispatches[0]->results = 2; },
     "writes to memory that is read-only"},
    {"Work", [](fb::ModelT &m) { m.dispatches[0]->work = kHuge; },
     "more work items or scratch"},
    {"Scratch", [](fb::ModelT &m) { m.dispatches[0]->scratch = kHuge; },
     "more work items or scratch"},
    {"OutputUnwritten", [](fb::ModelT &m) { m.dispatches.pop_back(); },
     "no launch writes its output 'y'"},
    {"VariantSection", [](fb::ModelT &m) { m.variants[0]->section = 0; },
     "names no section of code"},
    {"VariantIndex", [](fb::ModelT &m) { m.variants[0]->section = 2; },
     "names no section of code"},
};

INSTANTIATE_TEST_SUITE_P(All, ArtifactMistake, testing::ValuesIn(kMistakes),
                         [](const auto &info) { return info.param.name; });

TEST(Artifact, ControlCharactersInNamesAreEscaped) {
  Result<Artifact> artifact = parse(TestArtifact().assemble([](fb::ModelT &m) {
    m.tensors[2]->name = "\x1b[2J";
    m.tensors[2]->offset = 4;
  }));
  ASSERT_FALSE(artifact.ok());
  EXPECT_THAT(artifact.status().message(), HasSubstr("'\\x1b[2J'"));
}

TEST(Artifact, ZeroSizedTensorsAreAllowed) {
  TestArtifact test;
  test.model.inputs[1]->shape = {0};
  test.model.tensors[3]->shape = {0};
  test.model.tensors[3]->size = 0;
  Result<Artifact> artifact = parse(test.assemble());
  EXPECT_TRUE(artifact.ok()) << artifact.status().message();
}
