// Matches arrays to inputs; every mistake is told in terms of the model's
// signature.
#include "runtime/tools/Inputs.h"

#include "runtime/core/Text.h"
#include "runtime/tools/Npy.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>
#include <random>

using namespace efrt;
using namespace efrun;

static Status invalid(std::string sentence) {
  return Status(StatusCode::InvalidArgument, std::move(sentence));
}

/// "'sample' (1x4x64x64 f32), 'timestep' (1 i64)".
static std::string signatureText(std::span<const TensorInfo> infos) {
  std::string text;
  for (const TensorInfo &info : infos)
    text += concat(text.empty() ? "" : ", ", quote(info.name), " (",
                   typeText(info.dtype, info.shape), ")");
  return text.empty() ? "no inputs" : text;
}

/// NumPy has no bfloat16, so that one may also come as its 16-bit patterns.
static bool isSameType(DType given, DType expected) {
  return given == expected || (expected == DType::BF16 && given == DType::U16);
}

static Status fillFromFile(Session &session, size_t index,
                           const std::string &path) {
  Result<Array> array = readNpy(path);
  if (!array)
    return array.status();
  const TensorInfo &info = session.inputs()[index];
  if (!isSameType(array->dtype, info.dtype) || array->shape != info.shape)
    return invalid(concat(
        "input ", quote(info.name), " is ", typeText(info.dtype, info.shape),
        " and ", quote(path), " holds ", typeText(array->dtype, array->shape)));
  return session.setInput(index, array->data);
}

/// Rounds to nearest even; for finite values of moderate size.
static uint16_t toHalf(float value) {
  // Scaling by 2^-112 moves float32's exponent range onto float16's, subnormals
  // included (the multiplication rounds those).
  uint32_t bits = std::bit_cast<uint32_t>(std::fabs(value) * 0x1p-112f);
  uint32_t rounded = (bits + 0x0fff + ((bits >> 13) & 1)) >> 13;
  return static_cast<uint16_t>(rounded | (std::signbit(value) ? 0x8000u : 0));
}

static uint16_t toBfloat16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/// Standard normal by Box-Muller: the same numbers on every system, unlike
/// std::normal_distribution's.
static double drawNormal(std::mt19937_64 &generator) {
  double u = (static_cast<double>(generator() >> 11) + 1) * 0x1p-53,
         v = static_cast<double>(generator() >> 11) * 0x1p-53;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

template <typename T> static void store(std::byte *&cursor, T value) {
  std::memcpy(cursor, &value, sizeof(T));
  cursor += sizeof(T);
}

static void storeFloat(std::byte *&cursor, DType dtype, double value) {
  auto single = static_cast<float>(value);
  switch (dtype) {
  case DType::F64:
    return store(cursor, value);
  case DType::F16:
    return store(cursor, toHalf(single));
  case DType::BF16:
    return store(cursor, toBfloat16(single));
  default:
    return store(cursor, single);
  }
}

static void fillRandomly(Session &session, size_t index,
                         std::mt19937_64 &generator) {
  const TensorInfo &info = session.inputs()[index];
  std::span<std::byte> buffer = session.inputBuffer(index);
  bool isFloat = info.dtype <= DType::BF16;
  uint64_t mask = info.dtype == DType::I1 ? 1 : 15;
  size_t bytes = sizeOf(info.dtype);
  for (std::byte *cursor = buffer.data(), *end = cursor + buffer.size();
       cursor != end;) {
    if (isFloat) {
      storeFloat(cursor, info.dtype, drawNormal(generator));
      continue;
    }
    uint64_t value = generator() & mask;
    std::memcpy(cursor, &value,
                bytes); // Little-endian: the low bytes come first.
    cursor += bytes;
  }
}

/// The input that "NAME=FILE" names; names may hold '=' themselves.
static std::optional<size_t> findInput(std::span<const TensorInfo> infos,
                                       const std::string &argument) {
  for (size_t i = 0; i < infos.size(); ++i)
    if (argument.starts_with(infos[i].name + "="))
      return i;
  return std::nullopt;
}

Status efrun::fillInputs(Session &session,
                         std::span<const std::string> arguments,
                         std::optional<uint64_t> seed) {
  std::span<const TensorInfo> infos = session.inputs();
  std::vector<bool> isGiven(infos.size());
  for (const std::string &argument : arguments) {
    if (argument.find('=') == std::string::npos)
      return invalid(concat("--input ", quote(argument),
                            " is not of the form NAME=FILE.npy"));
    std::optional<size_t> index = findInput(infos, argument);
    if (!index)
      return invalid(concat("the model has no input ",
                            quote(argument.substr(0, argument.find('='))),
                            "; it has ", signatureText(infos)));
    if (isGiven[*index])
      return invalid(
          concat("input ", quote(infos[*index].name), " is given twice"));
    isGiven[*index] = true;
    if (Status status = fillFromFile(
            session, *index, argument.substr(infos[*index].name.size() + 1));
        !status.ok())
      return status;
  }
  std::mt19937_64 generator(seed.value_or(0));
  for (size_t i = 0; i < infos.size(); ++i) {
    if (isGiven[i])
      continue;
    if (!seed)
      return invalid(concat("no array for input ", quote(infos[i].name),
                            "; give --input NAME=FILE.npy for each of ",
                            signatureText(infos), ", or --random-inputs SEED"));
    fillRandomly(session, i, generator);
  }
  return Status();
}
