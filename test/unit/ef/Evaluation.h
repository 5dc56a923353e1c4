// Reference evaluation of whole functions, for unit tests: parse text, fill
// inputs from a seed, run, compare.
#ifndef EFC_TEST_UNIT_EF_EVALUATION_H
#define EFC_TEST_UNIT_EF_EVALUATION_H

#include "dialects/ef/EfDialect.h"
#include "dialects/ef/WeightStore.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace efc::test {

using Tensors = llvm::SmallVector<ef::HostTensor>;

/// A context with the ef dialect, without threads.
inline std::unique_ptr<mlir::MLIRContext> makeContext() {
  mlir::DialectRegistry registry;
  registry.insert<ef::EfDialect, mlir::func::FuncDialect>();
  auto context = std::make_unique<mlir::MLIRContext>(
      registry, mlir::MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

/// Runs the one block of `function`; weights, if it has any, are those of
/// `store`.
inline mlir::FailureOr<Tensors> evaluate(mlir::func::FuncOp function,
                                         const Tensors &arguments,
                                         ef::WeightStore *store = nullptr) {
  llvm::DenseMap<mlir::Value, ef::HostTensor> values;
  for (auto [argument, tensor] :
       llvm::zip_equal(function.getArguments(), arguments))
    values[argument] = tensor;
  for (mlir::Operation &op : function.getBody().front()) {
    Tensors operands, results;
    for (mlir::Value operand : op.getOperands())
      operands.push_back(values.lookup(operand));
    if (llvm::isa<mlir::func::ReturnOp>(op))
      return operands;
    if (auto weight = llvm::dyn_cast<ef::WeightOp>(op)) {
      llvm::Expected<ef::HostTensor> tensor = store->get(weight);
      if (!tensor) {
        ADD_FAILURE() << llvm::toString(tensor.takeError());
        return mlir::failure();
      }
      values[weight.getResult()] = *tensor;
      continue;
    }
    if (mlir::failed(llvm::cast<ef::EvaluableOpInterface>(op).evaluate(
            operands, results)))
      return mlir::failure();
    for (auto [result, tensor] : llvm::zip_equal(op.getResults(), results))
      values[result] = tensor;
  }
  return mlir::failure();
}

/// Standard normal values for every argument of `function`; integers and
/// booleans from 0 and 1.
inline Tensors makeArguments(mlir::func::FuncOp function, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Tensors tensors;
  for (mlir::Type type : function.getArgumentTypes()) {
    ef::HostTensor tensor(llvm::cast<mlir::RankedTensorType>(type));
    for (int64_t i = 0; i < tensor.getNumElements(); ++i)
      if (llvm::isa<mlir::FloatType>(tensor.getElementType()))
        tensor.setFloat(i, normal(generator));
      else
        tensor.setInt(i, generator() % 2);
    tensors.push_back(tensor);
  }
  return tensors;
}

/// A float32 tensor with given elements.
inline ef::HostTensor makeTensor(mlir::MLIRContext &context,
                                 llvm::ArrayRef<int64_t> shape,
                                 llvm::ArrayRef<double> values) {
  ef::HostTensor tensor(
      mlir::RankedTensorType::get(shape, mlir::Float32Type::get(&context)));
  for (auto [i, value] : llvm::enumerate(values))
    tensor.setFloat(i, value);
  return tensor;
}

inline std::vector<double> toVector(const ef::HostTensor &tensor) {
  std::vector<double> values;
  for (int64_t i = 0; i < tensor.getNumElements(); ++i)
    values.push_back(llvm::isa<mlir::FloatType>(tensor.getElementType())
                         ? tensor.getFloat(i)
                         : static_cast<double>(tensor.getInt(i)));
  return values;
}

inline void expectNear(const std::vector<double> &actual,
                       const std::vector<double> &expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(actual[i])) << "element " << i;
    } else if (actual[i] != expected[i]) {
      EXPECT_NEAR(actual[i], expected[i],
                  tolerance * (1 + std::abs(expected[i])))
          << "element " << i;
    }
  }
}

/// Parses `text` and evaluates its first function on `arguments`.
inline Tensors run(mlir::MLIRContext &context, llvm::StringRef text,
                   const Tensors &arguments) {
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module) {
    ADD_FAILURE() << "does not parse: " << text.str();
    return {};
  }
  auto results =
      evaluate(*module->getOps<mlir::func::FuncOp>().begin(), arguments);
  if (mlir::failed(results)) {
    ADD_FAILURE() << "does not evaluate: " << text.str();
    return {};
  }
  return *results;
}

} // namespace efc::test

#endif
