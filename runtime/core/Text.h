// Sentences for the user.
#ifndef EFRT_CORE_TEXT_H
#define EFRT_CORE_TEXT_H

#include "efrt/Session.h"

#include <sstream>

namespace efrt {

/// Its arguments, one after the other.
template <typename... T> std::string concat(const T &...parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

/// 'text', with what is not printable ASCII or UTF-8 escaped: names in a file
/// may hold anything.
std::string quote(std::string_view text);

/// "1x4x64x64", "scalar" for rank 0.
std::string shapeText(std::span<const int64_t> shape);

/// Shape and element type: "1x77 i64".
std::string typeText(DType dtype, std::span<const int64_t> shape);

/// "1.30 GB", "12.3 MB", "17 B".
std::string bytesText(uint64_t bytes);

} // namespace efrt

#endif
