// The `cpu` dialect: a model as a sequence of kernel launches on tensors. Why: docs/design/cpu-target.md.
#ifndef CPU_OPS_TD
#define CPU_OPS_TD

include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Cpu_Dialect : Dialect {
  let name = "cpu";
  let cppNamespace = "::efc::cpu";
  let summary = "Kernel launches, packed weights and their places in memory";
  let description = [{
    Between the fused `ef` graph and machine code, `@main` is a straight line of `cpu.dispatch` on tensors (plus `ef.weight`, `ef.constant`,
    `cpu.pack` on them, and `ef.reshape`, which is an alias); the kernels are `func.func` in the same module. Memory planning gives each tensor an offset.
  }];
}

class Cpu_Op<string mnemonic, list<Trait> traits = []> : Op<Cpu_Dialect, mnemonic, traits>;

def Cpu_DispatchOp : Cpu_Op<"dispatch", [Pure]> {
  let summary = "launch of a kernel over `work` work items";
  let description = [{
    The callee takes one statically shaped memref per input, then one per result, a `memref<Sxi8>` of per-thread scratch (S = `scratch`), and
    `begin`, `end` of type index: it does the work items in [begin, end), each exactly once, in any order, on any thread.
    `offsets` (set by efc-cpu-plan-memory) are the results' places in the arena, in bytes.
    ```mlir
    %y = cpu.dispatch @matmul_0(%x, %w) work 64 scratch 4096 {op = "matmul", macs = 1024 : i64} : (tensor<..>, tensor<..>) -> tensor<..>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyStaticShapeTensor>:$inputs, I64Attr:$work, I64Attr:$scratch, StrAttr:$op,
                       DefaultValuedAttr<I64Attr, "0">:$macs, OptionalAttr<DenseI64ArrayAttr>:$offsets);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = "$kernel `(` $inputs `)` `work` $work `scratch` $scratch attr-dict `:` functional-type(operands, results)";
}

def Cpu_PackOp : Cpu_Op<"pack", [Pure]> {
  let summary = "a constant matrix in the order in which the microkernel reads it; done when the artifact is written";
  let description = [{
    The operand is read as `taps` matrices B[K, N] (row-major strides given by `strides` = [tap, k, n], in elements). The result is
    [taps, ceil(N / panel), K, panel]: panels of `panel` columns, zero beyond N, so that the microkernel streams through it. All variants of a kernel share one packing.
    With `pairs` two steps of K stand side by side, [taps, ceil(N / panel), ceil(K / 2), panel * 2], as products of 16-bit integers read them. A quantised
    operand (its `quant.qcast` is done here, too) gives its integers.
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, I64Attr:$taps, I64Attr:$k, I64Attr:$n, DenseI64ArrayAttr:$strides, I64Attr:$panel,
                       UnitAttr:$pairs);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

#endif
