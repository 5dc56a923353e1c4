// PNG through libpng, encoded in memory so that a file is never half-written.
#include "efrt/Png.h"

#include "runtime/core/AtomicFile.h"
#include "runtime/core/Text.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>

using namespace efrt;

namespace {
/// What libpng's callbacks write to. libpng leaves a failing call by longjmp,
/// so everything with a destructor lives in here, outside of that call.
struct Encoder {
  std::vector<std::byte> bytes;
  std::vector<png_text> chunks;
  std::vector<std::string> texts;
  std::string error;
};
} // namespace

static void onWrite(png_structp png, png_bytep data, size_t size) {
  auto *encoder = static_cast<Encoder *>(png_get_io_ptr(png));
  auto *first = reinterpret_cast<const std::byte *>(data);
  encoder->bytes.insert(encoder->bytes.end(), first, first + size);
}

static void onFlush(png_structp) {}

[[noreturn]] static void onError(png_structp png, png_const_charp message) {
  static_cast<Encoder *>(png_get_error_ptr(png))->error = message;
  png_longjmp(png, 1);
}

static void onWarning(png_structp, png_const_charp) {}

static void prepareTexts(Encoder &encoder, std::span<const PngText> texts) {
  // Reserved: the chunks point into the strings.
  encoder.texts.reserve(2 * texts.size());
  for (const auto &[keyword, text] : texts) {
    std::string clean;
    for (char c : text)
      clean += c == '\0' ? "\xEF\xBF\xBD" : std::string(1, c);
    bool isAscii = std::ranges::all_of(
        clean, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    encoder.texts.push_back(keyword);
    png_text chunk = {};
    chunk.key = encoder.texts.back().data();
    encoder.texts.push_back(std::move(clean));
    chunk.text = encoder.texts.back().data();
    chunk.compression =
        isAscii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    (isAscii ? chunk.text_length : chunk.itxt_length) =
        encoder.texts.back().size();
    encoder.chunks.push_back(chunk);
  }
}

// Returns false where libpng failed; no local here may need a destructor.
static bool writeImage(png_structp png, png_infop info, Encoder &encoder,
                       const uint8_t *rgb, png_uint_32 width,
                       png_uint_32 height) {
  if (setjmp(png_jmpbuf(png)) != 0)
    return false;
  png_set_write_fn(png, &encoder, onWrite, onFlush);
  png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_set_text(png, info, encoder.chunks.data(),
               static_cast<int>(encoder.chunks.size()));
  png_write_info(png, info);
  for (png_uint_32 row = 0; row < height; ++row)
    png_write_row(png, rgb + size_t(row) * width * 3);
  png_write_end(png, info);
  return true;
}

Result<std::vector<std::byte>> efrt::encodePng(std::span<const uint8_t> rgb,
                                               int64_t width, int64_t height,
                                               std::span<const PngText> texts) {
  constexpr int64_t largestSide = 1 << 20;
  if (width < 1 || height < 1 || width > largestSide || height > largestSide ||
      rgb.size() != static_cast<size_t>(width) * height * 3)
    return Status(StatusCode::InvalidArgument,
                  concat("a picture of ", width, "x", height,
                         " pixels does not fit ", rgb.size(), " bytes"));
  Encoder encoder;
  prepareTexts(encoder, texts);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &encoder,
                                            onError, onWarning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  bool written = info && writeImage(png, info, encoder, rgb.data(),
                                    static_cast<png_uint_32>(width),
                                    static_cast<png_uint_32>(height));
  png_destroy_write_struct(&png, &info);
  if (!written)
    return Status(StatusCode::Internal,
                  concat("cannot encode the picture as PNG: ", encoder.error));
  return std::move(encoder.bytes);
}

Status efrt::writePng(const std::string &path, std::span<const uint8_t> rgb,
                      int64_t width, int64_t height,
                      std::span<const PngText> texts) {
  Result<std::vector<std::byte>> bytes = encodePng(rgb, width, height, texts);
  if (!bytes)
    return bytes.status();
  return writeFileAtomically(path, {std::span<const std::byte>(*bytes)});
}
