// Activations of large models are streamed through: with 4 KiB pages the
// address translation alone costs several percent.
#include "runtime/core/AlignedMemory.h"

#include "runtime/core/Text.h"

#include <cstdint>
#include <sys/mman.h>

using namespace efrt;

static constexpr size_t kHugePageBytes = size_t(2) << 20;

AlignedMemory::~AlignedMemory() {
  if (!mapping.empty())
    munmap(mapping.data(), mapping.size());
}

Result<AlignedMemory> AlignedMemory::allocate(size_t bytes,
                                              const char *purpose) {
  AlignedMemory memory;
  if (bytes == 0)
    return memory;
  size_t alignment = bytes >= kHugePageBytes ? kHugePageBytes : 1;
  size_t mapped = bytes + alignment - 1;
  void *address = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED)
    return Status(
        StatusCode::OutOfMemory,
        concat("there is no memory for ", bytesText(bytes), " of ", purpose));
  memory.mapping = std::span(static_cast<std::byte *>(address), mapped);
  size_t padding =
      (alignment - reinterpret_cast<uintptr_t>(address) % alignment) %
      alignment;
  memory.content = memory.mapping.subspan(padding, bytes);
  if (alignment == kHugePageBytes)
    (void)madvise(
        memory.content.data(), bytes,
        MADV_HUGEPAGE); // A hint; a system without huge pages refuses it.
  return memory;
}
