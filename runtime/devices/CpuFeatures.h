// What instructions this machine has.
#ifndef EFRT_DEVICES_CPUFEATURES_H
#define EFRT_DEVICES_CPUFEATURES_H

#include <string_view>

namespace efrt {

/// The first component of the triple of this build: "x86_64" or "aarch64".
std::string_view hostArchitecture();

/// Has the processor the feature (LLVM's name: "avx2", "avx512vnni", "neon",
/// "i8mm", ...), and does the system save its registers? False for a name that
/// this build does not know.
bool hostHasFeature(std::string_view feature);

} // namespace efrt

#endif
