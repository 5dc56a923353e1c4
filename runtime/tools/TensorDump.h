// Intermediate results of a model, as files.
#ifndef EFRT_TOOLS_TENSORDUMP_H
#define EFRT_TOOLS_TENSORDUMP_H

#include "efrt/Session.h"

namespace efrun {

/// A file name for a tensor's name: what a file system might not take is
/// replaced by '_'.
std::string fileNameOf(std::string_view tensorName);

/// Runs the model once and writes each launch's results to
/// FOLDER/NNNN_NAME.npy, in order, and a list of them to FOLDER/index.json:
/// [{"file", "tensor", "node", "op", "dtype", "shape"}]. Tensors are as they
/// lie in memory: images are channels-last.
efrt::Status dumpTensors(efrt::Session &session, const std::string &folder);

} // namespace efrun

#endif
