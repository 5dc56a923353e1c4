// What every part of the C interface needs: an error of its own thread, and a
// wall against exceptions.
#ifndef EFRT_CORE_CAPISUPPORT_H
#define EFRT_CORE_CAPISUPPORT_H

#include "efrt/Status.h"
#include "efrt/efrt.h"

#include <exception>
#include <new>

namespace efrt {

/// Remembers the message for efrt_last_error() and returns the code; never
/// throws.
efrt_status report(StatusCode code, const char *message) noexcept;

/// Calls `body`, which returns a Status; anything that it throws becomes a
/// code.
template <typename Body> efrt_status guard(const Body &body) noexcept {
  try {
    Status status = body();
    return status.ok() ? EFRT_OK
                       : report(status.getCode(), status.message().c_str());
  } catch (const std::bad_alloc &) {
    return report(StatusCode::OutOfMemory, "there is not enough memory");
  } catch (const std::exception &error) {
    return report(StatusCode::Internal, error.what());
  } catch (...) {
    return report(StatusCode::Internal, "an unknown exception was thrown");
  }
}

} // namespace efrt

#endif
