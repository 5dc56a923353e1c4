// An ONNX file, mapped: its structure as protobuf messages, its large payloads
// as ranges of the file.
#ifndef EFC_COMPILER_IMPORT_ONNXFILE_H
#define EFC_COMPILER_IMPORT_ONNXFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

#include "onnx.pb.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace efc::importer {

/// Bytes [begin, end) of the model's file.
struct FileRange {
  uint64_t begin = 0, end = 0;
};

class OnnxFile {
public:
  /// Maps the file and parses everything but the payloads of tensors of more
  /// than `kInlineBytes`; a link is followed. Fails with one sentence for the
  /// user.
  static llvm::Expected<OnnxFile> open(llvm::StringRef path);

  const onnx::ModelProto &getModel() const { return *model; }
  /// Where the elements of `tensor` stand in this file, little-endian and
  /// contiguous, if they were left there.
  static std::optional<FileRange> getRange(const onnx::TensorProto &tensor);
  llvm::StringRef getBytes(FileRange range) const;
  /// The folder that the file is in, links resolved, and its name there.
  const std::string &getFolder() const { return folder; }
  const std::string &getName() const { return name; }

  /// Payloads of up to this many bytes are parsed with the structure.
  static constexpr uint64_t kInlineBytes = 256;

private:
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  std::unique_ptr<onnx::ModelProto> model;
  std::string folder, name;
};

} // namespace efc::importer

#endif
