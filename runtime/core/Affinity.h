// How many cores this process may use.
#ifndef EFRT_CORE_AFFINITY_H
#define EFRT_CORE_AFFINITY_H

namespace efrt {

/// Cores in the process's affinity mask, at least 1.
unsigned usableCores();

} // namespace efrt

#endif
