// Turns an ONNX model into a module of the `ef` dialect.
#ifndef EFC_COMPILER_IMPORT_ONNXIMPORTER_H
#define EFC_COMPILER_IMPORT_ONNXIMPORTER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace efc {

struct ImportOptions {
  /// Extents of symbolic dimensions, by ONNX's dim_param: 1 or more.
  llvm::StringMap<int64_t> dims;
  /// Full shapes of inputs, by name; they take precedence over the model's
  /// unknown and symbolic extents and must agree with the fixed ones.
  llvm::StringMap<llvm::SmallVector<int64_t>> inputShapes;
};

/// Reads the ONNX file at `path` (opsets 7 to the newest that the build's onnx
/// package knows) into a module with one `func.func @main`. Arguments carry
/// `ef.name`, results too; the module carries `ef.model_dir` (the folder that
/// the files of ef.weight are relative to) and `ef.opset`. Weights are not
/// read; the file must stay where it is as long as the module is used. On
/// failure returns null, after one diagnostic for each offending node or input.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(mlir::MLIRContext &context,
                                             llvm::StringRef path,
                                             const ImportOptions &options);

} // namespace efc

#endif
