// What efrun says about a generated picture.
#ifndef EFRT_TOOLS_PROMPTREPORT_H
#define EFRT_TOOLS_PROMPTREPORT_H

#include "efrt/TextToImage.h"

#include <string>

namespace efrun {

/// The file, and the time of each stage with its share.
std::string toText(const efrt::GeneratedImage &image, double loadSeconds,
                   const std::string &path);

/// {"output", "parameters": {...}, "width", "height", "tokens", "tokens_read",
/// "timesteps": [...], "load_seconds", "stages": [{"stage", "seconds"}],
/// "total_seconds", "peak_rss_bytes"}; total_seconds is without loading.
std::string toJson(const efrt::GeneratedImage &image, double loadSeconds,
                   const std::string &path);

} // namespace efrun

#endif
