// Loads an artifact and runs it. One Session is used by one thread at a time;
// different Sessions are independent.
#ifndef EFRT_SESSION_H
#define EFRT_SESSION_H

#include "efrt/Export.h"
#include "efrt/Status.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace efrt {

/// Same numbering as efc.fb.DType of the artifact's schema.
enum class DType : uint8_t {
  F32,
  F64,
  F16,
  BF16,
  I1,
  I8,
  I16,
  I32,
  I64,
  U8,
  U16,
  U32,
  U64
};

/// Bytes of one element (a boolean takes one).
EFRT_API size_t sizeOf(DType dtype);
/// "f32", "i64", ...
EFRT_API std::string_view nameOf(DType dtype);

/// A named, typed, shaped input or output. Row-major.
struct EFRT_API TensorInfo {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  size_t numElements() const;
  size_t numBytes() const { return numElements() * sizeOf(dtype); }
};

/// Time and work of one kernel launch; times add up over runs until
/// resetProfile().
struct ProfileEntry {
  std::string node;   ///< ONNX node.
  std::string op;     ///< e.g. "conv3x3.winograd+add+silu".
  std::string kernel; ///< Symbol.
  uint64_t calls = 0;
  double seconds = 0;
  uint64_t macs = 0, bytes = 0; ///< Of one call.
  std::string device = "cpu";
  /// Of one call, on a device that is a simulation: what the machine would
  /// take, by its model. 0 on others.
  double simulatedSeconds = 0;
};

/// One command of an NPU program in its simulated run. Texts live as long as
/// the Session.
struct SimulatedCommand {
  std::string_view queue;    ///< "dma0", "gte1", ...
  std::string_view node, op; ///< ONNX node, "conv3x3+silu".
  uint32_t sequence = 0;     ///< Place in the serial order.
  uint32_t group = 0, tile = 0;
  double start = 0, end = 0; ///< Cycles.
};

/// A launch of an NPU program on a simulated device.
struct SimulatedLaunch {
  std::string program, machine;
  double clockHz = 0, cycles = 0;
  uint64_t macs = 0, dramBytes = 0;
  std::vector<SimulatedCommand> commands; ///< By start.
};

struct SessionOptions {
  /// Threads that share each kernel launch, the calling one included. 0: one
  /// per core that this process may use.
  unsigned threads = 0;
  /// Name of a CPU variant of the artifact; empty: the best one this machine
  /// can run.
  std::string variant;
  /// Measure each launch.
  bool profile = false;
  /// What runs the artifact's NPU programs: empty or "exynos-npu-sim" for the
  /// simulator. An artifact for the CPU takes "cpu" or nothing.
  std::string device;
  /// Load for simulatedSeconds() and simulation() only: run() computes nothing.
  bool timingOnly = false;
};

class EFRT_API Session {
public:
  /// Maps and verifies `path`. What it says is then trusted. The file must not
  /// change while the Session lives.
  static Result<std::unique_ptr<Session>>
  load(const std::string &path, const SessionOptions &options = {});
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  std::span<const TensorInfo> inputs() const;
  std::span<const TensorInfo> outputs() const;

  /// Memory that the Session owns, 64-byte aligned: write before run().
  std::span<std::byte> inputBuffer(size_t index);
  /// Valid until the next run().
  std::span<const std::byte> outputBuffer(size_t index) const;

  /// Copies `data` into input `index`; its size must be the input's.
  Status setInput(size_t index, std::span<const std::byte> data);

  /// Runs all launches in order. `cancelled`, when given, is asked between
  /// launches; true ends the run with Cancelled.
  Status run(const std::function<bool()> &cancelled = {});

  /// Called after each launch of a run, for each of its results; `data` is
  /// valid during the call only.
  using TensorObserver =
      std::function<void(const TensorInfo &tensor, std::string_view node,
                         std::string_view op, std::span<const std::byte> data)>;
  void setObserver(TensorObserver observer);

  std::vector<ProfileEntry> profile() const;
  void resetProfile();

  /// Of each launch on a simulated device, in order; pointers live as long as
  /// the Session.
  std::vector<const SimulatedLaunch *> simulation() const;
  /// The sum of their times: what one run takes on the simulated machine,
  /// without the launches that run on the CPU.
  double simulatedSeconds() const;
  /// How many launches run on the CPU.
  size_t numCpuLaunches() const;

  size_t arenaBytes() const;
  size_t weightBytes() const;
  /// The CPU variant, the simulated machine, or both.
  std::string_view variant() const;
  /// Key-value pairs that the compiler recorded.
  std::span<const std::pair<std::string, std::string>> metadata() const;

private:
  Session();
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace efrt

#endif
