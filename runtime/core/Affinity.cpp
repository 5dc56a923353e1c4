// Asks the kernel, because the number of the machine's cores says nothing about
// a restricted process.
#include "runtime/core/Affinity.h"

#include <sched.h>
#include <thread>

unsigned efrt::usableCores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return static_cast<unsigned>(CPU_COUNT(&set));
  // The machine has more cores than a cpu_set_t has bits.
  unsigned cores = std::thread::hardware_concurrency();
  return cores > 0 ? cores : 1;
}
