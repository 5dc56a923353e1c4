// Types, attributes and the interface of the `npu` dialect. The attributes hold the structures of runtime/npu/Command.h themselves: a program has
// up to 100,000 commands.
#ifndef NPU_TYPES_TD
#define NPU_TYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Npu_Dialect : Dialect {
  let name = "npu";
  let cppNamespace = "::efc::npu";
  let summary = "Commands of the NPU on buffers of its scratchpad";
  let description = [{
    `@main` calls a partition with `npu.launch`. The partition is a function of `ef` operations until efc-npu-emit-commands makes it an `npu.program`
    of the same name: a straight line of commands, one to one with runtime/npu/Command.h.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

def Npu_Buffer : TypeDef<Npu_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "bytes in the scratchpad";
}

class Npu_Attr<string name, string attrMnemonic> : AttrDef<Npu_Dialect, name> {
  let mnemonic = attrMnemonic;
  let hasCustomAssemblyFormat = 1;
}

def Npu_ViewsAttr : Npu_Attr<"Views", "views"> {
  let summary = "what a command takes its buffers for, one view an operand";
  let description = [{
    A view's address counts from its buffer's start. `#npu.views<i16 at 64 [1, 1, 8, 32] strides [0, 0, 128, 2] * 0.5 limit 8191, f32 [1, 1, 1, 32]>`: strides
    are in bytes (default: row-major), `* scale` the quantisation's scale (1), `limit` the largest magnitude stored (32767).
  }];
  let parameters = (ins ArrayRefParameter<"::efrt::npu::View">:$value);
}

def Npu_CodeAttr : Npu_Attr<"Code", "code"> {
  let summary = "a vector program without its operands: `r1 = load 0, r0 = add r0 r1, r2 = constant 5.0e-01 -> r0`";
  let parameters = (ins ArrayRefParameter<"::efrt::npu::Instruction">:$instructions, "uint8_t":$value);
}

def Npu_TransferAttr : Npu_Attr<"Transfer", "transfer"> {
  let summary = "the two sides of a DMA command; the address counts from its buffer's start, the operation gives the direction";
  let parameters = (ins "::efrt::npu::DmaCommand":$value);
}

def Npu_QueueAttr : Npu_Attr<"Queue", "queue"> {
  let summary = "`dma0`, ..., `vector3`";
  let parameters = (ins "::efrt::npu::Queue":$value);
}

def Npu_WaitsAttr : Npu_Attr<"Waits", "waits"> {
  let summary = "counters that a command waits for: the smallest values that will do, `dma0 : 3, gte1 : 7`";
  let parameters = (ins ArrayRefParameter<"::efrt::npu::Wait">:$value);
}

def Npu_SourceAttr : Npu_Attr<"Source", "source"> {
  let summary = "the ONNX node and operation that a command was made from, and its group and tile: `\"/conv\" \"conv3x3+silu\" 3 0`";
  let parameters = (ins StringRefParameter<>:$node, StringRefParameter<>:$op, "uint32_t":$group, "uint32_t":$tile);
}

def Npu_DTypeAttr : Npu_Attr<"DType", "dtype"> {
  let summary = "`i8`, `f16`, ...";
  let parameters = (ins "::efrt::DType":$value);
}

def Npu_ConstantLayout : I32EnumAttr<"ConstantLayout", "order of a constant's elements before they are written as [n, taps, k]", [
    I32EnumAttrCase<"FilterNKC", 0, "filter">, I32EnumAttrCase<"MatrixKN", 1, "matrix_kn">, I32EnumAttrCase<"MatrixNK", 2, "matrix_nk">,
    I32EnumAttrCase<"Vector", 3, "vector">]> {
  let cppNamespace = "::efc::npu";
  let genSpecializedAttr = 0;
}
def Npu_ConstantLayoutAttr : EnumAttr<Npu_Dialect, Npu_ConstantLayout, "constant_layout">;

def Npu_CommandInterface : OpInterface<"CommandOpInterface"> {
  let cppNamespace = "::efc::npu";
  let description = [{What all commands share: the decisions of the passes.}];
  let methods = [
    InterfaceMethod<"", "::efc::npu::SourceAttr", "getSourceAttr">,
    InterfaceMethod<"", "::efc::npu::QueueAttr", "getQueueAttr">,
    InterfaceMethod<"", "void", "setQueueAttr", (ins "::efc::npu::QueueAttr":$queue)>,
    InterfaceMethod<"", "::efc::npu::WaitsAttr", "getWaitsAttr">,
    InterfaceMethod<"", "void", "setWaitsAttr", (ins "::efc::npu::WaitsAttr":$waits)>,
    InterfaceMethod<"", "bool", "getNotify">,
    InterfaceMethod<"", "void", "setNotify", (ins "bool":$notify)>,
    InterfaceMethod<"", "::mlir::FloatAttr", "getCyclesAttr">,
    InterfaceMethod<"", "void", "setCyclesAttr", (ins "::mlir::FloatAttr":$cycles)>];
}

#endif
