// The native code of one variant, loaded from the artifact.
#ifndef EFRT_DEVICES_KERNELLIBRARY_H
#define EFRT_DEVICES_KERNELLIBRARY_H

#include "runtime/core/Artifact.h"

#include <utility>

namespace efrt {

/// Does the work items [begin, end); `scratch` is the calling thread's own. See
/// Dispatch of the schema.
using KernelFunction = void (*)(void *const *tensors, void *scratch,
                                int64_t begin, int64_t end);

class KernelLibrary {
public:
  KernelLibrary() = default;
  KernelLibrary(KernelLibrary &&other) noexcept
      : file(std::exchange(other.file, -1)),
        handle(std::exchange(other.handle, nullptr)),
        functions(std::move(other.functions)) {}
  KernelLibrary &operator=(KernelLibrary &&other) noexcept {
    std::swap(file, other.file);
    std::swap(handle, other.handle);
    std::swap(functions, other.functions);
    return *this;
  }
  ~KernelLibrary();

  /// Loads an ELF shared object from memory and looks up every kernel.
  static Result<KernelLibrary> load(std::span<const std::byte> object,
                                    const std::string &name,
                                    std::span<const std::string> kernels);

  KernelFunction operator[](size_t kernel) const { return functions[kernel]; }

private:
  int file = -1;
  void *handle = nullptr;
  std::vector<KernelFunction> functions;
};

} // namespace efrt

#endif
