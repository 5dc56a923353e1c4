// What efrun says about a run.
#ifndef EFRT_TOOLS_RUNREPORT_H
#define EFRT_TOOLS_RUNREPORT_H

#include "efrt/Session.h"

namespace efrun {

struct RunReport {
  std::string model;
  double loadSeconds = 0;
  std::vector<double> seconds; ///< Of each timed run; at least one.
};

/// A few lines; with a profile also its tables.
std::string toText(const RunReport &report, const efrt::Session &session);

/// {"model", "variant", "load_seconds", "run_seconds": [...], "median_seconds",
/// "min_seconds", "arena_bytes", "weight_bytes",
///  "peak_rss_bytes", "inputs", "outputs": [{"name", "dtype", "shape"}],
///  "metadata": {...}, "simulated_seconds", "profile": [{"node", "op",
///  "kernel", "calls", "seconds", "macs", "bytes", "device",
///  "simulated_seconds"}]}; seconds of the profile are sums over the calls,
/// simulated ones are of one call.
std::string toJson(const RunReport &report, const efrt::Session &session);

} // namespace efrun

#endif
