// Reads an ONNX file without its weights: walks the protobuf wire format,
// writes a skeleton in which each large payload is replaced by its range in the
// file (as TensorProto.segment, a field that no exporter writes), and parses
// that. So memory grows with the structure of the model, not with its weights.
#include "compiler/import/OnnxFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace efc::importer;
using llvm::Error;
using llvm::StringRef;

namespace {

/// The messages on the way from the model to its tensors.
enum class Message {
  Model,
  Graph,
  Function,
  Node,
  Attribute,
  Sparse,
  Tensor,
  Leaf
};

/// One field as it stands in the file.
struct Field {
  unsigned number = 0, wireType = 0;
  StringRef payload; ///< Of length-delimited fields.
  StringRef whole;   ///< Tag and payload.
};

/// Reads fields one by one; every length is checked against what is left.
class FieldReader {
public:
  explicit FieldReader(StringRef bytes) : bytes(bytes) {}
  bool atEnd() const { return bytes.empty(); }
  bool read(Field &field);

private:
  bool readVarint(uint64_t &value);
  StringRef bytes;
};

} // namespace

bool FieldReader::readVarint(uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (bytes.empty())
      return false;
    uint64_t byte = static_cast<uint8_t>(bytes.front());
    bytes = bytes.drop_front();
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

bool FieldReader::read(Field &field) {
  StringRef start = bytes;
  uint64_t tag, length;
  if (!readVarint(tag) || tag >> 32 || tag >> 3 == 0)
    return false;
  field.number = tag >> 3;
  field.wireType = tag & 7;
  switch (field.wireType) {
  case 0:
    if (!readVarint(length))
      return false;
    length = 0;
    break;
  case 1:
    length = 8;
    break;
  case 2:
    if (!readVarint(length))
      return false;
    break;
  case 5:
    length = 4;
    break;
  default: // Groups: no field of ONNX is one.
    return false;
  }
  if (length > bytes.size())
    return false;
  field.payload = bytes.take_front(length);
  bytes = bytes.drop_front(length);
  field.whole = start.drop_back(bytes.size());
  return true;
}

/// What field `number` of a message of kind `parent` is.
static Message getChild(Message parent, unsigned number) {
  switch (parent) {
  case Message::Model:
    return number == 7    ? Message::Graph
           : number == 25 ? Message::Function
                          : Message::Leaf;
  case Message::Graph:
    return number == 1    ? Message::Node
           : number == 5  ? Message::Tensor
           : number == 15 ? Message::Sparse
                          : Message::Leaf;
  case Message::Function:
    return number == 7    ? Message::Node
           : number == 11 ? Message::Attribute
                          : Message::Leaf;
  case Message::Node:
    return number == 5 ? Message::Attribute : Message::Leaf;
  case Message::Attribute:
    return number == 5 || number == 10    ? Message::Tensor
           : number == 6 || number == 11  ? Message::Graph
           : number == 22 || number == 23 ? Message::Sparse
                                          : Message::Leaf;
  case Message::Sparse:
    return number == 1 || number == 2 ? Message::Tensor : Message::Leaf;
  case Message::Tensor:
  case Message::Leaf:
    return Message::Leaf;
  }
  llvm_unreachable("all messages are handled");
}

static void writeVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

static void writeDelimited(std::string &out, unsigned number,
                           const std::string &payload) {
  writeVarint(out, number << 3 | 2);
  writeVarint(out, payload.size());
  out += payload;
}

namespace {

/// Copies a model without its large payloads.
class SkeletonWriter {
public:
  explicit SkeletonWriter(StringRef file) : file(file) {}
  bool write(Message kind, StringRef bytes, std::string &out, unsigned depth);

private:
  bool writeTensor(StringRef bytes, std::string &out);
  StringRef file;
  static constexpr unsigned kMaxDepth = 90; ///< protobuf's own limit is 100.
};

} // namespace

/// The number of the field that holds the elements contiguously, or 0.
static unsigned findPayload(StringRef bytes) {
  constexpr unsigned kFloats = 4, kRaw = 9, kDoubles = 10;
  unsigned found = 0;
  FieldReader reader(bytes);
  for (Field field; !reader.atEnd() && reader.read(field);) {
    if (field.number != kFloats && field.number != kRaw &&
        field.number != kDoubles)
      continue;
    // In several pieces, or not packed: for protobuf to put together.
    if (found || field.wireType != 2)
      return 0;
    found = field.payload.size() > OnnxFile::kInlineBytes ? field.number : 0;
    if (!found)
      return 0;
  }
  return found;
}

bool SkeletonWriter::writeTensor(StringRef bytes, std::string &out) {
  constexpr unsigned kSegment = 3;
  unsigned payload = findPayload(bytes);
  FieldReader reader(bytes);
  for (Field field; !reader.atEnd();) {
    if (!reader.read(field) || field.number == kSegment)
      return false;
    if (payload == 0 || field.number != payload) {
      out += field.whole;
      continue;
    }
    uint64_t begin = field.payload.data() - file.data();
    std::string segment;
    writeVarint(segment, 1 << 3);
    writeVarint(segment, begin);
    writeVarint(segment, 2 << 3);
    writeVarint(segment, begin + field.payload.size());
    writeDelimited(out, kSegment, segment);
  }
  return true;
}

bool SkeletonWriter::write(Message kind, StringRef bytes, std::string &out,
                           unsigned depth) {
  if (depth > kMaxDepth)
    return false;
  if (kind == Message::Tensor)
    return writeTensor(bytes, out);
  FieldReader reader(bytes);
  for (Field field; !reader.atEnd();) {
    if (!reader.read(field))
      return false;
    Message child = getChild(kind, field.number);
    if (child == Message::Leaf) {
      // Training information is not for inference, and may hold weights.
      if (kind != Message::Model || field.number != 20)
        out += field.whole;
      continue;
    }
    std::string inner;
    if (field.wireType != 2 || !write(child, field.payload, inner, depth + 1))
      return false;
    writeDelimited(out, field.number, inner);
  }
  return true;
}

llvm::Expected<OnnxFile> OnnxFile::open(StringRef path) {
  auto fail = [&](const llvm::Twine &reason) {
    return llvm::createStringError("cannot read the model '" + path +
                                   "': " + reason);
  };
  OnnxFile file;
  llvm::SmallString<256> real;
  if (std::error_code code = llvm::sys::fs::real_path(path, real))
    return fail(code.message());
  if (!llvm::sys::fs::is_regular_file(real))
    return fail("it is not a regular file");
  file.folder = llvm::sys::path::parent_path(real).str();
  file.name = llvm::sys::path::filename(real).str();
  auto buffer = llvm::MemoryBuffer::getFile(real, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return fail(buffer.getError().message());
  file.buffer = std::move(*buffer);
  StringRef bytes = file.buffer->getBuffer();
  if (bytes.empty())
    return fail("it is empty");

  std::string skeleton;
  if (!SkeletonWriter(bytes).write(Message::Model, bytes, skeleton, 0))
    return fail("it is not an ONNX model, or it is damaged or cut off");
  file.model = std::make_unique<onnx::ModelProto>();
  if (skeleton.size() > INT32_MAX ||
      !file.model->ParseFromArray(skeleton.data(), skeleton.size()))
    return fail("it is not an ONNX model, or it is damaged");
  if (!file.model->has_graph())
    return fail("it holds no graph, so it is not an ONNX model");
  return std::move(file);
}

std::optional<FileRange> OnnxFile::getRange(const onnx::TensorProto &tensor) {
  if (!tensor.has_segment())
    return std::nullopt;
  return FileRange{static_cast<uint64_t>(tensor.segment().begin()),
                   static_cast<uint64_t>(tensor.segment().end())};
}

StringRef OnnxFile::getBytes(FileRange range) const {
  return buffer->getBuffer().slice(range.begin, range.end);
}
