// From the command line to the inputs of a model.
#ifndef EFRT_TOOLS_INPUTS_H
#define EFRT_TOOLS_INPUTS_H

#include "efrt/Session.h"

#include <optional>

namespace efrun {

/// Reads each "NAME=FILE.npy" into its input; with a seed the others get random
/// values, otherwise a missing one is an error that says what the model
/// expects. Types and shapes must be the model's.
efrt::Status fillInputs(efrt::Session &session,
                        std::span<const std::string> arguments,
                        std::optional<uint64_t> seed);

} // namespace efrun

#endif
