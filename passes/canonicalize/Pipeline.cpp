// The pipeline of the phase `canonical`.
#include "passes/Passes.h"

#include "mlir/Transforms/Passes.h"

using namespace mlir;

void efc::buildCanonicalizePipeline(OpPassManager &pm) {
  OpPassManager &func = pm.nest<func::FuncOp>();
  func.addPass(createCSEPass());
  func.addPass(createEfcFoldConstants());
  func.addPass(createCanonicalizerPass());
}
