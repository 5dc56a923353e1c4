// The names that an operation's location carries: loc("tensor"("node")).
#ifndef EFC_DIALECTS_EF_LOCATIONS_H
#define EFC_DIALECTS_EF_LOCATIONS_H

#include "mlir/IR/Location.h"

namespace efc::ef {

/// The ONNX tensor that the first result stands for; empty if unknown.
inline llvm::StringRef getTensorName(mlir::Location loc) {
  auto name = mlir::dyn_cast<mlir::NameLoc>(loc);
  return name ? name.getName().getValue() : llvm::StringRef();
}

/// The ONNX node; the tensor's name where there is no other.
inline llvm::StringRef getNodeName(mlir::Location loc) {
  auto name = mlir::dyn_cast<mlir::NameLoc>(loc);
  if (!name)
    return "";
  auto node = mlir::dyn_cast<mlir::NameLoc>(name.getChildLoc());
  return (node ? node : name).getName().getValue();
}

inline mlir::Location makeLocation(mlir::MLIRContext *context,
                                   llvm::StringRef tensor,
                                   llvm::StringRef node) {
  auto nodeLoc = mlir::NameLoc::get(mlir::StringAttr::get(context, node));
  return mlir::NameLoc::get(mlir::StringAttr::get(context, tensor), nodeLoc);
}

} // namespace efc::ef

#endif
