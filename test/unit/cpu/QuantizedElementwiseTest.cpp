// Element-wise kernels, casts and movement on quantised tensors.
#include "test/unit/cpu/QuantizedModel.h"

#include <gtest/gtest.h>

using namespace efc::test;

TEST(QuantizedElementwise, RandomKernels) {
  for (unsigned seed : {1, 2}) {
    QuantizedModel model(seed);
    for (int i = 0; i < 16; ++i) {
      Shape shape = model.shape(model.integer(1, 4), 40);
      Kernel kernel(model);
      Operand value = kernel.dequantize(model.input(shape));
      value = kernel.epilogue(value);
      kernel.yield(kernel.quantize(value, model.quantizedElement()));
    }
    expectEqualBits(model, seed);
  }
}

/// Infinities and NaNs reach the cast: 0 or the limits are stored.
TEST(QuantizedElementwise, NonFiniteValues) {
  QuantizedModel model(3);
  for (const char *kind : {"log", "rsqrt", "sqrt", "reciprocal", "exp"}) {
    Kernel kernel(model);
    Shape shape = {300};
    Operand x = model.input(shape, model.quantizedElement(1e-3, 2e-3));
    Operand value = kernel.dequantize(x);
    value = kernel.binary("mul", value, value, shape);
    value = kernel.unary(kind, kernel.unary("neg", value));
    kernel.yield(kernel.quantize(value, model.quantizedElement()));
  }
  expectEqualBits(model, 3);
}

TEST(QuantizedElementwise, GateOfHalves) {
  QuantizedModel model(4);
  for (int64_t columns : {16, 33, 64}) {
    Kernel kernel(model);
    Operand value = kernel.dequantize(model.input({5, 2 * columns}));
    value = kernel.operation("ef.geglu", value, "", {5, columns}, "f32");
    kernel.yield(kernel.quantize(value, model.quantizedElement()));
  }
  expectEqualBits(model, 4);
}

/// What stands at the border of the quantised part.
TEST(QuantizedElementwise, BareCasts) {
  QuantizedModel model(5);
  for (Shape shape : {Shape{7}, Shape{3, 50}, Shape{1, 8, 8, 4}}) {
    std::string element = model.quantizedElement();
    model.output(model.bare("quant.qcast", model.input(shape, "f32"), "", shape,
                            element));
    model.output(
        model.bare("quant.dcast", model.input(shape), "", shape, "f32"));
  }
  expectEqualBits(model, 5);
}

TEST(QuantizedMovement, CopiesIntegers) {
  QuantizedModel model(6);
  std::string element = model.quantizedElement();
  auto input = [&](const Shape &shape) { return model.input(shape, element); };
  model.output(model.bare("ef.transpose", input({2, 20, 33}),
                          "{permutation = array<i64: 0, 2, 1>}", {2, 33, 20},
                          element));
  model.output(model.bare("ef.transpose", input({1, 4, 17, 9}),
                          "{permutation = array<i64: 0, 2, 3, 1>}",
                          {1, 17, 9, 4}, element));
  model.output(
      model.bare("ef.slice", input({6, 40}),
                 "{starts = array<i64: 5, 3>, steps = array<i64: -2, 4>}",
                 {3, 9}, element));
  model.output(model.bare("ef.concat",
                          {input({1, 5, 5, 16}), input({1, 5, 5, 7})},
                          "{axis = 3 : i64}", {1, 5, 5, 23}, element));
  model.output(
      model.bare("ef.broadcast", input({1, 5, 1}), "", {3, 5, 19}, element));
  model.output(model.bare(
      "ef.resize nearest", input({1, 5, 6, 16}),
      "{coordinates = #ef<coordinates asymmetric>, cubic_coeff_a = -7.5e-01 : "
      "f64, extrapolation_value = 0.0 : f64, roi = array<f64>, rounding = "
      "#ef<rounding floor>, scales = array<f64: 1.0, 2.0, 2.0, 1.0>}",
      {1, 10, 12, 16}, element));
  Operand copied = input({4, 5});
  model.output(model.bare("ef.reshape", copied, "", {20}, element));
  expectEqualBits(model, 6);
}

/// Parts of other scales are cast on the way; one has the result's type.
TEST(QuantizedMovement, ConcatOfScales) {
  for (unsigned seed : {7, 8}) {
    QuantizedModel model(seed);
    for (int64_t axis : {3, 1}) {
      Kernel kernel(model);
      std::string element = model.quantizedElement();
      Shape joined = {2, 5, 6, 0};
      std::vector<Operand> parts;
      for (int i = 0; i < 3; ++i) {
        Shape shape = {2, 5, 6, 35};
        shape[axis] = model.integer(1, 40);
        parts.push_back(kernel.dequantize(i == 1 ? model.input(shape, element)
                                                 : model.input(shape)));
        if (i == 0)
          joined = shape;
        else
          joined[axis] += shape[axis];
      }
      Operand value = kernel.operation(
          "ef.concat", parts, "{axis = " + std::to_string(axis) + " : i64}",
          joined, "f32");
      kernel.yield(kernel.quantize(value, element));
    }
    expectEqualBits(model, seed);
  }
}

TEST(QuantizedPool, Averages) {
  QuantizedModel model(9);
  for (bool channelsLast : {true, false}) {
    Kernel kernel(model);
    Shape from = channelsLast ? Shape{2, 9, 8, 21} : Shape{2, 21, 9, 8},
          to = channelsLast ? Shape{2, 4, 3, 21} : Shape{2, 21, 4, 3};
    std::string attributes =
        "{kernel = array<i64: 3, 2>, strides = array<i64: 2, 3>, pads = "
        "array<i64: 0, 0, 0, 0>, counted_pads = array<i64: 0, 0, 0, 0>, "
        "dilations = array<i64: 1, 1>, layout = #ef<layout channels_";
    attributes += channelsLast ? "last>}" : "first>}";
    Operand value = kernel.operation("ef.pool avg", model.input(from),
                                     attributes, to, "f32");
    kernel.yield(kernel.quantize(value, model.quantizedElement()));
  }
  expectEqualBits(model, 9);
}

/// Kernels that differ in nothing but scales are one, and each launch has its
/// own scales.
TEST(QuantizedKernels, ScalesAreData) {
  QuantizedModel model(10);
  for (double scale : {1e-4, 2e-4, 7e-4}) {
    auto element = [&] {
      scale *= 1.3;
      return "!quant.uniform<i16:f32, " + std::to_string(scale) + ">";
    };
    Shape shape = {1, 6, 6, 16};
    Operand x = model.input(shape, element()),
            y = model.input(shape, element());
    Kernel sum(model);
    Operand added =
        sum.binary("add", sum.dequantize(x), sum.dequantize(y), shape);
    sum.yield(sum.quantize(added, element()));
    Kernel norm(model);
    Operand value = norm.operation(
        "ef.group_norm", {x, model.constant({16}), model.constant({16})},
        "{epsilon = 1.0e-05 : f64, groups = 4 : i64, layout = #ef<layout "
        "channels_last>}",
        shape, "f32");
    norm.yield(norm.quantize(value, element()));
  }
  size_t numKernels = 0;
  expectEqualBits(model, 10, &numKernels);
  // The sum; statistics, factors and result of the norm.
  EXPECT_EQ(numKernels, 4u);
}
