// The pipeline of the phase `fused`.
#include "passes/Passes.h"

#include "mlir/Transforms/Passes.h"

using namespace mlir;

void efc::buildFusePipeline(OpPassManager &pm, bool report, bool unfused) {
  OpPassManager &func = pm.nest<func::FuncOp>();
  func.addPass(createEfcPropagateLayout());
  func.addPass(createCanonicalizerPass());
  func.addPass(createEfcFoldConstants());
  // The layout's transposes meet those of the model: pixel shuffles, tokens.
  func.addPass(createEfcSimplify());
  func.addPass(createCSEPass());
  EfcFuseKernelsOptions options;
  options.report = report;
  options.epilogues = options.elementwise = !unfused;
  func.addPass(createEfcFuseKernels(options));
}
