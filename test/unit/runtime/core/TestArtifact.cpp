// An artifact writer of the tests' own: the runtime has none.
#include "TestArtifact.h"

#include "efrt/Checksum.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace efrt;
using namespace efrt::test;
namespace fb = efc::fb;

static constexpr size_t kPrefixBytes = 32;

static std::unique_ptr<fb::PortT> port(const char *name, fb::DType dtype,
                                       std::vector<int64_t> shape) {
  auto result = std::make_unique<fb::PortT>();
  result->name = name;
  result->dtype = dtype;
  result->shape = std::move(shape);
  return result;
}

static std::unique_ptr<fb::TensorT> tensor(fb::Memory memory, uint64_t offset,
                                           const char *name, fb::DType dtype,
                                           std::vector<int64_t> shape) {
  auto result = std::make_unique<fb::TensorT>();
  result->memory = memory;
  result->offset = offset;
  result->name = name;
  result->dtype = dtype;
  result->size = 4;
  for (int64_t extent : shape)
    result->size *= extent;
  result->shape = std::move(shape);
  return result;
}

static std::unique_ptr<fb::DispatchT> dispatch(uint32_t kernel,
                                               std::vector<uint32_t> tensors,
                                               const char *op,
                                               uint64_t scratch) {
  auto result = std::make_unique<fb::DispatchT>();
  result->kernel = kernel;
  result->tensors = std::move(tensors);
  result->results = 1;
  result->work = kRows;
  result->scratch = scratch;
  result->node = std::string("/model/") + op;
  result->op = op;
  result->macs = kernel == 0 ? 0 : kRows * kColumns;
  result->bytes = 100000; // Large enough to be shared by the threads.
  return result;
}

static std::unique_ptr<fb::SectionT> section(fb::SectionKind kind,
                                             const char *name) {
  auto result = std::make_unique<fb::SectionT>();
  result->kind = kind;
  result->name = name;
  return result;
}

TestArtifact::TestArtifact() {
  const std::vector<int64_t> shape = {kRows, kColumns};
  for (int64_t i = 0; i < kRows * kColumns; ++i)
    weights.push_back(static_cast<float>(i % 23) * 0.25f - 2);
  model.producer = "test";
  model.name = "rows";
  model.inputs.push_back(port("x", fb::DType::F32, shape));
  model.inputs.push_back(port("n", fb::DType::I32, {1}));
  model.outputs.push_back(port("y", fb::DType::F32, shape));
  model.arena_bytes = kRows * kColumns * 4;
  model.tensors.push_back(
      tensor(fb::Memory::Input, 0, "x", fb::DType::F32, shape));
  model.tensors.push_back(
      tensor(fb::Memory::Weights, 0, "w", fb::DType::F32, shape));
  model.tensors.push_back(
      tensor(fb::Memory::Arena, 0, "t", fb::DType::F32, shape));
  model.tensors.push_back(
      tensor(fb::Memory::Input, 1, "n", fb::DType::I32, {1}));
  model.tensors.push_back(
      tensor(fb::Memory::Output, 0, "y", fb::DType::F32, shape));
  model.kernels = {"add_rows", "scale_rows"};
  model.dispatches.push_back(dispatch(0, {0, 1, 2}, "add", 0));
  model.dispatches.push_back(dispatch(1, {2, 3, 4}, "scale", kColumns * 4));
  model.sections.push_back(section(fb::SectionKind::Weights, "weights"));
  model.sections.push_back(section(fb::SectionKind::CpuObject, "generic"));
  auto variant = std::make_unique<fb::CpuVariantT>();
  variant->name = "generic";
#if defined(__x86_64__)
  variant->triple = "x86_64-unknown-linux-gnu";
#else
  variant->triple = "aarch64-unknown-linux-gnu";
#endif
  variant->section = 1;
  model.variants.push_back(std::move(variant));
  auto entry = std::make_unique<fb::KeyValueT>();
  entry->key = "option";
  entry->value = "value";
  model.metadata.push_back(std::move(entry));
  std::span<const std::byte> bytes = std::as_bytes(std::span(weights));
  sectionData.emplace_back(bytes.begin(), bytes.end());
  sectionData.push_back(readFile(EFRT_TEST_KERNELS));
}

static std::vector<std::byte> serialize(const fb::ModelT &model) {
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceDefaults(true); // The size must not depend on the values.
  fb::FinishModelBuffer(builder, fb::Model::Pack(builder, &model));
  auto *data = reinterpret_cast<const std::byte *>(builder.GetBufferPointer());
  return {data, data + builder.GetSize()};
}

std::vector<std::byte>
TestArtifact::assemble(const std::function<void(fb::ModelT &)> &adjust) {
  // Room for what an adjustment adds to the header.
  constexpr size_t slackBytes = 1024;
  size_t end = kPrefixBytes + serialize(model).size() + slackBytes;
  for (size_t i = 0; i < model.sections.size(); ++i) {
    model.sections[i]->offset = (end + 63) / 64 * 64;
    model.sections[i]->size = sectionData[i].size();
    model.sections[i]->checksum = sectionChecksum(sectionData[i]);
    end = model.sections[i]->offset + sectionData[i].size();
  }
  std::vector<std::byte> bytes(end);
  for (size_t i = 0; i < model.sections.size(); ++i)
    std::ranges::copy(sectionData[i],
                      bytes.begin() +
                          static_cast<ptrdiff_t>(model.sections[i]->offset));
  if (adjust)
    adjust(model);
  std::vector<std::byte> header = serialize(model);
  std::ranges::copy(header, bytes.begin() + kPrefixBytes);
  constexpr char magic[] = {'E', 'F', 'A', 0, '\r', '\n', 0x1a, '\n'};
  uint32_t headerBytes = header.size();
  uint64_t fileBytes = bytes.size();
  std::memcpy(bytes.data(), magic, 8);
  std::memcpy(bytes.data() + 8, &headerBytes, 4);
  std::memcpy(bytes.data() + 16, &fileBytes, 8);
  fixHeaderChecksum(bytes);
  return bytes;
}

std::vector<float> TestArtifact::expected(std::span<const float> x,
                                          int32_t n) const {
  std::vector<float> y;
  for (int64_t row = 0; row < kRows; ++row) {
    float sum = 0;
    for (int64_t i = row * kColumns; i < (row + 1) * kColumns; ++i)
      sum += x[i] + weights[i];
    for (int64_t i = row * kColumns; i < (row + 1) * kColumns; ++i)
      y.push_back(static_cast<float>(n) * (x[i] + weights[i]) + sum);
  }
  return y;
}

void efrt::test::fixHeaderChecksum(std::span<std::byte> artifact) {
  uint32_t headerBytes;
  std::memcpy(&headerBytes, artifact.data() + 8, 4);
  uint64_t checksum = xxh64(artifact.subspan(kPrefixBytes, headerBytes));
  std::memcpy(artifact.data() + 24, &checksum, 8);
}

AlignedMemory efrt::test::aligned(std::span<const std::byte> bytes) {
  AlignedMemory memory =
      std::move(*AlignedMemory::allocate(bytes.size(), "a test"));
  std::ranges::copy(bytes, memory.data());
  return memory;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern =
      std::filesystem::temp_directory_path() / "efrt-test-XXXXXX";
  path = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path); }

void efrt::test::writeFile(const std::string &path,
                           std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

std::vector<std::byte> efrt::test::readFile(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  std::vector<char> chars(std::istreambuf_iterator<char>(stream), {});
  std::span<const std::byte> bytes = std::as_bytes(std::span(chars));
  return {bytes.begin(), bytes.end()};
}
