// The header of an .npy file is a Python dictionary: {'descr': '<f4',
// 'fortran_order': False, 'shape': (1, 77), }.
#include "runtime/tools/Npy.h"

#include "runtime/core/AtomicFile.h"
#include "runtime/core/MappedFile.h"
#include "runtime/core/Text.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

using namespace efrt;
using namespace efrun;

struct TypeCode {
  std::string_view descr;
  DType dtype;
};

/// The first code of a type is the one that is written.
static constexpr TypeCode kTypeCodes[] = {
    {"<f4", DType::F32},  {"<f8", DType::F64},  {"<f2", DType::F16},
    {"<V2", DType::BF16}, {"|V2", DType::BF16}, {"|b1", DType::I1},
    {"|i1", DType::I8},   {"<i2", DType::I16},  {"<i4", DType::I32},
    {"<i8", DType::I64},  {"|u1", DType::U8},   {"<u2", DType::U16},
    {"<u4", DType::U32},  {"<u8", DType::U64}};

static constexpr std::string_view kMagic = "\x93NUMPY";

/// The text after `'key':`, without leading blanks.
static std::optional<std::string_view> valueOf(std::string_view header,
                                               std::string_view key) {
  size_t at = header.find(concat("'", key, "':"));
  if (at == std::string_view::npos)
    return std::nullopt;
  header.remove_prefix(at + key.size() + 3);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}

/// "(1, 77)", "(3,)" or "()".
static std::optional<std::vector<int64_t>> parseShape(std::string_view text) {
  size_t end = text.find(')');
  if (!text.starts_with('(') || end == std::string_view::npos)
    return std::nullopt;
  std::vector<int64_t> shape;
  const char *cursor = text.data() + 1, *last = text.data() + end;
  while (cursor != last) {
    if (*cursor == ' ' || *cursor == ',') {
      ++cursor;
      continue;
    }
    int64_t extent = 0;
    auto [next, error] = std::from_chars(cursor, last, extent);
    if (error != std::errc() || extent < 0)
      return std::nullopt;
    shape.push_back(extent);
    cursor = next;
  }
  return shape;
}

/// Splits the file into its dictionary and its data.
static std::optional<std::string_view>
findHeader(std::span<const std::byte> &bytes) {
  std::string_view text(reinterpret_cast<const char *>(bytes.data()),
                        bytes.size());
  constexpr size_t lengthAt = 8;
  if (!text.starts_with(kMagic) || text.size() < 12 || text[6] < 1 ||
      text[6] > 3)
    return std::nullopt;
  size_t lengthBytes = text[6] == 1 ? 2 : 4;
  uint32_t length = 0;
  std::memcpy(&length, text.data() + lengthAt, lengthBytes);
  size_t begin = lengthAt + lengthBytes;
  if (length > text.size() - begin)
    return std::nullopt;
  bytes = bytes.subspan(begin + length);
  return text.substr(begin, length);
}

static Result<Array> parse(std::span<const std::byte> bytes) {
  auto failure = [](const auto &...parts) {
    return Status(StatusCode::InvalidArgument, concat(parts...));
  };
  std::optional<std::string_view> header = findHeader(bytes);
  if (!header)
    return failure("it is not an .npy file");
  std::optional<std::string_view> descr = valueOf(*header, "descr"),
                                  order = valueOf(*header, "fortran_order");
  std::optional<std::vector<int64_t>> shape =
      parseShape(valueOf(*header, "shape").value_or(""));
  if (!descr || !order || !shape)
    return failure("its header is damaged");
  if (order->starts_with("True"))
    return failure(
        "it is in Fortran order; save numpy.ascontiguousarray of it");
  const TypeCode *code =
      std::ranges::find_if(kTypeCodes, [&](const TypeCode &code) {
        return descr->starts_with(concat("'", code.descr, "'"));
      });
  if (code == std::end(kTypeCodes))
    return failure("its element type ", descr->substr(0, descr->find(", '")),
                   " is none that a model can take");
  // An array without elements needs no bytes, whatever its other extents.
  bool isEmpty = std::ranges::find(*shape, 0) != shape->end();
  uint64_t size = isEmpty ? 0 : sizeOf(code->dtype);
  for (int64_t extent : *shape) {
    if (extent > 0 && size > bytes.size() / static_cast<uint64_t>(extent))
      return failure("it has fewer bytes than its shape ", shapeText(*shape),
                     " needs");
    size *= static_cast<uint64_t>(extent);
  }
  if (size > bytes.size())
    return failure("it has fewer bytes than its shape ", shapeText(*shape),
                   " needs");
  std::span<const std::byte> data = bytes.first(size);
  return Array{code->dtype, std::move(*shape), {data.begin(), data.end()}};
}

Result<Array> efrun::readNpy(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.status();
  Result<Array> array = parse(file->bytes());
  if (!array)
    return Status(
        array.status().getCode(),
        concat("cannot read ", quote(path), ": ", array.status().message()));
  return array;
}

Status efrun::writeNpy(const std::string &path, DType dtype,
                       std::span<const int64_t> shape,
                       std::span<const std::byte> data) {
  const TypeCode *code = std::ranges::find(kTypeCodes, dtype, &TypeCode::dtype);
  std::string header = concat("{'descr': '", code->descr,
                              "', 'fortran_order': False, 'shape': (");
  for (int64_t extent : shape)
    header += std::to_string(extent) + ", ";
  header += "), }";
  // Magic, version 1.0, 16-bit length; the data starts at a multiple of 64.
  constexpr size_t prefixBytes = 10, alignment = 64;
  header.resize((prefixBytes + header.size() + 1 + alignment - 1) / alignment *
                        alignment -
                    prefixBytes,
                ' ');
  header.back() = '\n';
  std::string prefix =
      concat(kMagic, '\x01', '\x00', static_cast<char>(header.size() & 0xff),
             static_cast<char>(header.size() >> 8));
  return writeFileAtomically(path, {std::as_bytes(std::span(prefix)),
                                    std::as_bytes(std::span(header)), data});
}
