// Group and layer normalisation of int16 with their epilogues.
#include "test/unit/cpu/QuantizedModel.h"

#include <gtest/gtest.h>

using namespace efc::test;

static void addGroupNorm(QuantizedModel &model, const Shape &shape,
                         int64_t groups, bool channelsLast) {
  int64_t channels = channelsLast ? shape.back() : shape[1];
  Kernel kernel(model);
  std::string attributes =
      "{epsilon = 1.0e-05 : f64, groups = " + std::to_string(groups) +
      " : i64, layout = #ef<layout channels_" +
      (channelsLast ? "last>}" : "first>}");
  Operand value =
      kernel.operation("ef.group_norm",
                       {model.input(shape), model.constant({channels}),
                        model.constant({channels})},
                       attributes, shape, "f32");
  if (model.chance(0.7))
    value = kernel.unary("silu", value);
  if (model.chance(0.5))
    value = kernel.epilogue(value);
  kernel.yield(kernel.quantize(value, model.quantizedElement()));
}

TEST(QuantizedNorm, GroupNorm) {
  QuantizedModel model(1);
  addGroupNorm(model, {1, 64, 64, 40}, 4, true);
  addGroupNorm(model, {2, 9, 7, 48}, 3, true);
  addGroupNorm(model, {1, 300, 17}, 17, true);
  addGroupNorm(model, {1, 12, 30, 30}, 4, false);
  addGroupNorm(model, {2, 6, 150, 131}, 2, false);
  addGroupNorm(model, {3, 10}, 5, false);
  // So many positions that lanes of 32 bits would overflow in one chunk.
  addGroupNorm(model, {1, 70000, 1}, 1, true);
  expectEqualBits(model, 1);
}

/// y = norm * scale + shift with both from tensors of another shape, as a
/// network that is conditioned on a vector has them.
static void addConditionedNorm(QuantizedModel &model) {
  Shape shape = {1, 12, 10, 32};
  Kernel kernel(model);
  Operand value = kernel.operation(
      "ef.group_norm",
      {model.input(shape), model.constant({32}), model.constant({32})},
      "{epsilon = 1.0e-05 : f64, groups = 8 : i64, layout = #ef<layout "
      "channels_last>}",
      shape, "f32");
  for (const char *kind : {"mul", "add"}) {
    Operand factor = kernel.dequantize(model.input({1, 32, 1, 1}));
    factor = kernel.operation("ef.reshape", {factor}, "", {32}, "f32");
    value = kernel.binary(kind, value, factor, shape);
  }
  value = kernel.unary("silu", value);
  kernel.yield(kernel.quantize(value, model.quantizedElement()));
}

TEST(QuantizedNorm, ReshapedOperandsBroadcast) {
  QuantizedModel model(3);
  addConditionedNorm(model);
  expectEqualBits(model, 3);
}

static void addLayerNorm(QuantizedModel &model, const Shape &shape, size_t axis,
                         bool rms) {
  Kernel kernel(model);
  Shape row(shape.begin() + axis, shape.end());
  std::vector<Operand> operands = {model.input(shape)};
  bool hasScale = model.chance(0.8), hasBias = model.chance(0.7);
  if (hasScale)
    operands.push_back(model.constant(row));
  if (hasBias)
    operands.push_back(model.constant(row));
  // In the generic form: the other one has words between the operands.
  std::string attributes =
      "<{axis = " + std::to_string(axis) + " : i64, epsilon = 1.0e-05 : f64" +
      (rms ? ", rms" : "") + ", operandSegmentSizes = array<i32: 1, " +
      std::to_string(hasScale) + ", " + std::to_string(hasBias) + ">}>";
  Operand value =
      kernel.operation("\"ef.layer_norm\"", operands, attributes, shape, "f32");
  if (model.chance(0.5))
    value = kernel.epilogue(value);
  kernel.yield(kernel.quantize(value, model.quantizedElement()));
}

TEST(QuantizedNorm, LayerNorm) {
  for (unsigned seed : {2, 3}) {
    QuantizedModel model(seed);
    addLayerNorm(model, {1, 70, 320}, 2, false);
    addLayerNorm(model, {2, 5, 37}, 2, false);
    addLayerNorm(model, {3, 4, 5, 6}, 2, false);
    addLayerNorm(model, {2, 11, 64}, 2, true);
    addLayerNorm(model, {2, 300000}, 1, false);
    expectEqualBits(model, seed);
  }
}

/// A constant input: the variance is 0, not a rounding error below it.
TEST(QuantizedNorm, OneElementGroups) {
  QuantizedModel model(4);
  addGroupNorm(model, {2, 1, 1, 8}, 8, true);
  addLayerNorm(model, {5, 1}, 1, false);
  expectEqualBits(model, 4);
}
