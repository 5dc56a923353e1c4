// Reads a small text file of a bundle whole.
#include "runtime/pipeline/TextFile.h"

#include "runtime/core/Text.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sys/stat.h>

using namespace efrt;

static Status failure(const std::string &path, int error) {
  return Status(
      error == ENOENT ? StatusCode::NotFound : StatusCode::IoError,
      concat("cannot read ", quote(path), ": ", std::strerror(error)));
}

Result<std::string> efrt::readTextFile(const std::string &path) {
  constexpr size_t largestBytes = size_t(64) << 20;
  std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path.c_str(), "rbe"),
                                              std::fclose);
  if (!file)
    return failure(path, errno);
  struct stat info;
  if (fstat(fileno(file.get()), &info) != 0)
    return failure(path, errno);
  if (!S_ISREG(info.st_mode))
    return Status(StatusCode::IoError,
                  concat("cannot read ", quote(path), ": not a file"));
  if (static_cast<size_t>(info.st_size) > largestBytes)
    return Status(StatusCode::Unsupported,
                  concat(quote(path), " has ", bytesText(info.st_size),
                         ", too much for a file of this kind"));
  std::string text(info.st_size, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()))
    return failure(path, errno);
  return text;
}
