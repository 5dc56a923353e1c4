// See QuantizedModel.h: the text of models.
#include "test/unit/cpu/QuantizedModel.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace efc::test;

std::string efc::test::tensorType(const Shape &shape,
                                  const std::string &element) {
  std::string type = "tensor<";
  for (int64_t extent : shape)
    type += std::to_string(extent) + "x";
  return type + element + ">";
}

/// A binary32 number with all its digits.
static std::string digits(double value) {
  std::string text;
  llvm::raw_string_ostream(text)
      << llvm::format("%.17e", static_cast<double>(static_cast<float>(value)));
  return text;
}

//===--- Random choices ---===//

int64_t QuantizedModel::integer(int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random() % (high - low + 1));
}

bool QuantizedModel::chance(double probability) {
  return integer(0, 999) < 1000 * probability;
}

Shape QuantizedModel::shape(size_t rank, int64_t largest) {
  Shape shape;
  for (size_t d = 0; d < rank; ++d)
    shape.push_back(integer(1, largest));
  return shape;
}

std::string QuantizedModel::quantizedElement(double low, double high) {
  double position = integer(0, 1000) / 1000.0;
  double scale = low * std::pow(high / low, position);
  std::string range = choose({"", "", "", "<-8191:8191>", "<-16383:16383>"});
  return "!quant.uniform<i16" + range + ":f32, " + digits(scale) + ">";
}

//===--- Values of @main ---===//

Operand QuantizedModel::input(const Shape &shape, const std::string &element) {
  inputs.push_back({"%x" + std::to_string(inputs.size()), shape, element});
  return inputs.back();
}

Operand QuantizedModel::constant(const Shape &shape, double factor) {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  std::normal_distribution<float> normal;
  Operand value{newName(), shape, "f32"};
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  for (int64_t i = 0; i < count; ++i) {
    auto number = static_cast<float>(normal(random) * factor);
    for (char byte : llvm::ArrayRef(reinterpret_cast<char *>(&number), 4))
      os << llvm::format("%02X", static_cast<unsigned char>(byte));
  }
  body += "  " + value.name + " = ef.constant dense<\"0x" + bytes +
          "\"> : " + value.type() + "\n";
  return value;
}

Operand QuantizedModel::weight(const Shape &shape, int64_t axis) {
  Operand real = constant(shape, 0.1);
  std::string element =
      "!quant.uniform<i8<-127:127>:f32:" + std::to_string(axis) + ", {";
  for (int64_t i = 0; i < shape[axis]; ++i)
    element += (i ? ", " : "") + digits(0.001 + 1e-6 * integer(0, 1000));
  return bare("quant.qcast", real, "", shape, element + "}>");
}

/// "NAME OPERANDS ATTRIBUTES : TYPES", in the assembly of `name`.
static std::string assembly(const std::string &name,
                            llvm::ArrayRef<std::string> operands,
                            llvm::ArrayRef<Operand> values,
                            const std::string &attributes,
                            const Operand &result) {
  bool isGeneric = name.front() == '"';
  std::string text = name + (isGeneric ? "(" : " ") +
                     llvm::join(operands, ", ") + (isGeneric ? ") " : " ") +
                     attributes + " : ";
  if (llvm::StringRef(name).starts_with("quant."))
    return text + values.front().type() + " to " + result.type();
  std::vector<std::string> types;
  for (const Operand &value : values)
    types.push_back(value.type());
  return text + "(" + llvm::join(types, ", ") + ") -> " + result.type();
}

Operand QuantizedModel::bare(const std::string &operation,
                             llvm::ArrayRef<Operand> operands,
                             const std::string &attributes, const Shape &shape,
                             const std::string &element) {
  Operand result{newName(), shape, element};
  std::vector<std::string> names;
  for (const Operand &operand : operands)
    names.push_back(operand.name);
  body += "  " + result.name + " = " +
          assembly(operation, names, operands, attributes, result) + "\n";
  return result;
}

std::string QuantizedModel::text() const {
  std::vector<std::string> arguments, types, names;
  for (const Operand &input : inputs)
    arguments.push_back(input.name + ": " + input.type());
  for (const Operand &output : outputs) {
    types.push_back(output.type());
    names.push_back(output.name);
  }
  return "func.func @main(" + llvm::join(arguments, ", ") + ") -> (" +
         llvm::join(types, ", ") + ") {\n" + body + "  return " +
         llvm::join(names, ", ") + " : " + llvm::join(types, ", ") + "\n}\n";
}

//===--- Kernels ---===//

std::string Kernel::inner(const Operand &value) {
  if (llvm::is_contained(own, value.name))
    return value.name;
  for (auto [index, operand] : llvm::enumerate(captured))
    if (operand.name == value.name)
      return arguments[index];
  captured.push_back(value);
  arguments.push_back(model.newName());
  return arguments.back();
}

Operand Kernel::operation(const std::string &name,
                          llvm::ArrayRef<Operand> operands,
                          const std::string &attributes, const Shape &shape,
                          const std::string &element) {
  std::vector<std::string> names;
  for (const Operand &operand : operands)
    names.push_back(inner(operand));
  Operand result{model.newName(), shape, element};
  body += "    " + result.name + " = " +
          assembly(name, names, operands, attributes, result) + "\n";
  own.push_back(result.name);
  return result;
}

Operand Kernel::dequantize(const Operand &value) {
  return operation("quant.dcast", value, "", value.shape, "f32");
}

Operand Kernel::quantize(const Operand &value, const std::string &element) {
  return operation("quant.qcast", value, "", value.shape, element);
}

Operand Kernel::unary(const std::string &kind, const Operand &x) {
  return operation("ef.unary " + kind, x, "", x.shape, "f32");
}

Operand Kernel::binary(const std::string &kind, const Operand &x,
                       const Operand &y, const Shape &shape) {
  return operation("ef.binary " + kind, {x, y}, "", shape, "f32");
}

Operand Kernel::epilogue(Operand value) {
  for (int64_t step = model.integer(1, 4); step > 0; --step) {
    if (model.chance(0.4)) {
      value = unary(
          model.choose({"silu", "gelu", "quick_gelu", "gelu_tanh", "tanh",
                        "sigmoid", "erf", "exp", "relu", "neg", "abs", "sqrt",
                        "rsqrt", "reciprocal", "log", "sin", "cos"}),
          value);
      continue;
    }
    // Where the operand repeats: everywhere, along rows, nowhere, at random.
    Shape shape = value.shape;
    double repeats = model.choose({0.0, 0.5, 1.0});
    bool isRow = model.chance(0.3);
    for (size_t d = 0; d < shape.size(); ++d)
      if (isRow ? d + 1 < shape.size() : model.chance(repeats))
        shape[d] = 1;
    Operand other = model.chance(0.6) ? dequantize(model.input(shape))
                                      : model.input(shape, "f32");
    const char *kind =
        model.choose({"add", "sub", "mul", "div", "min", "max", "add", "add"});
    value = model.chance(0.5) ? binary(kind, value, other, value.shape)
                              : binary(kind, other, value, value.shape);
  }
  return value;
}

Operand Kernel::yield(const Operand &value) {
  Operand result{model.newName(), value.shape, value.element};
  std::vector<std::string> bindings, types;
  for (auto [argument, operand] : llvm::zip_equal(arguments, captured)) {
    bindings.push_back(argument + " = " + operand.name);
    types.push_back(operand.type());
  }
  model.body += "  " + result.name + " = ef.fused (" +
                llvm::join(bindings, ", ") + ") : (" + llvm::join(types, ", ") +
                ") -> " + result.type() + " {\n" + body + "    ef.yield " +
                value.name + " : " + value.type() + "\n  }\n";
  model.output(result);
  return result;
}
