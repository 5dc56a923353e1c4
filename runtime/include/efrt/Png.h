// Pictures as PNG files with text inside.
#ifndef EFRT_PNG_H
#define EFRT_PNG_H

#include "efrt/Export.h"
#include "efrt/Status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace efrt {

/// A keyword (1 to 79 bytes of Latin letters, digits, spaces and '_') and a
/// text in UTF-8.
using PngText = std::pair<std::string, std::string>;

/// An 8-bit RGB picture, rows from top to bottom, 3 bytes a pixel; `rgb` has
/// width * height * 3 bytes. Each text becomes a tEXt chunk or, where it is not
/// all ASCII, an iTXt chunk; a NUL in it becomes U+FFFD. The same input gives
/// the same bytes.
EFRT_API Result<std::vector<std::byte>>
encodePng(std::span<const uint8_t> rgb, int64_t width, int64_t height,
          std::span<const PngText> texts = {});

/// Writes encodePng()'s bytes to `path`, which appears complete or not at all.
EFRT_API Status writePng(const std::string &path, std::span<const uint8_t> rgb,
                         int64_t width, int64_t height,
                         std::span<const PngText> texts = {});

} // namespace efrt

#endif
