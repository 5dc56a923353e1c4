// Passes of the CPU target, in the order in which they run.
#ifndef EFC_TARGETS_CPU_PASSES_TD
#define EFC_TARGETS_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def EfcCpuLowerToDispatches : Pass<"efc-cpu-lower-to-dispatches", "::mlir::ModuleOp"> {
  let summary = "Turn each operation of @main into kernel launches";
  let description = [{
    Every `ef` operation of `@main` becomes one or more `cpu.dispatch` and the kernels that they launch. Reshapes stay: they are aliases.
    Expressions over weights and constants stay, too: they are evaluated when the artifact is written. An operation that no generator takes is an error; all of
    them are reported.

    Before:
    ```mlir
    func.func @main(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
      %0 = ef.unary silu %x : (tensor<1x64xf32>) -> tensor<1x64xf32>
      return %0 : tensor<1x64xf32>
    }
    ```
    After:
    ```mlir
    func.func @main(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
      %0 = cpu.dispatch @elementwise_0(%x) work 1 scratch 0 {op = "silu"} : (tensor<1x64xf32>) -> tensor<1x64xf32>
      return %0 : tensor<1x64xf32>
    }
    func.func @elementwise_0(%in: memref<1x64xf32>, %out: memref<1x64xf32>, %scratch: memref<1xi8>, %begin: index, %end: index) { ... }
    ```
  }];
  let options = [
    Option<"cpu", "cpu", "std::string", "\"x86-64-v3\"", "The machine that kernels are generated for (docs/cli.md, --cpu)">,
    Option<"winograd", "winograd", "bool", "true", "Allow Winograd convolution, which rounds differently">,
    Option<"bf16", "bf16", "bool", "false", "Store weights of matrix products and convolutions as bf16">];
  let statistics = [
    Statistic<"numDispatches", "dispatches", "Launches in @main">,
    Statistic<"numKernels", "kernels", "Distinct kernels">];
  let dependentDialects = ["::efc::cpu::CpuDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::mlir::affine::AffineDialect"];
}

def EfcCpuPlanMemory : Pass<"efc-cpu-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Give each intermediate tensor its place in the arena";
  let description = [{
    The results of launches get byte offsets in one arena such that two tensors overlap only if their live ranges do not (a reshape lives as
    long as what it is an alias of). Tensors are placed largest first at the lowest offset that fits. A result of the model is written in place: its
    offset is -1 - (index of the output). The module gets `cpu.arena_bytes`.

    Before:
    ```mlir
    %0 = cpu.dispatch @k(%x) work 1 scratch 0 {op = "k"} : (tensor<64xf32>) -> tensor<64xf32>
    %1 = cpu.dispatch @k(%0) work 1 scratch 0 {op = "k"} : (tensor<64xf32>) -> tensor<64xf32>
    return %1 : tensor<64xf32>
    ```
    After:
    ```mlir
    %0 = cpu.dispatch @k(%x) work 1 scratch 0 {offsets = array<i64: 0>, op = "k"} : (tensor<64xf32>) -> tensor<64xf32>
    %1 = cpu.dispatch @k(%0) work 1 scratch 0 {offsets = array<i64: -1>, op = "k"} : (tensor<64xf32>) -> tensor<64xf32>
    return %1 : tensor<64xf32>
    ```
  }];
  let statistics = [
    Statistic<"arenaBytes", "arena-bytes", "Size of the arena">,
    Statistic<"liveBytes", "live-bytes", "Largest sum of live tensors: the lower bound of the arena">];
  let dependentDialects = ["::efc::cpu::CpuDialect"];
}

def EfcCpuWrapKernels : Pass<"efc-cpu-wrap-kernels", "::mlir::ModuleOp"> {
  let summary = "Give each kernel the runtime's calling convention";
  let description = [{
    After the conversion to the LLVM dialect a kernel takes one pointer an operand. This pass makes it internal and adds the function that the
    runtime calls, `void kernel(void *const *tensors, void *scratch, int64_t begin, int64_t end)`.

    Before:
    ```mlir
    llvm.func @k(%x: !llvm.ptr, %y: !llvm.ptr, %scratch: !llvm.ptr, %begin: i64, %end: i64) attributes {cpu.kernel}
    ```
    After:
    ```mlir
    llvm.func internal @k.body(%x: !llvm.ptr {llvm.noalias}, ...)
    llvm.func @k(%tensors: !llvm.ptr, %scratch: !llvm.ptr, %begin: i64, %end: i64) { ... llvm.call @k.body ... }
    ```
  }];
  let statistics = [Statistic<"numKernels", "kernels", "Wrapped kernels">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif
