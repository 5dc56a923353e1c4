// The compiler as a library: what `efc` and the Python package call.
#ifndef EFC_COMPILER_PIPELINE_COMPILER_H
#define EFC_COMPILER_PIPELINE_COMPILER_H

#include "compiler/pipeline/Options.h"
#include "compiler/report/CompileReport.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"

namespace efc {

/// Registers every dialect, pass and translation that the compiler uses.
void registerAll(mlir::DialectRegistry &registry);

/// Compiles `input` (.onnx, or .mlir of a phase) to `output`: an artifact, or
/// IR text when options.to is an earlier phase ("-" is standard output). Errors
/// go to the context's diagnostic handler; nothing half-written stays behind.
llvm::LogicalResult compile(mlir::MLIRContext &context, llvm::StringRef input,
                            llvm::StringRef output,
                            const CompileOptions &options,
                            CompileReport &report);

} // namespace efc

#endif
