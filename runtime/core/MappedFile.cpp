// Maps a file; the pages are shared with every other process that uses it.
#include "runtime/core/MappedFile.h"

#include "runtime/core/Text.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace efrt;

MappedFile::~MappedFile() {
  if (!content.empty())
    munmap(const_cast<std::byte *>(content.data()), content.size());
}

static Status systemError(const std::string &path, const char *action) {
  StatusCode code = errno == ENOENT || errno == ENOTDIR ? StatusCode::NotFound
                                                        : StatusCode::IoError;
  return Status(code, concat("cannot ", action, " ", quote(path), ": ",
                             std::strerror(errno)));
}

/// Maps what `file` refers to; the mapping outlives the descriptor.
static Result<std::span<const std::byte>>
mapDescriptor(int file, const std::string &path) {
  struct stat info;
  if (fstat(file, &info) != 0)
    return systemError(path, "read");
  if (S_ISDIR(info.st_mode))
    return Status(StatusCode::InvalidArgument,
                  concat(quote(path), " is a folder, not an artifact"));
  if (!S_ISREG(info.st_mode))
    return Status(
        StatusCode::InvalidArgument,
        concat(quote(path), " is not a regular file, so it cannot be mapped"));
  auto size = static_cast<size_t>(info.st_size);
  if (size == 0)
    return std::span<const std::byte>();
  void *address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (address == MAP_FAILED)
    return systemError(path, "map");
  return std::span(static_cast<const std::byte *>(address), size);
}

Result<MappedFile> MappedFile::open(const std::string &path) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return systemError(path, "open");
  Result<std::span<const std::byte>> mapped = mapDescriptor(file, path);
  close(file);
  if (!mapped)
    return mapped.status();
  MappedFile result;
  result.content = *mapped;
  return result;
}
