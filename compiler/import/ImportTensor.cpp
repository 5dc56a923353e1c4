// Initializers and other tensors of the model: small ones become ef.constant,
// large ones ef.weight, a range of the model's file or of an external one.
#include "compiler/import/Importer.h"
#include "dialects/ef/Locations.h"
#include "dialects/ef/Shapes.h"

#include <cstring>

using namespace mlir;
using namespace efc;
using namespace efc::importer;
using ef::HostTensor;
using llvm::Error;
using onnx::TensorProto;

/// Integers steer the compiler (shapes, indices), so that larger ones are
/// constants too.
static constexpr uint64_t kIntegerConstantBytes = 64 << 10;
static constexpr uint64_t kConstantBytes = OnnxFile::kInlineBytes;
/// Sparse tensors are written out densely, up to this size.
static constexpr int64_t kSparseElements = 1 << 22;

/// Where the elements of a tensor are: in a file, or in `values`.
struct Importer::TensorData {
  std::string fileName;
  uint64_t offset = 0;
  HostTensor values; ///< If no file is named.
};

static Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(message);
}

/// By TensorProto.DataType; empty for those that are supported.
static constexpr llvm::StringLiteral kUnsupportedNames[] = {"undefined",
                                                            "",
                                                            "",
                                                            "",
                                                            "",
                                                            "",
                                                            "",
                                                            "",
                                                            "string",
                                                            "",
                                                            "",
                                                            "",
                                                            "",
                                                            "",
                                                            "complex64",
                                                            "complex128",
                                                            "",
                                                            "float8e4m3fn",
                                                            "float8e4m3fnuz",
                                                            "float8e5m2",
                                                            "float8e5m2fnuz",
                                                            "uint4",
                                                            "int4",
                                                            "float4e2m1",
                                                            "float8e8m0",
                                                            "uint2",
                                                            "int2",
                                                            "float6e2m3",
                                                            "float6e3m2"};

Expected<Type> Importer::getElementType(int64_t onnxType) {
  auto integer = [&](unsigned width, bool isUnsigned) -> Type {
    return isUnsigned ? builder.getIntegerType(width, false)
                      : builder.getIntegerType(width);
  };
  switch (onnxType) {
  case TensorProto::FLOAT:
    return builder.getF32Type();
  case TensorProto::DOUBLE:
    return builder.getF64Type();
  case TensorProto::FLOAT16:
    return builder.getF16Type();
  case TensorProto::BFLOAT16:
    return builder.getBF16Type();
  case TensorProto::BOOL:
    return builder.getI1Type();
  case TensorProto::INT8:
    return integer(8, false);
  case TensorProto::INT16:
    return integer(16, false);
  case TensorProto::INT32:
    return integer(32, false);
  case TensorProto::INT64:
    return integer(64, false);
  case TensorProto::UINT8:
    return integer(8, true);
  case TensorProto::UINT16:
    return integer(16, true);
  case TensorProto::UINT32:
    return integer(32, true);
  case TensorProto::UINT64:
    return integer(64, true);
  default:
    break;
  }
  bool isKnown = onnxType >= 0 && onnxType < std::ssize(kUnsupportedNames);
  return makeError("elements of type " +
                   (isKnown ? llvm::Twine(kUnsupportedNames[onnxType])
                            : "number " + llvm::Twine(onnxType)) +
                   " are not supported; float16, bfloat16, float, double, bool "
                   "and integers of 8 to 64 bits are");
}

Expected<RankedTensorType> Importer::getTensorType(const TensorProto &tensor) {
  Expected<Type> element = getElementType(tensor.data_type());
  if (!element)
    return element.takeError();
  SmallVector<int64_t> shape(tensor.dims().begin(), tensor.dims().end());
  int64_t bytes = ef::getElementBytes(*element);
  for (int64_t extent : shape)
    if (extent < 0 ||
        __builtin_mul_overflow(bytes, std::max<int64_t>(extent, 1), &bytes))
      return makeError("its shape " + ef::formatShape(shape) +
                       " is not that of a tensor");
  return RankedTensorType::get(shape, *element);
}

Expected<Importer::TensorData>
Importer::getExternalData(const TensorProto &tensor, uint64_t size) {
  TensorData data;
  uint64_t length = size;
  for (const onnx::StringStringEntryProto &entry : tensor.external_data()) {
    StringRef key = entry.key(), value = entry.value();
    uint64_t *number = key == "offset"   ? &data.offset
                       : key == "length" ? &length
                                         : nullptr;
    if (key == "location")
      data.fileName = value.str();
    else if (number && value.getAsInteger(10, *number))
      return makeError("the " + key + " of its external data, '" + value +
                       "', is not a number of bytes");
  }
  if (data.fileName.empty())
    return makeError("its external data names no file");
  if (length != size)
    return makeError("its external data has " + llvm::Twine(length) +
                     " bytes, but its shape and type need " +
                     llvm::Twine(size));
  // Nothing is read, but a missing file or one that is too short is an error
  // here rather than in the middle of the compile.
  Expected<ArrayRef<char>> bytes =
      weights.getBytes(data.fileName, data.offset, size);
  if (!bytes)
    return bytes.takeError();
  if (static_cast<int64_t>(data.offset) < 0)
    return makeError("the offset of its external data is too large");
  return data;
}

/// Copies the elements of one of the typed fields.
template <typename Values>
static bool readField(HostTensor &tensor, const Values &values) {
  if (values.size() != tensor.getNumElements())
    return false;
  for (int index = 0; index < values.size(); ++index) {
    if constexpr (std::is_floating_point_v<
                      std::decay_t<decltype(values.Get(0))>>)
      tensor.setFloat(index, values.Get(index));
    else
      tensor.setInt(index, static_cast<int64_t>(values.Get(index)));
  }
  return true;
}

/// The elements of half-precision floats, as bits in int32_data.
static bool readBits(HostTensor &tensor, const TensorProto &proto) {
  if (proto.int32_data_size() != tensor.getNumElements())
    return false;
  char *out = tensor.getMutableBytes().data();
  for (int32_t bits : proto.int32_data()) {
    auto half = static_cast<uint16_t>(bits);
    std::memcpy(out, &half, sizeof(half));
    out += sizeof(half);
  }
  return true;
}

/// The elements that protobuf has parsed.
static bool readInline(HostTensor &tensor, const TensorProto &proto) {
  if (proto.has_raw_data()) {
    llvm::MutableArrayRef<char> out = tensor.getMutableBytes();
    if (proto.raw_data().size() != out.size())
      return false;
    std::memcpy(out.data(), proto.raw_data().data(), out.size());
    return true;
  }
  switch (proto.data_type()) {
  case TensorProto::FLOAT:
    return readField(tensor, proto.float_data());
  case TensorProto::DOUBLE:
    return readField(tensor, proto.double_data());
  case TensorProto::INT64:
    return readField(tensor, proto.int64_data());
  case TensorProto::UINT32:
  case TensorProto::UINT64:
    return readField(tensor, proto.uint64_data());
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return readBits(tensor, proto);
  default:
    return readField(tensor, proto.int32_data());
  }
}

Expected<Importer::TensorData>
Importer::getTensorData(const TensorProto &tensor, RankedTensorType type) {
  uint64_t size =
      type.getNumElements() * ef::getElementBytes(type.getElementType());
  if (tensor.data_location() == TensorProto::EXTERNAL)
    return getExternalData(tensor, size);
  TensorData data;
  if (std::optional<FileRange> range = OnnxFile::getRange(tensor)) {
    if (range->end - range->begin != size)
      return makeError("it has " + llvm::Twine(range->end - range->begin) +
                       " bytes of data, but its shape " +
                       ef::formatShape(type.getShape()) + " and type need " +
                       llvm::Twine(size));
    data.fileName = file.getName();
    data.offset = range->begin;
    return data;
  }
  // A payload that is not in the file as it is cannot be larger than the file;
  // this keeps a damaged shape from allocating.
  if (size > uint64_t(tensor.ByteSizeLong()) * 8)
    return makeError("its shape " + ef::formatShape(type.getShape()) +
                     " needs more data than it has");
  data.values = HostTensor(type);
  if (!readInline(data.values, tensor))
    return makeError(
        "its data does not have the " + llvm::Twine(type.getNumElements()) +
        " elements of its shape " + ef::formatShape(type.getShape()));
  return data;
}

/// Bytes of i1 that are not 0 or 1 are true.
static HostTensor normalizeBools(const HostTensor &tensor) {
  if (!tensor.getElementType().isInteger(1))
    return tensor;
  HostTensor result(tensor.getType());
  for (int64_t i = 0, e = tensor.getNumElements(); i < e; ++i)
    result.setInt(i, tensor.getBytes()[i] != 0);
  return result;
}

Expected<Value> Importer::importTensor(const TensorProto &tensor,
                                       StringRef name) {
  Expected<RankedTensorType> type = getTensorType(tensor);
  if (!type)
    return type.takeError();
  Expected<TensorData> data = getTensorData(tensor, *type);
  if (!data)
    return data.takeError();
  Location location = ef::makeLocation(&context, name, name);
  if (data->fileName.empty())
    return ef::ConstantOp::create(builder, location,
                                  normalizeBools(data->values).toAttr())
        .getResult();
  uint64_t size =
      type->getNumElements() * ef::getElementBytes(type->getElementType());
  bool isInteger = isa<IntegerType>(type->getElementType());
  if (size <= (isInteger ? kIntegerConstantBytes : kConstantBytes)) {
    Expected<ArrayRef<char>> bytes =
        weights.getBytes(data->fileName, data->offset, size);
    if (!bytes)
      return bytes.takeError();
    HostTensor values = normalizeBools(HostTensor::borrow(*type, *bytes));
    return ef::ConstantOp::create(builder, location, values.toAttr())
        .getResult();
  }
  return ef::WeightOp::create(builder, location, *type, name, data->fileName,
                              data->offset)
      .getResult();
}

Expected<Value>
Importer::importSparseTensor(const onnx::SparseTensorProto &tensor,
                             StringRef name) {
  Expected<Value> values = importTensor(tensor.values(), name);
  if (!values)
    return values.takeError();
  Expected<Value> indices = importTensor(tensor.indices(), name);
  if (!indices)
    return indices.takeError();
  auto read = [&](Value value) -> Expected<HostTensor> {
    if (auto constant = value.getDefiningOp<ef::ConstantOp>())
      return HostTensor::fromAttr(cast<DenseElementsAttr>(constant.getValue()));
    return weights.get(value.getDefiningOp<ef::WeightOp>());
  };
  Expected<HostTensor> source = read(*values);
  if (!source)
    return source.takeError();
  Expected<HostTensor> positions = read(*indices);
  if (!positions)
    return positions.takeError();

  SmallVector<int64_t> shape(tensor.dims().begin(), tensor.dims().end());
  int64_t count = 1;
  for (int64_t extent : shape)
    if (extent < 0 || __builtin_mul_overflow(count, extent, &count) ||
        count > kSparseElements)
      return makeError("its dense shape " + ef::formatShape(shape) +
                       " is not valid, or too large for a sparse tensor");
  int64_t numValues = source->getNumElements();
  bool isLinear = positions->getShape().size() == 1;
  int64_t perValue = isLinear ? 1 : shape.size();
  if (positions->getNumElements() != numValues * perValue)
    return makeError("it has " + llvm::Twine(numValues) + " values, but " +
                     llvm::Twine(positions->getNumElements()) +
                     " numbers of indices");
  HostTensor dense(RankedTensorType::get(shape, source->getElementType()));
  size_t elementBytes = ef::getElementBytes(source->getElementType());
  for (int64_t i = 0; i < numValues; ++i) {
    int64_t linear = 0;
    bool inside = true;
    for (int64_t k = 0; k < perValue; ++k) {
      int64_t index = positions->getInt(i * perValue + k);
      int64_t extent = isLinear ? count : shape[k];
      inside &= index >= 0 && index < extent;
      linear = isLinear ? index : linear * extent + index;
    }
    if (!inside)
      return makeError("one of its indices lies outside the dense shape " +
                       ef::formatShape(shape));
    std::memcpy(dense.getMutableBytes().data() + linear * elementBytes,
                source->getBytes().data() + i * elementBytes, elementBytes);
  }
  return ef::ConstantOp::create(builder, ef::makeLocation(&context, name, name),
                                dense.toAttr())
      .getResult();
}
