// Write, check, rename.
#include "runtime/core/AtomicFile.h"

#include "runtime/core/Text.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace efrt;

static bool
writeParts(int file, std::initializer_list<std::span<const std::byte>> parts) {
  for (std::span<const std::byte> part : parts)
    while (!part.empty()) {
      ssize_t written = write(file, part.data(), part.size());
      if (written < 0 && errno == EINTR)
        continue;
      if (written < 0)
        return false;
      part = part.subspan(static_cast<size_t>(written));
    }
  return true;
}

/// A new file beside `path`, with the permissions that any new file gets; its
/// name is put into `temporary`.
static int createBeside(const std::string &path, std::string &temporary) {
  constexpr int attempts = 100;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    temporary = concat(path, ".tmp", getpid(), "-", attempt);
    int file =
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0 || errno != EEXIST)
      return file;
  }
  return -1;
}

Status efrt::writeFileAtomically(
    const std::string &path,
    std::initializer_list<std::span<const std::byte>> parts) {
  auto failure = [&](int error) {
    return Status(StatusCode::IoError, concat("cannot write ", quote(path),
                                              ": ", std::strerror(error)));
  };
  struct stat info;
  bool inPlace = stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  std::string temporary = path;
  int file = inPlace ? open(path.c_str(), O_WRONLY | O_CLOEXEC)
                     : createBeside(path, temporary);
  if (file < 0)
    return failure(errno);
  bool isWritten = writeParts(file, parts);
  int error = isWritten ? 0 : errno;
  // Some file systems report a full disk only here.
  if (close(file) != 0 && isWritten)
    error = errno;
  if (!inPlace && error == 0 && rename(temporary.c_str(), path.c_str()) != 0)
    error = errno;
  if (error == 0)
    return Status();
  if (!inPlace)
    unlink(temporary.c_str());
  return failure(error);
}
