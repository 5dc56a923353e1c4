// Executes one command on memory, by the numeric contract (docs/numerics.md).
// The command must have passed checkCommand() for a program of these sizes.
#ifndef EFRT_NPU_SIMULATOR_EXECUTION_H
#define EFRT_NPU_SIMULATOR_EXECUTION_H

#include "npu/simulator/Kernels.h"
#include "runtime/devices/ThreadPool.h"

#include <span>

namespace efrt::npu::simulator {

/// Bytes behind the scratchpad that a kernel may read (and ignore).
inline constexpr size_t kScratchSlackBytes = 64;

struct ExecutionMemory {
  std::byte *scratch; ///< With kScratchSlackBytes behind it.
  std::span<void *const> slots;
};

/// Buffers that commands share; they keep the largest size that one needed.
struct Workbench {
  std::vector<int16_t> panels, dense;
  std::vector<float> floatPanels, floatDense;
};

struct ExecutionContext {
  const Kernels &kernels;
  ThreadPool &pool;
  Workbench &workbench;
  ExecutionMemory memory;
};

void execute(const DmaCommand &dma, ExecutionContext &context);
void execute(const TensorCommand &tensor, ExecutionContext &context);
void execute(const VectorCommand &vector, ExecutionContext &context);
void execute(const SoftmaxCommand &softmax, ExecutionContext &context);
void execute(const NormStatsCommand &stats, ExecutionContext &context);
void execute(const NormFactorsCommand &factors, ExecutionContext &context);
void execute(const LayerNormCommand &norm, ExecutionContext &context);

/// Calls body(begin, end) for parts of [0, work), on all threads.
template <typename Body>
void parallelFor(ThreadPool &pool, uint64_t work, const Body &body) {
  if (work <= 1 || pool.numThreads() == 1) {
    if (work > 0)
      body(int64_t(0), static_cast<int64_t>(work));
    return;
  }
  pool.start(
      [](void *context, unsigned, int64_t begin, int64_t end) {
        (*static_cast<const Body *>(context))(begin, end);
      },
      const_cast<Body *>(&body), work);
  pool.finish();
}

} // namespace efrt::npu::simulator

#endif
