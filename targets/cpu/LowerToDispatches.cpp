// efc-cpu-lower-to-dispatches: see Passes.td. The kernels themselves are in
// kernels/.
#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/WeightStore.h"
#include "targets/cpu/Aliases.h"
#include "targets/cpu/Passes.h"
#include "targets/cpu/kernels/Accumulators.h"
#include "targets/cpu/kernels/Kernels.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace efc::cpu {
#define GEN_PASS_DEF_EFCCPULOWERTODISPATCHES
#include "targets/cpu/Passes.h.inc"
} // namespace efc::cpu

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

using LowerFunction = Lowered (*)(const KernelView &, OpBuilder &,
                                  DispatchBuilder &, const KernelOptions &);

static constexpr LowerFunction kGenerators[] = {
    lowerMatmul,      lowerConv,      lowerConvTranspose, lowerAttention,
    lowerNorm,        lowerReduction, lowerPool,          lowerMovement,
    lowerElementwise, lowerIndexing,  lowerResize,        lowerQuantize};

/// What stays in @main as it is: leaves, aliases, and everything that is
/// evaluated when the artifact is written.
static bool staysInMain(Operation *op) {
  return isa<ef::WeightOp, ef::ConstantOp, ef::ReshapeOp, func::ReturnOp,
             PackOp>(op) ||
         isLaunch(op) ||
         (op->getNumResults() == 1 &&
          ef::isConstantExpression(op->getResult(0)));
}

static LogicalResult lowerOperation(Operation *op, DispatchBuilder &dispatches,
                                    const KernelOptions &options) {
  OpBuilder main(op);
  KernelView view(op);
  for (LowerFunction generator : kGenerators) {
    Lowered lowered = generator(view, main, dispatches, options);
    if (!lowered)
      continue;
    if (failed(*lowered))
      return failure();
    op->replaceAllUsesWith(**lowered);
    op->erase();
    return success();
  }
  return op->emitError("the CPU target has no kernel for '")
         << view.label()
         << "' with these types; please report it with the model's node";
}

/// A launch that copies `input`, for outputs of the model that no launch of
/// their own writes.
static Value emitCopy(Value input, OpBuilder &main,
                      DispatchBuilder &dispatches) {
  auto type = cast<RankedTensorType>(input.getType());
  constexpr int64_t block = 4096;
  Launch launch{
      main.getInsertionPoint()->getLoc(), "copy", "copy", "", {input}, {type}};
  launch.work =
      llvm::divideCeil(std::max<int64_t>(type.getNumElements(), 1), block);
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    Type element = getStorageType(type.getElementType());
    Value from = b.pointer(b.input(0)), to = b.pointer(b.result(0));
    b.forEachWorkItem([&](Value item) {
      Value first = b.mul(item, block);
      Value last = b.min(b.add(first, block), b.index(type.getNumElements()));
      b.loop(first, last, 1, [&](Value i) {
        b.store(b.load(b.offsetPointer(from, i, element), element),
                b.offsetPointer(to, i, element));
      });
    });
  });
  return results.front();
}

/// Makes each returned value the result of a launch that nothing else returns.
static void separateOutputs(func::FuncOp main, DispatchBuilder &dispatches) {
  Operation *terminator = main.getBody().front().getTerminator();
  OpBuilder builder(terminator);
  llvm::DenseSet<Value> taken;
  for (OpOperand &operand : terminator->getOpOperands()) {
    Value root = getAliasRoot(operand.get());
    if (!isLaunch(root.getDefiningOp()) || !taken.insert(root).second)
      operand.set(emitCopy(operand.get(), builder, dispatches));
  }
}

namespace {
struct LowerToDispatches
    : efc::cpu::impl::EfcCpuLowerToDispatchesBase<LowerToDispatches> {
  using EfcCpuLowerToDispatchesBase::EfcCpuLowerToDispatchesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main) {
      module.emitError("there is no @main to compile");
      return signalPassFailure();
    }
    llvm::Expected<std::vector<CpuVariant>> variants = selectVariants(cpu);
    if (!variants) {
      module.emitError(llvm::toString(variants.takeError()));
      return signalPassFailure();
    }
    DispatchBuilder dispatches(module, variants->front());
    auto modelDir = module->getAttrOfType<StringAttr>("ef.model_dir");
    AccumulatorBounds bounds(modelDir ? modelDir.str() : ".");
    KernelOptions kernels{winograd, bf16, &bounds};
    bool ok = true;
    for (Operation &op : llvm::make_early_inc_range(main.getBody().front()))
      if (!staysInMain(&op))
        ok &= succeeded(lowerOperation(&op, dispatches, kernels));
    if (!ok)
      return signalPassFailure();
    separateOutputs(main, dispatches);
    eraseDeadOperations(main);
    numDispatches = llvm::range_size(main.getOps<DispatchOp>());
    numKernels =
        llvm::count_if(module.getOps<func::FuncOp>(),
                       [](func::FuncOp f) { return f->hasAttr("cpu.kernel"); });
  }

  static void eraseDeadOperations(func::FuncOp main) {
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(main.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
};
} // namespace
