// From the region of a kernel to the instructions that compute its result for
// each element.
#ifndef EFC_TARGETS_EXYNOSNPU_EPILOGUEBUILDER_H
#define EFC_TARGETS_EXYNOSNPU_EPILOGUEBUILDER_H

#include "targets/exynos_npu/Kernel.h"
#include "targets/exynos_npu/Layer.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/Error.h"

namespace efc::npu {

class LayerBuilder;

/// Writes instructions on as many registers as it likes; finish() allocates the
/// sixteen that there are. In a kernel with a geglu every value before it is
/// computed twice, for the half that stays and for the half that gates it.
class EpilogueBuilder {
public:
  /// A number of a value in the code; 0 and 1 are the anchor's.
  using Register = int;
  enum Half { Whole = -1, Kept = 0, Gate = 1 };

  /// `positions` x `channels` is the result.
  EpilogueBuilder(LayerBuilder &layers, const Kernel &kernel, int64_t positions,
                  int64_t channels)
      : layers(layers), kernel(kernel), positions(positions),
        channels(channels) {}

  /// The halves that a value before the geglu has; only Whole without one.
  llvm::ArrayRef<Half> halves() const;
  /// The value that the tensor engine leaves for this half.
  static Register anchor(Half half) { return half == Gate ? 1 : 0; }

  Register emit(efrt::npu::Opcode op, Register a, Register b = -1);
  Register constant(float value);
  /// Reads `operand`; of one with both halves' channels, those of `half`.
  Register load(Operand operand, Half half = Whole);
  /// From now on `value` of the kernel is in this register.
  void define(mlir::Value value, Half half, Register place) {
    values[{value, half}] = place;
  }
  /// Emits what computes `value` of the kernel.
  llvm::Expected<Register> evaluate(mlir::Value value, Half half = Whole);
  /// The code that leaves the kernel's result in `Epilogue::value`.
  llvm::Expected<Epilogue> finish(bool hasAnchor);

private:
  struct Virtual {
    efrt::npu::Opcode op;
    Register a, b; ///< -1: unused; Load: `operand` instead.
    float immediate;
    int operand;
  };
  llvm::Expected<Register> compute(mlir::Value value, Half half);
  llvm::Expected<Register> computeOp(mlir::Operation *op, Half half);
  llvm::Expected<Register> loadLeaf(mlir::Value leaf, mlir::Value use,
                                    Half half);
  llvm::Expected<Epilogue> allocate(Register result, bool hasAnchor);

  LayerBuilder &layers;
  const Kernel &kernel;
  int64_t positions, channels;
  std::vector<Virtual> code;
  std::vector<Operand> operands;
  llvm::DenseMap<std::pair<mlir::Value, int>, Register> values;
  llvm::DenseMap<int, Register> loaded; ///< By operand.
};

} // namespace efc::npu

#endif
