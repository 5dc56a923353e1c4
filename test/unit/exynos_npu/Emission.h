// From a partition and a tiling to a program's results: emits, schedules,
// synchronises, verifies and runs it on the simulator, beside the reference
// evaluation of the same operations.
#ifndef EFC_TEST_UNIT_EXYNOSNPU_EMISSION_H
#define EFC_TEST_UNIT_EXYNOSNPU_EMISSION_H

#include "dialects/ef/WeightStore.h"
#include "targets/exynos_npu/GroupCost.h"
#include "targets/exynos_npu/MachineFile.h"
#include "test/unit/ef/Evaluation.h"

#include <gmock/gmock.h>

namespace efc::npu::test {

using efc::test::Tensors;

/// What a program did.
struct Execution {
  efrt::npu::Program program; ///< As decoded from its bytes.
  Tensors outputs;

  /// Commands of one kind in serial order.
  template <typename Body> std::vector<Body> commands() const {
    std::map<uint32_t, Body> bySequence;
    for (const auto &queue : program.queues)
      for (const efrt::npu::Command &command : queue)
        if (const Body *body = std::get_if<Body>(&command.body))
          bySequence[command.sequence] = *body;
    std::vector<Body> result;
    for (auto &[sequence, body] : bySequence)
      result.push_back(body);
    return result;
  }
  /// That DMA loads from a slot, or stores to it.
  uint64_t loadedBytes(int slot) const { return movedBytes(slot, false); }
  uint64_t storedBytes(int slot) const { return movedBytes(slot, true); }
  uint64_t movedBytes() const;

private:
  uint64_t movedBytes(int slot, bool isStore) const;
};

class Emission : public testing::Test {
protected:
  Emission();
  ~Emission() override;

  /// Parses `text`, whose first function is the partition and whose weights are
  /// float32 elements of "w.bin" (makeWeights()), and builds its layers.
  void build(const std::string &text, MltMode mlt = MltMode::Full);
  /// `count` multiples of 1/64 from -2 to 2.
  void makeWeights(int64_t count);
  /// Random arguments of the partition: integers over their whole range divided
  /// by `part`.
  Tensors makeArguments(int32_t part = 1);

  Layer &layer(int index) { return graph.layers[index]; }
  /// One group of all layers, chunks chosen by the cost model.
  Tiling priced(int64_t tilePositions, bool weightsResident = false);
  /// Emits, schedules, verifies, encodes, runs; compares all bits with
  /// reference evaluation.
  Execution run(const Tiling &tiling, const Tensors &arguments);

  std::mt19937 generator{20261123};
  efrt::npu::Machine machine;
  LayerGraph graph;

private:
  efrt::npu::Program compile(const Tiling &tiling,
                             std::vector<char> &weightBytes);
  Tensors simulate(const efrt::npu::Program &program,
                   std::vector<char> &weightBytes, const Tensors &arguments);

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp partition;
  MltMode mlt = MltMode::Full;
  std::string folder;
  std::unique_ptr<ef::WeightStore> store;
};

} // namespace efc::npu::test

#endif
