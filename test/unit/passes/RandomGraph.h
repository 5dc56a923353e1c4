// Random convolutional graphs of the `ef` dialect, for tests that compare a
// graph before and after passes.
#ifndef EFC_TEST_UNIT_PASSES_RANDOMGRAPH_H
#define EFC_TEST_UNIT_PASSES_RANDOMGRAPH_H

#include "dialects/ef/EfDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <random>

namespace efc::test {

/// Builds `func.func @main` from a seed: convolutions, norms, poolings,
/// element-wise operations with all kinds of broadcasting, changes between
/// pictures and tokens, matrix products, concatenations, slices, pads,
/// reductions, resizes. Every value without a user is a result.
class RandomGraph {
public:
  RandomGraph(mlir::MLIRContext &context, unsigned seed)
      : builder(&context), generator(seed) {}

  mlir::OwningOpRef<mlir::ModuleOp> build(int numOperations);

private:
  int64_t pick(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(generator() % (high - low + 1));
  }
  mlir::Value pickValue(int64_t rank);
  mlir::Value addArgument(llvm::ArrayRef<int64_t> shape);
  void addOperation();

  mlir::Value addConv(mlir::Value picture);
  mlir::Value addPool(mlir::Value picture);
  mlir::Value addNorm(mlir::Value picture);
  mlir::Value addUnary(mlir::Value value);
  mlir::Value addBinary(mlir::Value value);
  mlir::Value addMovement(mlir::Value picture);
  mlir::Value addReduction(mlir::Value value);
  mlir::Value addTokens(mlir::Value picture);
  mlir::Value addMatmul(mlir::Value tokens);

  mlir::OpBuilder builder;
  std::mt19937 generator;
  mlir::Block *block = nullptr;
  llvm::SmallVector<mlir::Value> values;
};

} // namespace efc::test

#endif
