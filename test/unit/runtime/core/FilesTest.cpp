// Files that the tools read and write: .npy arrays, and writing all or nothing.
#include "TestArtifact.h"

#include "runtime/core/AtomicFile.h"
#include "runtime/tools/Npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

using namespace efrt;
using namespace efrt::test;
using namespace efrun;
using testing::HasSubstr;

static std::span<const std::byte> bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text));
}

static size_t entriesOf(const std::string &folder) {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(AtomicFile, ReplacesTheWholeFile) {
  TemporaryFolder folder;
  std::string path = folder.file("out");
  ASSERT_TRUE(
      writeFileAtomically(path, {bytesOf("a longer first content")}).ok());
  ASSERT_TRUE(
      writeFileAtomically(path, {bytesOf("se"), bytesOf(""), bytesOf("cond")})
          .ok());
  std::vector<std::byte> content = readFile(path);
  EXPECT_TRUE(std::ranges::equal(content, bytesOf("second")));
  EXPECT_EQ(entriesOf(folder.path), 1u);
}

TEST(AtomicFile, FailureLeavesNothing) {
  TemporaryFolder folder;
  EXPECT_THAT(writeFileAtomically(folder.file("no/such/folder"), {bytesOf("x")})
                  .message(),
              HasSubstr("No such file or directory"));
  std::filesystem::create_directory(folder.file("taken"));
  EXPECT_FALSE(writeFileAtomically(folder.file("taken"), {bytesOf("x")}).ok());
  EXPECT_EQ(entriesOf(folder.path), 1u);
  Status status = writeFileAtomically("/dev/full", {bytesOf("x")});
  EXPECT_EQ(status.getCode(), StatusCode::IoError);
  EXPECT_THAT(status.message(), HasSubstr("No space left on device"));
}

TEST(Npy, RoundTrips) {
  TemporaryFolder folder;
  for (int dtype = 0; dtype <= static_cast<int>(DType::U64); ++dtype)
    for (const std::vector<int64_t> &shape : std::vector<std::vector<int64_t>>{
             {}, {3}, {2, 3}, {0, 5}, {1, 2, 1, 2, 1, 2, 1}}) {
      Array array = {static_cast<DType>(dtype), shape, {}};
      size_t elements = 1;
      for (int64_t extent : shape)
        elements *= static_cast<size_t>(extent);
      for (size_t i = 0; i < elements * sizeOf(array.dtype); ++i)
        array.data.push_back(static_cast<std::byte>(i * 7));
      std::string path = folder.file("a.npy");
      ASSERT_TRUE(writeNpy(path, array.dtype, array.shape, array.data).ok());
      Result<Array> read = readNpy(path);
      ASSERT_TRUE(read.ok()) << read.status().message();
      EXPECT_EQ(read->dtype, array.dtype);
      EXPECT_EQ(read->shape, array.shape);
      EXPECT_EQ(read->data, array.data);
      EXPECT_EQ((readFile(path).size() - array.data.size()) % 64, 0u);
    }
}

/// A file of format version 1 with this dictionary and so many bytes of data.
static std::string npyText(const std::string &dictionary, size_t dataBytes) {
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(dictionary.size() & 0xff);
  text += static_cast<char>(dictionary.size() >> 8);
  return text + dictionary + std::string(dataBytes, 'd');
}

TEST(Npy, RefusesWhatAModelCannotTake) {
  TemporaryFolder folder;
  std::string path = folder.file("a.npy");
  auto errorOf = [&](const std::string &text) {
    writeFile(path, bytesOf(text));
    Result<Array> array = readNpy(path);
    return array.ok() ? "accepted" : array.status().message();
  };
  EXPECT_EQ(
      errorOf(npyText(
          "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24)),
      "accepted");
  EXPECT_THAT(errorOf(""), HasSubstr("not an .npy file"));
  EXPECT_THAT(errorOf("hello"), HasSubstr("not an .npy file"));
  EXPECT_THAT(
      errorOf(npyText(
          "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 24)),
      HasSubstr("Fortran order"));
  EXPECT_THAT(
      errorOf(npyText(
          "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", 24)),
      HasSubstr("element type '>f4'"));
  EXPECT_THAT(
      errorOf(npyText(
          "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
          8)),
      HasSubstr("element type"));
  EXPECT_THAT(
      errorOf(npyText(
          "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", 8)),
      HasSubstr("element type"));
  EXPECT_THAT(
      errorOf(npyText(
          "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23)),
      HasSubstr("fewer bytes"));
  EXPECT_THAT(errorOf(npyText("{'descr': '<f4', 'fortran_order': False, "
                              "'shape': (4611686018427387904, 8), }",
                              8)),
              HasSubstr("fewer bytes"));
  EXPECT_THAT(
      errorOf(npyText(
          "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 8)),
      HasSubstr("damaged"));
  EXPECT_THAT(errorOf(npyText("{'descr': '<f4', 'shape': (1,), }", 8)),
              HasSubstr("damaged"));
  EXPECT_THAT(errorOf(npyText(
                  "{'descr': '<f4', 'fortran_order': False, 'shape': (1,", 8)),
              HasSubstr("damaged"));
  std::string whole = npyText(
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24);
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(errorOf(whole.substr(0, size)), "accepted") << size;
  EXPECT_THAT(readNpy(folder.path).status().message(),
              HasSubstr("is a folder"));
}
