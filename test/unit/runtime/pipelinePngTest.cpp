// PNG files: pixels and texts come back, nothing is half-written.
#include "efrt/Png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

using namespace efrt;

static std::vector<uint8_t> gradient(int64_t width, int64_t height) {
  std::vector<uint8_t> rgb;
  for (int64_t i = 0; i < width * height * 3; ++i)
    rgb.push_back(static_cast<uint8_t>(i * 37 + i / 7));
  return rgb;
}

static std::vector<uint8_t> decode(const std::vector<std::byte> &bytes) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()))
    return {};
  EXPECT_EQ(PNG_FORMAT_RGB, image.format);
  std::vector<uint8_t> rgb(PNG_IMAGE_SIZE(image));
  png_image_finish_read(&image, nullptr, rgb.data(), 0, nullptr);
  return rgb;
}

// Chunk type and keyword to content, read without libpng.
static std::map<std::string, std::string>
textChunks(const std::vector<std::byte> &bytes) {
  std::map<std::string, std::string> texts;
  auto at = [&](size_t i) { return std::to_integer<uint32_t>(bytes[i]); };
  for (size_t i = 8; i + 12 <= bytes.size();) {
    size_t length = at(i) << 24 | at(i + 1) << 16 | at(i + 2) << 8 | at(i + 3);
    const char *data = reinterpret_cast<const char *>(bytes.data()) + i + 4;
    std::string type(data, 4), content(data + 4, length);
    i += 12 + length;
    std::string keyword = content.substr(0, content.find('\0'));
    if (type == "tEXt")
      texts["tEXt " + keyword] = content.substr(keyword.size() + 1);
    else if (type == "iTXt") // Two flags, then empty language and translation.
      texts["iTXt " + keyword] = content.substr(keyword.size() + 5);
  }
  return texts;
}

TEST(Png, PixelsComeBack) {
  for (auto [width, height] :
       {std::pair<int64_t, int64_t>{1, 1}, {3, 5}, {64, 48}}) {
    std::vector<uint8_t> rgb = gradient(width, height);
    auto bytes = encodePng(rgb, width, height);
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ(rgb, decode(*bytes));
  }
}

TEST(Png, TextsComeBack) {
  std::vector<PngText> texts = {{"prompt", "a caf\xC3\xA9 at \xE5\xA4\x9C"},
                                {"seed", "42"},
                                {"empty", ""},
                                {"nul", std::string("a\0b", 3)}};
  auto bytes = encodePng(gradient(2, 2), 2, 2, texts);
  ASSERT_TRUE(bytes.ok());
  std::map<std::string, std::string> expected = {
      {"iTXt prompt", "a caf\xC3\xA9 at \xE5\xA4\x9C"},
      {"tEXt seed", "42"},
      {"tEXt empty", ""},
      {"iTXt nul", "a\xEF\xBF\xBD"
                   "b"}};
  EXPECT_EQ(expected, textChunks(*bytes));
}

TEST(Png, SameInputSameBytes) {
  auto first = encodePng(gradient(9, 9), 9, 9, {});
  auto second = encodePng(gradient(9, 9), 9, 9, {});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
}

TEST(Png, RefusesSizesThatDoNotFit) {
  for (auto [width, height] :
       {std::pair<int64_t, int64_t>{0, 4}, {4, 0}, {-1, 4}, {4, 5}}) {
    auto bytes = encodePng(gradient(4, 4), width, height);
    ASSERT_FALSE(bytes.ok());
    EXPECT_EQ(StatusCode::InvalidArgument, bytes.status().getCode());
  }
}

TEST(Png, FailureLeavesNothing) {
  auto folder = std::filesystem::path(testing::TempDir()) / "efrt-png";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "a-folder.png");
  Status status =
      writePng((folder / "a-folder.png").string(), gradient(4, 4), 4, 4, {});
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(
      writePng((folder / "missing" / "x.png").string(), gradient(4, 4), 4, 4)
          .ok());
  size_t entries = std::distance(std::filesystem::directory_iterator(folder),
                                 std::filesystem::directory_iterator());
  EXPECT_EQ(1u, entries);
  std::filesystem::remove_all(folder);
}
