// Reads a small text file of a bundle whole.
#ifndef EFRT_PIPELINE_TEXTFILE_H
#define EFRT_PIPELINE_TEXTFILE_H

#include "efrt/Status.h"

#include <string>

namespace efrt {

/// NotFound or IoError, with the system's reason, where `path` is not a
/// readable file; Unsupported where it is larger than 64 MiB, which no such
/// file is.
Result<std::string> readTextFile(const std::string &path);

} // namespace efrt

#endif
