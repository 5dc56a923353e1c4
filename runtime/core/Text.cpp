// How names, shapes and sizes are written in messages.
#include "runtime/core/Text.h"

#include <iomanip>

using namespace efrt;

std::string efrt::quote(std::string_view text) {
  constexpr size_t maxBytes = 200;
  std::ostringstream stream;
  stream << '\'';
  for (char c : text.substr(0, maxBytes)) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      stream << "\\x" << std::hex << std::setw(2) << std::setfill('0')
             << unsigned(byte);
    else
      stream << c;
  }
  stream << (text.size() > maxBytes ? "...'" : "'");
  return stream.str();
}

std::string efrt::shapeText(std::span<const int64_t> shape) {
  if (shape.empty())
    return "scalar";
  std::string text;
  for (int64_t extent : shape)
    text += (text.empty() ? "" : "x") + std::to_string(extent);
  return text;
}

std::string efrt::typeText(DType dtype, std::span<const int64_t> shape) {
  return concat(shapeText(shape), " ", nameOf(dtype));
}

std::string efrt::bytesText(uint64_t bytes) {
  static constexpr const char *units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit)
    value /= 1000;
  std::ostringstream stream;
  stream << std::setprecision(unit == 0 ? 4 : 3) << value << ' ' << units[unit];
  return stream.str();
}
