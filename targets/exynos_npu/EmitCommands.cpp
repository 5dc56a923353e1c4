// efc-npu-emit-commands: see Passes.td. The commands of a group are
// GroupEmitter's; here are the program around them and its constants.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/HostTensor.h"
#include "targets/exynos_npu/Emit.h"
#include "targets/exynos_npu/GroupEmitter.h"
#include "targets/exynos_npu/MachineFile.h"
#include "targets/exynos_npu/Passes.h"

#include "mlir/IR/IRMapping.h"

namespace efc::npu {
#define GEN_PASS_DEF_EFCNPUEMITCOMMANDS
#include "targets/exynos_npu/Passes.h.inc"
} // namespace efc::npu

using namespace mlir;
using namespace efc;
using namespace efc::npu;

/// Clones the expression that `value` is, each operation once.
static Value cloneExpression(Value value, OpBuilder &builder,
                             IRMapping &mapping) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    cloneExpression(operand, builder, mapping);
  builder.clone(*op, mapping);
  return mapping.lookup(value);
}

static ConstantLayout layoutOf(Constant::Layout layout) {
  switch (layout) {
  case Constant::Layout::FilterNKC:
    return ConstantLayout::FilterNKC;
  case Constant::Layout::MatrixKN:
    return ConstantLayout::MatrixKN;
  case Constant::Layout::MatrixNK:
    return ConstantLayout::MatrixNK;
  case Constant::Layout::Vector:
    return ConstantLayout::Vector;
  }
  llvm_unreachable("all layouts are handled above");
}

static void emitConstants(const LayerGraph &graph, const DramPlan &dram,
                          OpBuilder &builder, Location loc) {
  IRMapping mapping;
  for (auto [constant, offset] : llvm::zip(graph.constants, dram.constants)) {
    if (offset < 0)
      continue;
    Value value;
    if (constant.value) {
      value = cloneExpression(constant.value, builder, mapping);
    } else {
      auto type = RankedTensorType::get(
          {static_cast<int64_t>(constant.values.size())}, builder.getF32Type());
      value = ef::ConstantOp::create(
          builder, loc,
          DenseElementsAttr::get(type, ArrayRef<float>(constant.values)));
    }
    // A vector counts its elements once, whatever its shape is.
    int64_t taps = std::max<int64_t>(constant.taps, 1);
    int64_t k = std::max<int64_t>(constant.k, 1);
    ConstantOp::create(builder, loc, value, layoutOf(constant.layout),
                       DTypeAttr::get(builder.getContext(), constant.dtype),
                       constant.n, taps, k, offset);
  }
}

static int64_t bytesOfType(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getNumElements() * ef::getElementBytes(tensor.getElementType());
}

ProgramOp efc::npu::emitProgram(func::FuncOp partition, const LayerGraph &graph,
                                const Tiling &tiling,
                                const efrt::npu::Machine &machine) {
  OpBuilder builder(partition);
  FunctionType type = partition.getFunctionType();
  DramPlan dram = planDram(graph, tiling);
  // An input that nothing reads has no tensor.
  for (auto [index, input] : llvm::enumerate(type.getInputs()))
    dram.slotBytes[kFirstInputSlot + index] = bytesOfType(input);
  auto program = ProgramOp::create(
      builder, partition.getLoc(), partition.getSymNameAttr(),
      TypeAttr::get(type), builder.getDenseI64ArrayAttr(dram.slotBytes),
      builder.getStringAttr(machine.name), IntegerAttr(), DenseI32ArrayAttr());
  builder.createBlock(&program.getBody());
  emitConstants(graph, dram, builder, partition.getLoc());
  CommandBuilder commands(builder);
  for (auto [index, group] : llvm::enumerate(tiling.groups))
    GroupEmitter(graph, group, index, dram, machine, commands).emit();
  return program;
}

namespace {
struct EmitCommands : efc::npu::impl::EfcNpuEmitCommandsBase<EmitCommands> {
  using EfcNpuEmitCommandsBase::EfcNpuEmitCommandsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    std::vector<std::string> settings(machineSettings.begin(),
                                      machineSettings.end());
    llvm::Expected<MachineFile> file = loadMachine(machine, settings);
    if (!file) {
      module.emitError(llvm::toString(file.takeError()));
      return signalPassFailure();
    }
    for (auto partition :
         llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (partition->hasAttr("npu.partition") &&
          failed(emit(partition, file->machine)))
        return signalPassFailure();
  }

  LogicalResult emit(func::FuncOp partition,
                     const efrt::npu::Machine &machine) {
    auto mlt = partition->getAttrOfType<StringAttr>("npu.mlt");
    std::optional<MltMode> mode =
        mlt ? parseMltMode(mlt.getValue()) : std::nullopt;
    if (!mode || !partition->hasAttr("npu.tiling"))
      return partition.emitError("the partition has no tiling; run "
                                 "efc-npu-tile before efc-npu-emit-commands");
    FailureOr<Tiling> tiling = tilingOf(partition);
    if (failed(tiling))
      return failure();
    FailureOr<LayerGraph> graph = buildLayers(partition, *mode);
    if (failed(graph))
      return failure();
    TilingProblem problem(*graph, machine, *mode);
    if (llvm::Error error = problem.verify(*tiling))
      return partition.emitError(llvm::toString(std::move(error)));
    ProgramOp program = emitProgram(partition, *graph, *tiling, machine);
    for (Operation &op : program.getBlock())
      numCommands += isa<CommandOpInterface>(op);
    weightBytes += program.getSlotBytes()[kWeightsSlot];
    workspaceBytes += program.getSlotBytes()[kWorkspaceSlot];
    partition.erase();
    return success();
  }
};
} // namespace
