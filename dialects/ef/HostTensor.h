// A tensor in host memory: what constants, weights and reference evaluation
// work on.
#ifndef EFC_DIALECTS_EF_HOSTTENSOR_H
#define EFC_DIALECTS_EF_HOSTTENSOR_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace efc::ef {

/// The integers that a quantised element is stored as; any other type itself.
mlir::Type getStorageType(mlir::Type elementType);

/// Bytes of one element of `type` in memory and in the artifact: i1 takes a
/// byte, all others the width of their storage type.
size_t getElementBytes(mlir::Type type);

/// Elements in row-major order, little-endian, i1 as bytes 0 and 1. Copying
/// shares the bytes.
class HostTensor {
public:
  HostTensor() = default;
  /// Owns zeroed memory.
  explicit HostTensor(mlir::RankedTensorType type);
  /// Borrows `bytes`, which must outlive all copies and hold the whole tensor;
  /// alignment is not required.
  static HostTensor borrow(mlir::RankedTensorType type,
                           llvm::ArrayRef<char> bytes);
  /// Copies a dense attribute (splats are expanded).
  static HostTensor fromAttr(mlir::DenseElementsAttr attr);
  /// A splat where all elements have the same bits.
  mlir::DenseElementsAttr toAttr() const;
  /// The same bytes under another type with the same number of bytes; shares
  /// the memory.
  HostTensor withType(mlir::RankedTensorType newType) const;

  mlir::RankedTensorType getType() const { return type; }
  llvm::ArrayRef<int64_t> getShape() const { return type.getShape(); }
  mlir::Type getElementType() const { return type.getElementType(); }
  int64_t getNumElements() const { return type.getNumElements(); }
  llvm::ArrayRef<char> getBytes() const { return bytes; }
  /// Only of a tensor that owns its memory.
  llvm::MutableArrayRef<char> getMutableBytes();

  /// Element `index` of the row-major order, converted from the element type.
  /// Of quantised elements these read and write the stored integers.
  double getFloat(int64_t index) const;
  int64_t getInt(int64_t index) const;
  /// Stores with one rounding (to nearest even) into a float type, with
  /// wrap-around into an integer type.
  void setFloat(int64_t index, double value);
  void setInt(int64_t index, int64_t value);

private:
  mlir::RankedTensorType type;
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<std::vector<char>> storage;
};

} // namespace efc::ef

#endif
