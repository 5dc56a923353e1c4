// What commands cost. The formulas and their reasons: docs/exynos-npu.md.
#include "npu/Timing.h"

#include <algorithm>

using namespace efrt;
using namespace efrt::npu;

static uint64_t roundUp(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

static uint64_t numElements(const std::array<uint32_t, 4> &extents) {
  uint64_t elements = 1;
  for (uint32_t extent : extents)
    elements *= extent;
  return elements;
}

double npu::tensorCycles(const TensorEngineSpec &engine, double rate,
                         uint64_t positions, uint64_t taps, uint64_t channels,
                         uint64_t outputs, double epilogueCost) {
  double padded = static_cast<double>(roundUp(positions, engine.arrayM)) *
                  static_cast<double>(taps) *
                  static_cast<double>(roundUp(channels, engine.arrayK)) *
                  static_cast<double>(roundUp(outputs, engine.arrayN));
  double peak = static_cast<double>(engine.arrayK) * engine.arrayN *
                engine.arrayM * rate * engine.utilisation;
  double epilogue = static_cast<double>(positions) *
                    static_cast<double>(outputs) * epilogueCost /
                    engine.outputLanes;
  return engine.startCycles + std::max(padded / peak, epilogue);
}

double npu::vectorCycles(const Machine &machine, uint64_t elements,
                         double cost) {
  return machine.vectorStartCycles +
         static_cast<double>(elements) * cost / machine.vectorLanes;
}

double npu::rateOf(DType input, DType weights, const Machine &machine) {
  if (input == DType::F16)
    return machine.rateF16xF16;
  if (input == DType::I8)
    return 1;
  return weights == DType::I8 ? machine.rateI16xI8 : machine.rateI16xI16;
}

double npu::costOf(const VectorProgram &program, const Machine &machine) {
  double cost =
      machine.loadStoreCost * static_cast<double>(program.operands.size() + 1);
  for (const Instruction &instruction : program.code)
    cost += machine.opCost[static_cast<size_t>(instruction.op)];
  return cost;
}

double npu::normFactorsCost(uint64_t groups, uint64_t groupChannels,
                            const Machine &machine) {
  auto op = [&](Opcode code) {
    return machine.opCost[static_cast<size_t>(code)];
  };
  double group = 2 * op(Opcode::Div) + 4 * op(Opcode::Mul) + op(Opcode::Sub) +
                 op(Opcode::Add) + op(Opcode::Rsqrt) +
                 2 * machine.loadStoreCost;
  double channel =
      2 * op(Opcode::Mul) + op(Opcode::Sub) + 4 * machine.loadStoreCost;
  return static_cast<double>(groups) *
         (group + static_cast<double>(groupChannels) * channel);
}

double npu::dmaBytesCharged(const DmaCommand &command, const Machine &machine) {
  // The longest run of bytes that is contiguous in DRAM, and how many of them.
  uint64_t run = command.elementBytes, runs = 1;
  bool contiguous = true;
  for (size_t i = command.extents.size(); i-- > 0;) {
    uint64_t extent = command.extents[i];
    if (extent == 1)
      continue;
    contiguous =
        contiguous && command.dramStrides[i] == static_cast<int64_t>(run);
    (contiguous ? run : runs) *= extent;
  }
  return static_cast<double>(std::max<uint64_t>(run, machine.dramBurstBytes)) *
         static_cast<double>(runs);
}

double npu::dmaCycles(const Machine &machine, double bytesCharged) {
  return (machine.dmaSetupSeconds + bytesCharged / machine.dramBytesPerSecond) *
         machine.clockHz;
}

static double cyclesOfTensor(const TensorCommand &command,
                             const TensorEngineSpec &engine,
                             const Machine &machine) {
  const View &weights = command.weights;
  uint64_t taps = uint64_t(weights.extents[1]) * weights.extents[2];
  uint64_t channels = weights.extents[3];
  uint64_t outputs = weights.extents[0];
  // A channel of a depthwise convolution has nothing to sum but its taps.
  if (command.depthwise)
    std::swap(taps, channels);
  const std::array<uint32_t, 4> &result = command.epilogue.result.extents;
  uint64_t positions = uint64_t(result[1]) * result[2];
  double rate = rateOf(command.input.dtype, weights.dtype, machine);
  double cost = costOf(command.epilogue, machine);
  if (command.gated) { // Two products for each result that is stored.
    outputs = roundUp(outputs, engine.arrayN) * 2;
    cost /= 2;
  }
  return tensorCycles(engine, rate, positions, taps, channels, outputs, cost);
}

namespace {
/// Cycles of each kind of command.
struct CyclesVisitor {
  Queue queue;
  const Machine &machine;

  double operator()(const DmaCommand &command) const {
    return dmaCycles(machine, dmaBytesCharged(command, machine));
  }
  double operator()(const TensorCommand &command) const {
    bool small = queue == Queue::Ste0 || queue == Queue::Ste1;
    return cyclesOfTensor(command, small ? machine.ste : machine.gte, machine);
  }
  double operator()(const VectorCommand &command) const {
    return vectorCycles(machine, numElements(command.program.result.extents),
                        costOf(command.program, machine));
  }
  double operator()(const SoftmaxCommand &command) const {
    return vectorCycles(machine, numElements(command.input.extents),
                        machine.softmaxCost);
  }
  double operator()(const NormStatsCommand &command) const {
    return vectorCycles(machine, numElements(command.input.extents),
                        machine.normStatsCost);
  }
  double operator()(const NormFactorsCommand &command) const {
    return vectorCycles(machine, 1,
                        normFactorsCost(command.gamma.extents[2],
                                        command.gamma.extents[3], machine));
  }
  double operator()(const LayerNormCommand &command) const {
    return vectorCycles(machine, numElements(command.input.extents),
                        machine.layerNormCost +
                            costOf(command.epilogue, machine));
  }
};
} // namespace

double npu::cyclesOf(const Command &command, Queue queue,
                     const Machine &machine) {
  return std::visit(CyclesVisitor{queue, machine}, command.body);
}
