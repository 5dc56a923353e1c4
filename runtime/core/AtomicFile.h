// Files that appear complete or not at all.
#ifndef EFRT_CORE_ATOMICFILE_H
#define EFRT_CORE_ATOMICFILE_H

#include "efrt/Status.h"

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>

namespace efrt {

/// Writes the parts, one after the other, to a temporary file beside `path` and
/// renames it. On failure nothing is left behind, and a file that was there
/// before stays as it was. A `path` that is not a regular file (/dev/null, a
/// pipe) is written in place.
Status
writeFileAtomically(const std::string &path,
                    std::initializer_list<std::span<const std::byte>> parts);

} // namespace efrt

#endif
