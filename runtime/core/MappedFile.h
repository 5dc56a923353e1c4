// A file mapped read-only.
#ifndef EFRT_CORE_MAPPEDFILE_H
#define EFRT_CORE_MAPPEDFILE_H

#include "efrt/Status.h"

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace efrt {

class MappedFile {
public:
  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept
      : content(std::exchange(other.content, {})) {}
  MappedFile &operator=(MappedFile &&other) noexcept {
    std::swap(content, other.content);
    return *this;
  }
  ~MappedFile();

  /// Maps a regular file; an empty one gives empty bytes.
  static Result<MappedFile> open(const std::string &path);

  /// Page-aligned; lives as long as this object.
  std::span<const std::byte> bytes() const { return content; }

private:
  std::span<const std::byte> content;
};

} // namespace efrt

#endif
