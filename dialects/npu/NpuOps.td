// The `npu` dialect: what the NPU executes, and its launch from @main. Why: docs/design/npu-target.md.
#ifndef NPU_OPS_TD
#define NPU_OPS_TD

include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Npu_Dialect : Dialect {
  let name = "npu";
  let cppNamespace = "::efc::npu";
  let summary = "Commands of the NPU on buffers of its scratchpad";
  let description = [{
    `@main` calls a partition with `npu.launch`. The partition is a function of `ef` operations until efc-npu-emit-commands makes it an `npu.program`
    of the same name: a straight line of commands, one to one with runtime/npu/Command.h.
  }];
}

class Npu_Op<string mnemonic, list<Trait> traits = []> : Op<Npu_Dialect, mnemonic, traits>;

def Npu_LaunchOp : Npu_Op<"launch", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "call of a partition";
  let description = [{
    The callee is a private function of the module or, once commands are emitted, an `npu.program`. `offsets` (set by memory planning) are the places
    of the results and then of the program's workspace in the arena, in bytes.
    ```mlir
    %y = npu.launch @npu_0(%x) : (tensor<1x64x320xf32>) -> tensor<1x64x320xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyStaticShapeTensor>:$inputs, OptionalAttr<DenseI64ArrayAttr>:$offsets);
  let results = (outs Variadic<AnyStaticShapeTensor>:$results);
  let assemblyFormat = "$callee `(` $inputs `)` attr-dict `:` functional-type(operands, results)";
}

#endif
