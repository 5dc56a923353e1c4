// From kernels in the LLVM dialect to the bytes of a shared object that the
// runtime maps.
#ifndef EFC_TARGETS_CPU_OBJECTEMITTER_H
#define EFC_TARGETS_CPU_OBJECTEMITTER_H

#include "targets/cpu/CpuVariant.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <vector>

namespace efc::cpu {

/// The LLVM module of one variant, with the context that owns its types:
/// independent of every other one, so that variants can be compiled in
/// parallel.
struct LlvmModule {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
};

/// Registers LLVM's back ends and the translation interfaces; safe to call
/// again.
void initializeObjectEmission(mlir::DialectRegistry &registry);

/// `kernels` must hold nothing but the LLVM dialect.
llvm::Expected<LlvmModule> translateKernels(mlir::ModuleOp kernels,
                                            const CpuVariant &variant);

/// Optimises, compiles and links; deterministic; no undefined symbols.
/// Different modules may be compiled on different threads.
llvm::Expected<std::vector<char>> emitSharedObject(LlvmModule &module,
                                                   const CpuVariant &variant);

} // namespace efc::cpu

#endif
