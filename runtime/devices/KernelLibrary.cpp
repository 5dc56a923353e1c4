// The system's own loader maps and relocates the code, from an anonymous file:
// debuggers and profilers see symbols, and nothing is written to disk.
#include "runtime/devices/KernelLibrary.h"

#include "runtime/core/Text.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace efrt;

KernelLibrary::~KernelLibrary() {
  if (handle)
    dlclose(handle);
  // The loader knows a library by its path, which holds the descriptor's
  // number: it must not be reused while the library is loaded.
  if (file >= 0)
    close(file);
}

static bool writeAll(int file, std::span<const std::byte> data) {
  while (!data.empty()) {
    ssize_t written = write(file, data.data(), data.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    data = data.subspan(static_cast<size_t>(written));
  }
  return true;
}

/// The loader would interpret anything; say early, and in our words, what
/// cannot be code.
static bool isElfSharedObject(std::span<const std::byte> object) {
  constexpr size_t elfHeaderBytes = 64;
  return object.size() >= elfHeaderBytes && std::memcmp(object.data(),
                                                        "\x7f"
                                                        "ELF\x02\x01",
                                                        6) == 0;
}

Result<KernelLibrary>
KernelLibrary::load(std::span<const std::byte> object, const std::string &name,
                    std::span<const std::string> kernels) {
  if (!isElfSharedObject(object))
    return Status(StatusCode::CorruptData,
                  concat("the code of CPU variant ", quote(name),
                         " is not a shared object"));
  KernelLibrary library;
  library.file =
      memfd_create(("efrt:" + name).substr(0, 200).c_str(), MFD_CLOEXEC);
  if (library.file < 0 || !writeAll(library.file, object))
    return Status(StatusCode::OutOfMemory,
                  concat("there is no memory for ", bytesText(object.size()),
                         " of code: ", std::strerror(errno)));
  library.handle = dlopen(concat("/proc/self/fd/", library.file).c_str(),
                          RTLD_NOW | RTLD_LOCAL);
  if (!library.handle)
    return Status(StatusCode::CorruptData,
                  concat("the system cannot load the code of CPU variant ",
                         quote(name), ": ", dlerror()));
  for (const std::string &kernel : kernels) {
    auto function =
        reinterpret_cast<KernelFunction>(dlsym(library.handle, kernel.c_str()));
    if (!function)
      return Status(StatusCode::CorruptData,
                    concat("the code of CPU variant ", quote(name),
                           " has no kernel ", quote(kernel)));
    library.functions.push_back(function);
  }
  return library;
}
