// One network of a pipeline, as the pipeline sees it. A Session is one; tests
// have others.
#ifndef EFRT_PIPELINE_MODEL_H
#define EFRT_PIPELINE_MODEL_H

#include "efrt/Session.h"

namespace efrt {

class Model {
public:
  virtual ~Model() = default;
  virtual std::span<const TensorInfo> inputs() const = 0;
  virtual std::span<const TensorInfo> outputs() const = 0;
  /// As in Session.
  virtual std::span<std::byte> inputBuffer(size_t index) = 0;
  virtual std::span<const std::byte> outputBuffer(size_t index) const = 0;
  virtual Status run(const std::function<bool()> &cancelled) = 0;
};

/// Makes the model of an artifact's path.
using ModelLoader =
    std::function<Result<std::unique_ptr<Model>>(const std::string &path)>;

/// Loads Sessions.
ModelLoader sessionLoader(const SessionOptions &options);

} // namespace efrt

#endif
