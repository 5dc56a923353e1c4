// The one error type of the runtime. No exceptions leave the library.
#ifndef EFRT_STATUS_H
#define EFRT_STATUS_H

#include <string>
#include <utility>
#include <variant>

namespace efrt {

enum class StatusCode {
  Ok = 0,
  InvalidArgument, ///< The caller's or the user's input is wrong.
  NotFound,        ///< A file, an input name, ... does not exist.
  CorruptData,     ///< A file is not what it says it is.
  Unsupported,     ///< Valid, but this build or this machine cannot do it.
  OutOfMemory,
  IoError,
  Cancelled,
  Internal, ///< Our own mistake.
};

/// Success, or a code and one sentence for the user.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : code(code), text(std::move(message)) {}
  bool ok() const { return code == StatusCode::Ok; }
  StatusCode getCode() const { return code; }
  const std::string &message() const { return text; }

private:
  StatusCode code = StatusCode::Ok;
  std::string text;
};

/// A value or the Status that says why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : storage(std::move(value)) {}
  Result(Status status) : storage(std::move(status)) {}
  bool ok() const { return std::holds_alternative<T>(storage); }
  explicit operator bool() const { return ok(); }
  const Status &status() const { return std::get<Status>(storage); }
  T &operator*() { return std::get<T>(storage); }
  const T &operator*() const { return std::get<T>(storage); }
  T *operator->() { return &std::get<T>(storage); }
  const T *operator->() const { return &std::get<T>(storage); }

private:
  std::variant<T, Status> storage;
};

} // namespace efrt

#endif
