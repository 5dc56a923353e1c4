// The machine that commands run on: what prices a schedule in the compiler and
// what the simulator obeys. Read from targets/exynos_npu/machines/*.yaml by the
// compiler, stored in the artifact, never guessed. Meaning and source of each
// figure: docs/exynos-npu.md.
#ifndef EFRT_NPU_MACHINE_H
#define EFRT_NPU_MACHINE_H

#include "npu/Command.h"

#include <cstdint>
#include <string>

namespace efrt::npu {

struct TensorEngineSpec {
  uint32_t count = 0;
  /// Multiply-accumulate array at the INT8 rate: channels (k) x output channels
  /// (n) x output positions (m) a cycle. Extents are rounded up to these.
  uint32_t arrayK = 1, arrayN = 1, arrayM = 1;
  /// Share of the array's peak that long runs sustain, 0..1.
  double utilisation = 1;
  /// Output stage: lane operations a cycle.
  uint32_t outputLanes = 32;
  /// Cycles from a command's start to its first product.
  uint32_t startCycles = 0;
};

struct Machine {
  std::string name;
  double clockHz = 0;
  uint32_t scratchpadBytes = 0;
  uint32_t scratchpadBanks = 1;
  TensorEngineSpec gte, ste;
  uint32_t vectorEngines = 0, vectorLanes = 0;
  uint32_t vectorStartCycles = 0;
  uint32_t dmaQueues = 2;
  /// Effective DRAM bandwidth shared by the DMA queues, bytes a second.
  double dramBytesPerSecond = 0;
  /// Rows shorter than this are charged as if they had it.
  uint32_t dramBurstBytes = 64;
  double dmaSetupSeconds = 0;
  /// Rates relative to INT8 x INT8: activation x weight type.
  double rateI16xI8 = 0.5, rateI16xI16 = 0.25, rateF16xF16 = 0.5;
  /// Lane operations an element costs.
  double softmaxCost = 1;                   ///< softmax, for each element
  double normStatsCost = 1;                 ///< sums of squares, each element
  double layerNormCost = 1;                 ///< layer norm, each element
  std::array<double, kNumOpcodes> opCost{}; ///< vector instructions
  double loadStoreCost = 1; ///< each operand and result of a vector program
  /// False: the paper's setting, one command at a time.
  bool overlap = true;
};

} // namespace efrt::npu

#endif
