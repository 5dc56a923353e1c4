// Linear layers and convolutions of int16 by int8 with their epilogues. The
// largest sums, and more shapes: test/targets/cpu/kernels/dense-quantized.test.
#include "test/unit/cpu/QuantizedModel.h"

#include <gtest/gtest.h>

using namespace efc::test;

static void addMatmul(QuantizedModel &model, const Shape &rows, int64_t k,
                      int64_t n, bool transposed) {
  Shape input(rows), shape(rows);
  input.push_back(k);
  shape.push_back(n);
  Kernel kernel(model);
  Operand weight =
      transposed ? model.weight({n, k}, 0) : model.weight({k, n}, 1);
  Operand value =
      kernel.operation("ef.matmul", {model.input(input), weight},
                       transposed ? "{transpose_b}" : "", shape, "f32");
  kernel.yield(kernel.quantize(kernel.epilogue(value),
                               model.quantizedElement(1e-3, 1e-2)));
}

TEST(QuantizedProduct, Matmul) {
  for (unsigned seed : {1, 2}) {
    QuantizedModel model(seed);
    for (int i = 0; i < 6; ++i)
      addMatmul(model, {model.integer(1, 3), model.integer(1, 130)},
                model.integer(1, 700), model.integer(1, 80), model.chance(0.5));
    addMatmul(model, {97}, 2500, 33, false);
    expectEqualBits(model, seed);
  }
}

struct Geometry {
  Shape input; ///< [n, h, w, c]
  int64_t filters, kernelSize, stride, dilation, groups;
};

static void addConv(QuantizedModel &model, const Geometry &conv,
                    const std::string &element) {
  int64_t pad = conv.kernelSize / 2 * conv.dilation;
  auto extent = [&](int64_t size) {
    return (size + 2 * pad - (conv.kernelSize - 1) * conv.dilation - 1) /
               conv.stride +
           1;
  };
  auto array = [](int64_t value, int count) {
    std::string text = "array<i64: ";
    for (int i = 0; i < count; ++i)
      text += (i ? ", " : "") + std::to_string(value);
    return text + ">";
  };
  Shape shape{conv.input[0], extent(conv.input[1]), extent(conv.input[2]),
              conv.filters};
  std::string attributes = "{strides = " + array(conv.stride, 2) +
                           ", pads = " + array(pad, 4) +
                           ", dilations = " + array(conv.dilation, 2) +
                           ", groups = " + std::to_string(conv.groups) +
                           ", layout = #ef<layout channels_last>}";
  Operand weight = model.weight({conv.filters, conv.input[3] / conv.groups,
                                 conv.kernelSize, conv.kernelSize},
                                0);
  Kernel kernel(model);
  Operand value =
      kernel.operation("ef.conv", {model.input(conv.input, element), weight},
                       attributes, shape, "f32");
  kernel.yield(kernel.quantize(kernel.epilogue(value),
                               model.quantizedElement(1e-3, 1e-2)));
}

TEST(QuantizedProduct, Conv) {
  const std::string guarded = "!quant.uniform<i16<-16383:16383>:f32, 3.0e-4>",
                    twice = "!quant.uniform<i16<-8191:8191>:f32, 3.0e-4>",
                    whole = "!quant.uniform<i16:f32, 2.0e-4>";
  QuantizedModel model(3);
  addConv(model, {{1, 13, 11, 32}, 48, 3, 1, 1, 1}, twice);
  addConv(model, {{1, 9, 12, 336}, 32, 3, 1, 1, 1}, guarded);
  addConv(model, {{1, 13, 11, 32}, 48, 3, 1, 1, 1}, guarded);
  addConv(model, {{2, 8, 9, 80}, 16, 3, 1, 1, 1}, guarded);
  addConv(model, {{1, 13, 11, 32}, 48, 3, 1, 1, 1}, whole);
  addConv(model, {{2, 9, 30, 19}, 21, 3, 2, 1, 1}, guarded);
  addConv(model, {{1, 14, 12, 7}, 33, 5, 1, 2, 1}, guarded);
  addConv(model, {{1, 10, 9, 31}, 18, 1, 1, 1, 1}, whole);
  addConv(model, {{1, 10, 9, 31}, 18, 1, 2, 1, 1}, whole);
  addConv(model, {{1, 6, 5, 12}, 18, 3, 1, 1, 3}, guarded);
  addConv(model, {{1, 6, 5, 24}, 24, 3, 1, 1, 24}, guarded);
  expectEqualBits(model, 3);
}
