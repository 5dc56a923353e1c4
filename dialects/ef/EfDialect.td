// The `ef` dialect itself. Why it is as it is: docs/design/ef-dialect.md.
#ifndef EF_DIALECT_TD
#define EF_DIALECT_TD

include "mlir/IR/OpBase.td"

def Ef_Dialect : Dialect {
  let name = "ef";
  let cppNamespace = "::efc::ef";
  let summary = "The graph of a neural network, as the user's model states it";
  let description = [{
    A model is one `func.func @main` on ranked, statically shaped tensors. Semantics are ONNX's wherever ONNX has the operation. Element
    types: `f16 bf16 f32 f64`, signed integers as signless `i8 i16 i32 i64`, unsigned ones as `ui8 ui16 ui32 ui64`, booleans as `i1`.
    After quantisation activations are `!quant.uniform<i16:f32, scale>` and weights `!quant.uniform<i8<-127:127>:f32:axis, {scales}>`.

    Weights are never attributes: `ef.weight` names a range of the model's files. `ef.constant` is for small values.

    The location of an operation is `loc("tensor"("node"))`: the name of the ONNX tensor that its first result stands for, and the name of
    the ONNX node. Passes keep both: the operation that replaces another takes its location.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::quant::QuantDialect"];
}

class Ef_Op<string mnemonic, list<Trait> traits = []> : Op<Ef_Dialect, mnemonic, traits>;

#endif
