// Shared by the files of edgefusion._efrt: statuses as exceptions, and Ctrl-C
// while the runtime works.
#ifndef EDGEFUSION_BINDINGS_EFRT_H
#define EDGEFUSION_BINDINGS_EFRT_H

#include "efrt/Status.h"

#include <pybind11/pybind11.h>

#include <functional>
#include <stdexcept>
#include <utility>

namespace edgefusion {

/// Becomes Python's edgefusion._efrt.RuntimeFailure.
struct RuntimeFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(const efrt::Status &status) {
  if (!status.ok())
    throw RuntimeFailure(status.message());
}

template <typename T> T take(efrt::Result<T> result) {
  if (!result)
    check(result.status());
  return std::move(*result);
}

/// Calls `work(cancelled)` without the interpreter lock, where `cancelled` asks
/// Python whether Ctrl-C was pressed; that ends in KeyboardInterrupt, whatever
/// the work returned.
template <typename Work> auto runInterruptibly(Work work) {
  bool interrupted = false;
  auto cancelled = [&] {
    pybind11::gil_scoped_acquire acquire;
    interrupted = interrupted || PyErr_CheckSignals() != 0;
    return interrupted;
  };
  auto result = [&] {
    pybind11::gil_scoped_release release;
    return work(cancelled);
  }();
  if (interrupted)
    throw pybind11::error_already_set();
  return result;
}

void bindTextToImage(pybind11::module_ &module);
void bindPipelineParts(pybind11::module_ &module);

} // namespace edgefusion

#endif
