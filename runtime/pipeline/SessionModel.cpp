// A Session as a pipeline's Model.
#include "runtime/core/Text.h"
#include "runtime/pipeline/Model.h"

using namespace efrt;

namespace {
class SessionModel : public Model {
public:
  explicit SessionModel(std::unique_ptr<Session> session)
      : session(std::move(session)) {}

  std::span<const TensorInfo> inputs() const override {
    return session->inputs();
  }
  std::span<const TensorInfo> outputs() const override {
    return session->outputs();
  }
  std::span<std::byte> inputBuffer(size_t index) override {
    return session->inputBuffer(index);
  }
  std::span<const std::byte> outputBuffer(size_t index) const override {
    return session->outputBuffer(index);
  }
  Status run(const std::function<bool()> &cancelled) override {
    return session->run(cancelled);
  }

private:
  std::unique_ptr<Session> session;
};
} // namespace

ModelLoader efrt::sessionLoader(const SessionOptions &options) {
  return [options](const std::string &path) -> Result<std::unique_ptr<Model>> {
    Result<std::unique_ptr<Session>> session = Session::load(path, options);
    if (session)
      return std::unique_ptr<Model>(
          std::make_unique<SessionModel>(std::move(*session)));
    if (session.status().getCode() == StatusCode::NotFound)
      return Status(StatusCode::NotFound,
                    concat(session.status().message(),
                           "; compile the bundle's models first"));
    return session.status();
  };
}
