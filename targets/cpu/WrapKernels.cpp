// efc-cpu-wrap-kernels: see Passes.td.
#include "targets/cpu/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

namespace efc::cpu {
#define GEN_PASS_DEF_EFCCPUWRAPKERNELS
#include "targets/cpu/Passes.h.inc"
} // namespace efc::cpu

using namespace mlir;

/// The function that the runtime calls: loads each tensor's address and calls
/// `body`.
static void createEntry(LLVM::LLVMFuncOp body, StringRef name) {
  MLIRContext *context = body.getContext();
  OpBuilder builder(body);
  Location loc = body.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(context);
  Type i64 = builder.getI64Type();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                          {pointer, pointer, i64, i64});
  auto entry = LLVM::LLVMFuncOp::create(builder, loc, name, type);
  Block *block = entry.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);
  SmallVector<Value> arguments;
  int32_t numTensors = static_cast<int32_t>(body.getNumArguments()) - 3;
  for (int32_t i = 0; i < numTensors; ++i) {
    Value slot =
        LLVM::GEPOp::create(builder, loc, pointer, pointer,
                            block->getArgument(0), ArrayRef<LLVM::GEPArg>{i});
    arguments.push_back(LLVM::LoadOp::create(builder, loc, pointer, slot));
  }
  for (BlockArgument argument : block->getArguments().drop_front())
    arguments.push_back(argument);
  LLVM::CallOp::create(builder, loc, body, arguments);
  LLVM::ReturnOp::create(builder, loc, ValueRange{});
}

namespace {
struct WrapKernels : efc::cpu::impl::EfcCpuWrapKernelsBase<WrapKernels> {
  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<LLVM::LLVMFuncOp>());
    for (LLVM::LLVMFuncOp function : functions) {
      if (function.isExternal())
        continue;
      // Loops that copy must stay loops: the object has no libc to call.
      function.setPassthroughAttr(ArrayAttr::get(
          &getContext(), {StringAttr::get(&getContext(), "no-builtins"),
                          StringAttr::get(&getContext(), "nounwind")}));
      function.setLinkage(LLVM::Linkage::Internal);
      if (!function->hasAttr("cpu.kernel"))
        continue;
      for (unsigned i = 0, e = function.getNumArguments() - 2; i < e; ++i)
        function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(),
                            UnitAttr::get(&getContext()));
      std::string name = function.getName().str();
      function->removeAttr("cpu.kernel");
      function.setSymName(name + ".body");
      createEntry(function, name);
      ++numKernels;
    }
  }
};
} // namespace
