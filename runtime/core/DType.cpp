// Sizes and names of the element types, and the extent of a tensor.
#include "efrt/Session.h"

#include <array>

using namespace efrt;

struct DTypeTraits {
  size_t bytes;
  std::string_view name;
};

static constexpr std::array<DTypeTraits, 13> kTraits = {{{4, "f32"},
                                                         {8, "f64"},
                                                         {2, "f16"},
                                                         {2, "bf16"},
                                                         {1, "i1"},
                                                         {1, "i8"},
                                                         {2, "i16"},
                                                         {4, "i32"},
                                                         {8, "i64"},
                                                         {1, "u8"},
                                                         {2, "u16"},
                                                         {4, "u32"},
                                                         {8, "u64"}}};

size_t efrt::sizeOf(DType dtype) {
  return kTraits[static_cast<size_t>(dtype)].bytes;
}

std::string_view efrt::nameOf(DType dtype) {
  return kTraits[static_cast<size_t>(dtype)].name;
}

size_t TensorInfo::numElements() const {
  size_t count = 1;
  for (int64_t extent : shape)
    count *= static_cast<size_t>(extent);
  return count;
}
