// What a Session runs launches on. A device holds one artifact's code, ready to
// run.
#ifndef EFRT_DEVICES_DEVICE_H
#define EFRT_DEVICES_DEVICE_H

#include "runtime/core/Artifact.h"

namespace efrt {

/// One kernel over the work items [0, work), or one NPU program.
struct Launch {
  uint32_t kernel; ///< Index into the artifact's kernels or NPU programs.
  std::span<void *const>
      tensors;      ///< Operands, then results; must live until wait().
  uint64_t work;    ///< Any partition of it gives the same bits.
  uint64_t scratch; ///< Bytes that each part needs of its own.
  bool isSmall;     ///< Not worth more than one thread.
};

/// Used by one thread at a time, one launch at a time: submit, then wait.
class Device {
public:
  virtual ~Device() = default;
  /// "cpu", ...
  virtual std::string_view name() const = 0;
  /// Which of the artifact's variants runs.
  virtual std::string_view variant() const = 0;
  /// Starts a launch. It may run already, or only in wait().
  virtual Status submit(const Launch &launch) = 0;
  /// Returns when the submitted launch has written its results.
  virtual Status wait() = 0;
  /// A device whose programs have a simulated time: that of program `kernel`.
  /// Null: it runs in real time.
  virtual const SimulatedLaunch *simulation(uint32_t kernel) const {
    return nullptr;
  }
};

/// The processor itself. `threads`: 0 for one per usable core; `variant`: empty
/// for the best that this machine runs. Fails with Unsupported when the
/// artifact has no code for this machine.
Result<std::unique_ptr<Device>> createCpuDevice(const Artifact &artifact,
                                                unsigned threads,
                                                const std::string &variant);

} // namespace efrt

#endif
