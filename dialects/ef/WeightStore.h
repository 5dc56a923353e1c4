// Maps the files of a model and hands out the bytes of its weights. The only
// place that reads them.
#ifndef EFC_DIALECTS_EF_WEIGHTSTORE_H
#define EFC_DIALECTS_EF_WEIGHTSTORE_H

#include "dialects/ef/EfDialect.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

namespace efc::ef {

class WeightStore {
public:
  /// `modelDir` is the folder that `file` of every ef.weight is relative to. A
  /// path that leaves it (absolute, "..", a link that points outside) is
  /// refused.
  explicit WeightStore(std::string modelDir);

  /// `size` bytes at `offset` of `file`, mapped; valid as long as the store.
  /// Fails with one sentence for the user.
  llvm::Expected<llvm::ArrayRef<char>> getBytes(llvm::StringRef file,
                                                uint64_t offset, uint64_t size);
  llvm::Expected<HostTensor> get(WeightOp op);

  /// The value of an expression over ef.weight and ef.constant, by reference
  /// evaluation; fails where it depends on anything else.
  llvm::Expected<HostTensor> evaluate(mlir::Value value);

  /// Gives the memory that mapped bytes take back to the system. They stay
  /// valid: what is used again is read again.
  void releasePages();

  const std::string &getModelDir() const { return modelDir; }

private:
  std::string modelDir;
  llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>> files;
};

/// True if `value` depends on ef.weight and ef.constant only, through
/// operations that can be evaluated.
bool isConstantExpression(mlir::Value value);

} // namespace efc::ef

#endif
