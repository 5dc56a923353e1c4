// Access to data/pipeline.json: what torch and diffusers computed.
#ifndef EFRT_TEST_PIPELINEDATA_H
#define EFRT_TEST_PIPELINEDATA_H

#include <nlohmann/json.hpp>

#include <bit>
#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace efrt::test {

inline const nlohmann::json &pipelineData() {
  static const nlohmann::json data = [] {
    std::ifstream stream(EFRT_TEST_DATA "/pipeline.json");
    return nlohmann::json::parse(stream);
  }();
  return data;
}

/// Floats that are stored as their bits.
inline std::vector<float> floats(const nlohmann::json &bits) {
  std::vector<float> values;
  for (uint32_t word : bits)
    values.push_back(std::bit_cast<float>(word));
  return values;
}

/// 64-bit FNV-1a over the bits, as the script that wrote the data computes it.
inline std::string digest(std::span<const float> values) {
  uint64_t state = 0xCBF29CE484222325;
  for (float value : values)
    state = (state ^ std::bit_cast<uint32_t>(value)) * 0x100000001B3;
  return std::to_string(state);
}

/// Distance in units of the last place, for two finite numbers.
inline int64_t ulps(float a, float b) {
  auto ordered = [](float x) -> int64_t {
    int32_t bits = std::bit_cast<int32_t>(x);
    return bits < 0 ? int64_t(INT32_MIN) - bits : bits;
  };
  return std::abs(ordered(a) - ordered(b));
}

} // namespace efrt::test

#endif
