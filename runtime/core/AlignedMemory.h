// Page-mapped memory for activations and scratch.
#ifndef EFRT_CORE_ALIGNEDMEMORY_H
#define EFRT_CORE_ALIGNEDMEMORY_H

#include "efrt/Status.h"

#include <cstddef>
#include <span>
#include <utility>

namespace efrt {

/// Zeroed memory of its own; aligned to 2 MiB and backed by huge pages where
/// the system has them, when it is at least that large, otherwise aligned to
/// 4096 bytes.
class AlignedMemory {
public:
  AlignedMemory() = default;
  AlignedMemory(AlignedMemory &&other) noexcept
      : mapping(std::exchange(other.mapping, {})),
        content(std::exchange(other.content, {})) {}
  AlignedMemory &operator=(AlignedMemory &&other) noexcept {
    std::swap(mapping, other.mapping);
    std::swap(content, other.content);
    return *this;
  }
  ~AlignedMemory();

  /// `purpose` goes into the message of OutOfMemory.
  static Result<AlignedMemory> allocate(size_t bytes, const char *purpose);

  std::byte *data() const { return content.data(); }
  size_t size() const { return content.size(); }

private:
  std::span<std::byte> mapping, content;
};

} // namespace efrt

#endif
