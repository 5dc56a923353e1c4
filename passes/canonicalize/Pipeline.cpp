// The pipeline of the phase `canonical`.
#include "passes/Passes.h"

#include "mlir/Transforms/Passes.h"

using namespace mlir;

void efc::buildCanonicalizePipeline(OpPassManager &pm) {
  OpPassManager &func = pm.nest<func::FuncOp>();
  auto simplify = [&] {
    func.addPass(createEfcFoldConstants());
    func.addPass(createEfcSimplify());
    func.addPass(createCanonicalizerPass());
    func.addPass(createCSEPass());
  };
  // Equal subexpressions must be one value before patterns compare values.
  func.addPass(createCSEPass());
  simplify();
  func.addPass(createEfcRaiseNorms());
  func.addPass(createEfcRaiseActivations());
  func.addPass(createEfcRaiseTimestepEmbedding());
  func.addPass(createEfcRaiseAttention());
  simplify();
}
