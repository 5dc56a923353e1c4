// The phase `fused` computes what the graph computed before: random graphs,
// evaluated by reference before and after.
#include "passes/Passes.h"
#include "test/unit/ef/Evaluation.h"
#include "test/unit/passes/RandomGraph.h"

#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace efc;
using namespace efc::test;

static constexpr int numGraphs = 300, numOperations = 25;

/// Runs `addPasses` on the graph of `seed` and compares all results.
static void checkGraph(MLIRContext &context, unsigned seed,
                       function_ref<void(OpPassManager &)> addPasses) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  OwningOpRef<ModuleOp> module =
      RandomGraph(context, seed).build(numOperations);
  ASSERT_TRUE(succeeded(verify(*module)));
  auto function = *module->getOps<func::FuncOp>().begin();
  Tensors arguments = makeArguments(function, seed);
  auto before = evaluate(function, arguments);
  ASSERT_TRUE(succeeded(before));

  PassManager manager(&context);
  addPasses(manager);
  ASSERT_TRUE(succeeded(manager.run(*module)));
  auto after = evaluate(function, arguments);
  ASSERT_TRUE(succeeded(after));
  ASSERT_EQ(before->size(), after->size());
  for (auto [a, b] : llvm::zip_equal(*after, *before)) {
    EXPECT_EQ(a.getType(), b.getType());
    expectNear(toVector(a), toVector(b), 1e-4);
  }
}

TEST(FusedEquivalence, Layout) {
  std::unique_ptr<MLIRContext> context = makeContext();
  for (unsigned seed = 0; seed < numGraphs && !::testing::Test::HasFailure();
       ++seed)
    checkGraph(*context, seed, [](OpPassManager &manager) {
      manager.nest<func::FuncOp>().addPass(createEfcPropagateLayout());
    });
}

TEST(FusedEquivalence, Kernels) {
  std::unique_ptr<MLIRContext> context = makeContext();
  for (unsigned seed = 0; seed < numGraphs && !::testing::Test::HasFailure();
       ++seed)
    checkGraph(*context, seed, [](OpPassManager &manager) {
      manager.nest<func::FuncOp>().addPass(createEfcFuseKernels());
    });
}

TEST(FusedEquivalence, Pipeline) {
  std::unique_ptr<MLIRContext> context = makeContext();
  for (unsigned seed = 0; seed < numGraphs && !::testing::Test::HasFailure();
       ++seed)
    checkGraph(*context, seed,
               [](OpPassManager &manager) { buildFusePipeline(manager); });
}
