// efrun --timing-only: what models take on the simulated machine, without
// computing anything.
#ifndef EFRT_TOOLS_SIMULATEDTIME_H
#define EFRT_TOOLS_SIMULATEDTIME_H

#include "efrt/Session.h"

namespace efrun {

/// One model's simulated run.
struct SimulatedTime {
  std::string model, machine;
  double seconds = 0; ///< Simulated, of one run.
  uint64_t commands = 0, macs = 0, dramBytes = 0;
  size_t cpuLaunches = 0; ///< Not in it.
};

/// Fails for a model without NPU programs.
efrt::Result<SimulatedTime> simulatedTimeOf(const efrt::Session &session,
                                            const std::string &model);

/// One line, without its end.
std::string toText(const SimulatedTime &time);

/// Loads the models of a bundle for their times only and prints each, and the
/// sum for a picture: text encoder, `steps` times the U-Net, VAE decoder.
/// `json`: also written to that file, unless empty.
efrt::Status printSimulatedTimes(const std::string &bundle, int64_t steps,
                                 const efrt::SessionOptions &options,
                                 const std::string &json);

/// The same for one artifact.
efrt::Status printSimulatedTime(const std::string &path,
                                const efrt::SessionOptions &options,
                                const std::string &json);

} // namespace efrun

#endif
