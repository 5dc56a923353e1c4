// Weights packed for the register blocks: for each block of 16 outputs the taps
// one after the other, each [pairs or channels][16 outputs].
#ifndef EFRT_NPU_SIMULATOR_TENSORPANELS_H
#define EFRT_NPU_SIMULATOR_TENSORPANELS_H

#include "npu/simulator/Execution.h"

namespace efrt::npu::simulator {

struct IntegerPanels {
  const int16_t *data = nullptr;
  size_t tapElements = 0;   ///< Of one tap of one panel.
  size_t blockElements = 0; ///< Of one panel.
  /// Blocks hold 8 outputs: their high parts (x 256) and then their low ones.
  bool isSplit = false;
  /// Products that can be added before a sum might leave int32.
  size_t safeChannels = 0;
};

/// Packs `weights` (I8 or I16) behind what `offset` elements of the workbench's
/// panels hold; decides by values whether to split them.
IntegerPanels packIntegers(const View &weights, int32_t maxInput, size_t offset,
                           ExecutionContext &context);
/// Elements that packIntegers() writes at most.
size_t integerPanelElements(const View &weights);

struct FloatPanels {
  const float *data = nullptr;
  size_t tapElements = 0, blockElements = 0;
};
FloatPanels packFloats(const View &weights, size_t offset,
                       ExecutionContext &context);
size_t floatPanelElements(const View &weights);

} // namespace efrt::npu::simulator

#endif
