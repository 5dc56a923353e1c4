// See WeightIntegers.h.
#include "targets/cpu/WeightIntegers.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace efc::cpu;

std::optional<QuantizedWeight> efc::cpu::matchQuantizedWeight(Value value) {
  auto cast = value.getDefiningOp<quant::QuantizeCastOp>();
  if (!cast || !getElementTypeOrSelf(cast.getInput().getType()).isF32())
    return std::nullopt;
  auto type = dyn_cast<quant::UniformQuantizedPerAxisType>(
      getElementTypeOrSelf(value.getType()));
  if (!type || !type.getStorageType().isInteger(8) ||
      type.getStorageTypeMin() != -127 || type.getStorageTypeMax() != 127)
    return std::nullopt;
  QuantizedWeight weight{cast.getInput(), {}, type.getQuantizedDimension()};
  for (double scale : type.getScales())
    weight.scales.push_back(static_cast<float>(scale));
  return weight;
}
