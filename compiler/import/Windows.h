// What convolutions and poolings share: strides, dilations and pads of windows,
// by attributes that all are optional.
#ifndef EFC_COMPILER_IMPORT_WINDOWS_H
#define EFC_COMPILER_IMPORT_WINDOWS_H

#include "compiler/import/NodeImporter.h"

namespace efc::importer {

struct Window {
  Shape kernel, strides, dilations;
  /// All begins, then all ends.
  Shape pads;
  /// auto_pad: NOTSET, VALID, SAME_UPPER or SAME_LOWER.
  std::string autoPad;

  size_t getRank() const { return kernel.size(); }
};

/// Reads the attributes for an input of `inputShape` ([N, C, spatial]) and a
/// kernel of the given extents. Everything is checked: positive, of equal rank,
/// and small enough for later arithmetic. Pads of SAME are worked out.
llvm::FailureOr<Window> getWindow(NodeImporter &node,
                                  ArrayRef<int64_t> inputShape,
                                  ArrayRef<int64_t> kernel);

} // namespace efc::importer

#endif
