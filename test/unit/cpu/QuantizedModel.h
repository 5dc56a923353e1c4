// Random models of quantised kernels as text, and the check that the compiled
// code gives the bits of the reference evaluation.
#ifndef EFC_TEST_UNIT_CPU_QUANTIZEDMODEL_H
#define EFC_TEST_UNIT_CPU_QUANTIZEDMODEL_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace efc::test {

using Shape = std::vector<int64_t>;

/// "tensor<2x3xELEMENT>".
std::string tensorType(const Shape &shape, const std::string &element);

/// A value of the model's text with its type.
struct Operand {
  std::string name; ///< "%x3"
  Shape shape;
  std::string element; ///< "f32" or "!quant.uniform<...>"
  std::string type() const { return tensorType(shape, element); }
};

/// Draws models; the same seed gives the same ones. Kernels are independent:
/// one model has many, so that a whole family compiles at once.
class QuantizedModel {
public:
  explicit QuantizedModel(unsigned seed) : random(seed) {}

  // Random choices.
  int64_t integer(int64_t low, int64_t high);
  bool chance(double probability);
  template <typename T> T choose(std::initializer_list<T> options) {
    return options.begin()[integer(0, options.size() - 1)];
  }
  Shape shape(size_t rank, int64_t largest);
  /// !quant.uniform with a scale of `low` to `high`, with or without guard
  /// bits.
  std::string quantizedElement(double low, double high);
  std::string quantizedElement() { return quantizedElement(1e-5, 1e-3); }

  // Values of @main.
  Operand input(const Shape &shape, const std::string &element);
  Operand input(const Shape &shape) { return input(shape, quantizedElement()); }
  /// A constant f32 tensor of standard normal values times `factor`.
  Operand constant(const Shape &shape, double factor = 1);
  /// A constant weight of int8, one scale an index of `axis`.
  Operand weight(const Shape &shape, int64_t axis);
  void output(const Operand &value) { outputs.push_back(value); }

  /// `operation` (name and attributes are its) on operands of @main.
  Operand bare(const std::string &operation, llvm::ArrayRef<Operand> operands,
               const std::string &attributes, const Shape &shape,
               const std::string &element);

  std::string text() const;

private:
  friend class Kernel;
  std::string newName() { return "%v" + std::to_string(numNames++); }

  std::mt19937 random;
  unsigned numNames = 0;
  std::vector<Operand> inputs, outputs;
  std::string body;
};

/// One ef.fused of a model while it is written. Operands of @main are passed as
/// they are; quantised ones enter by dequantize().
class Kernel {
public:
  explicit Kernel(QuantizedModel &model) : model(model) {}

  Operand dequantize(const Operand &value);
  Operand quantize(const Operand &value, const std::string &element);
  Operand unary(const std::string &kind, const Operand &x);
  /// With numpy's broadcasting; the result has `shape`.
  Operand binary(const std::string &kind, const Operand &x, const Operand &y,
                 const Shape &shape);
  Operand operation(const std::string &name, llvm::ArrayRef<Operand> operands,
                    const std::string &attributes, const Shape &shape,
                    const std::string &element);
  /// A random run of element-wise operations on `value` with operands of @main
  /// that broadcast to it (vectors, residuals, rows of batches, scalars).
  Operand epilogue(Operand value);
  /// Ends the kernel; the value of @main that it computes, which is made an
  /// output of the model.
  Operand yield(const Operand &value);

private:
  /// The name inside the kernel of a value of @main or of the kernel.
  std::string inner(const Operand &value);

  QuantizedModel &model;
  std::vector<Operand> captured;
  std::vector<std::string> own, arguments;
  std::string body;
};

/// Compiles `model` for this machine, runs it with one and two threads on
/// random inputs (integers of the whole range, extremes more often) and expects
/// the bits of the reference evaluation. `numKernels` gets the number of
/// distinct kernels.
void expectEqualBits(QuantizedModel &model, unsigned seed,
                     size_t *numKernels = nullptr);

} // namespace efc::test

#endif
