// HostTensor: elements in host memory, read and written with the conversions
// that reference evaluation needs.
#include "dialects/ef/HostTensor.h"

#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APSInt.h"

#include <cassert>
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace efc::ef;
using llvm::APFloat;
using llvm::APInt;

Type efc::ef::getStorageType(Type elementType) {
  auto quantized = dyn_cast<quant::QuantizedType>(elementType);
  return quantized ? quantized.getStorageType() : elementType;
}

size_t efc::ef::getElementBytes(Type type) {
  type = getStorageType(type);
  if (type.isIndex())
    return sizeof(int64_t);
  return type.isIntOrFloat() ? (type.getIntOrFloatBitWidth() + 7) / 8 : 0;
}

HostTensor::HostTensor(RankedTensorType type) : type(type) {
  storage = std::make_shared<std::vector<char>>(
      type.getNumElements() * getElementBytes(type.getElementType()));
  bytes = *storage;
}

HostTensor HostTensor::borrow(RankedTensorType type, ArrayRef<char> bytes) {
  assert(bytes.size() ==
             type.getNumElements() * getElementBytes(type.getElementType()) &&
         "bytes are not the tensor");
  HostTensor tensor;
  tensor.type = type;
  tensor.bytes = bytes;
  return tensor;
}

HostTensor HostTensor::withType(RankedTensorType newType) const {
  HostTensor tensor = *this;
  tensor.type = newType;
  assert(bytes.size() == newType.getNumElements() *
                             getElementBytes(newType.getElementType()) &&
         "sizes differ");
  return tensor;
}

HostTensor HostTensor::fromAttr(DenseElementsAttr attr) {
  HostTensor tensor(cast<RankedTensorType>(attr.getType()));
  char *out = tensor.getMutableBytes().data();
  if (attr.getElementType().isInteger(1)) {
    for (bool value : attr.getValues<bool>())
      *out++ = value;
    return tensor;
  }
  ArrayRef<char> raw = attr.getRawData();
  size_t elementBytes = getElementBytes(attr.getElementType());
  if (!attr.isSplat()) {
    std::memcpy(out, raw.data(), tensor.bytes.size());
    return tensor;
  }
  for (int64_t i = 0, e = tensor.getNumElements(); i < e; ++i)
    std::memcpy(out + i * elementBytes, raw.data(), elementBytes);
  return tensor;
}

DenseElementsAttr HostTensor::toAttr() const {
  if (getElementType().isInteger(1)) {
    SmallVector<bool> values;
    values.reserve(bytes.size());
    for (char byte : bytes)
      values.push_back(byte != 0);
    return DenseElementsAttr::get(type, values);
  }
  size_t elementBytes = getElementBytes(getElementType());
  bool isSplat = bytes.size() > elementBytes &&
                 std::memcmp(bytes.data(), bytes.data() + elementBytes,
                             bytes.size() - elementBytes) == 0;
  return DenseElementsAttr::getFromRawBuffer(
      type, isSplat ? bytes.take_front(elementBytes) : bytes);
}

llvm::MutableArrayRef<char> HostTensor::getMutableBytes() {
  assert(storage && "a borrowed tensor cannot be written");
  return *storage;
}

template <typename T> static T load(const char *bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T> static void store(char *bytes, int64_t index, T value) {
  std::memcpy(bytes + index * sizeof(T), &value, sizeof(T));
}

/// The bits of element `index`, `elementBytes` (at most 8) of them,
/// zero-extended.
static uint64_t loadBits(const char *bytes, int64_t index,
                         size_t elementBytes) {
  uint64_t bits = 0;
  std::memcpy(&bits, bytes + index * elementBytes, elementBytes);
  return bits;
}

static void storeBits(char *bytes, int64_t index, size_t elementBytes,
                      uint64_t bits) {
  std::memcpy(bytes + index * elementBytes, &bits, elementBytes);
}

static double decodeFloat(FloatType type, uint64_t bits) {
  APFloat value(type.getFloatSemantics(), APInt(type.getWidth(), bits));
  bool losesInfo;
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return value.convertToDouble();
}

static uint64_t encodeFloat(FloatType type, APFloat value) {
  bool losesInfo;
  value.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return value.bitcastToAPInt().getZExtValue();
}

/// Truncates towards zero and wraps around modulo 2^64; NaN and infinities give
/// zero.
static int64_t wrapToInt(double value) {
  if (!std::isfinite(value))
    return 0;
  if (std::fabs(value) < 0x1p63)
    return static_cast<int64_t>(value);
  double wrapped = std::fmod(std::trunc(value), 0x1p64);
  return static_cast<int64_t>(wrapped < 0 ? -static_cast<uint64_t>(-wrapped)
                                          : static_cast<uint64_t>(wrapped));
}

int64_t HostTensor::getInt(int64_t index) const {
  Type element = getStorageType(getElementType());
  if (isa<FloatType>(element))
    return wrapToInt(getFloat(index));
  size_t elementBytes = getElementBytes(element);
  uint64_t bits = loadBits(bytes.data(), index, elementBytes);
  if (element.isInteger(1))
    return bits != 0;
  if (element.isUnsignedInteger() || elementBytes == 8)
    return static_cast<int64_t>(bits);
  unsigned unused = 64 - element.getIntOrFloatBitWidth();
  return static_cast<int64_t>(bits << unused) >> unused;
}

double HostTensor::getFloat(int64_t index) const {
  Type element = getStorageType(getElementType());
  if (element.isF32())
    return load<float>(bytes.data(), index);
  if (element.isF64())
    return load<double>(bytes.data(), index);
  if (element.isF16())
    return static_cast<double>(load<_Float16>(bytes.data(), index));
  if (auto floatType = dyn_cast<FloatType>(element))
    return decodeFloat(floatType,
                       loadBits(bytes.data(), index, getElementBytes(element)));
  int64_t value = getInt(index);
  return element.isUnsignedInteger()
             ? static_cast<double>(static_cast<uint64_t>(value))
             : static_cast<double>(value);
}

void HostTensor::setFloat(int64_t index, double value) {
  Type element = getStorageType(getElementType());
  char *out = getMutableBytes().data();
  if (element.isF32())
    return store(out, index, static_cast<float>(value));
  if (element.isF64())
    return store(out, index, value);
  if (element.isF16()) // Rounds once, to nearest even.
    return store(out, index, static_cast<_Float16>(value));
  if (auto floatType = dyn_cast<FloatType>(element))
    return storeBits(out, index, getElementBytes(element),
                     encodeFloat(floatType, APFloat(value)));
  if (element.isInteger(1))
    return store<char>(out, index, value != 0);
  setInt(index, wrapToInt(value));
}

void HostTensor::setInt(int64_t index, int64_t value) {
  Type element = getStorageType(getElementType());
  char *out = getMutableBytes().data();
  if (element.isInteger(1))
    return store<char>(out, index, value != 0);
  if (element.isF32())
    return store(out, index, static_cast<float>(value));
  if (element.isF64())
    return store(out, index, static_cast<double>(value));
  if (auto floatType = dyn_cast<FloatType>(element)) {
    // Through the target's own semantics: by way of double, a large value would
    // be rounded twice.
    APFloat converted(floatType.getFloatSemantics());
    converted.convertFromAPInt(APInt(64, value, true), true,
                               APFloat::rmNearestTiesToEven);
    return storeBits(out, index, getElementBytes(element),
                     converted.bitcastToAPInt().getZExtValue());
  }
  storeBits(out, index, getElementBytes(element), static_cast<uint64_t>(value));
}
