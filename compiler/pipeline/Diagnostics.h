// Diagnostics in the words of the user's model, for `efc` and Python alike.
#ifndef EFC_COMPILER_PIPELINE_DIAGNOSTICS_H
#define EFC_COMPILER_PIPELINE_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"

#include <string>

namespace efc {

/// "node 'conv_in': what is wrong"; a place in a file as file:line:column.
/// Without the notes.
std::string toText(mlir::Diagnostic &diagnostic);

} // namespace efc

#endif
