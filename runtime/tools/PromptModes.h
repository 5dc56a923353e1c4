// What efrun does with a bundle.
#ifndef EFRT_TOOLS_PROMPTMODES_H
#define EFRT_TOOLS_PROMPTMODES_H

#include "efrt/Status.h"

#include <string>

namespace efrun {

/// Reads one prompt a line, each a JSON string, and prints for each a line
/// {"tokens": [all, without bos and eos], "ids": [as the encoder reads them]}.
efrt::Status tokenizeLines(const std::string &bundle, const std::string &path);

} // namespace efrun

#endif
