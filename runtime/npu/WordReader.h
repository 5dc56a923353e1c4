// Reads words of bytes that may be anything.
#ifndef EFRT_NPU_WORDREADER_H
#define EFRT_NPU_WORDREADER_H

#include "efrt/Status.h"

#include <bit>
#include <cstdint>
#include <span>
#include <string>

namespace efrt::npu {

/// Words with a position. After a failure every read gives 0 and nothing moves.
class WordReader {
public:
  WordReader(std::span<const uint32_t> words, Status &status)
      : words(words), status(status) {}

  uint32_t take() {
    if (at >= words.size()) {
      fail("ends in the middle");
      return 0;
    }
    return words[at++];
  }
  uint64_t takeWide() {
    uint64_t low = take();
    return low | static_cast<uint64_t>(take()) << 32;
  }
  float takeFloat() { return std::bit_cast<float>(take()); }
  std::span<const uint32_t> takeAll(uint64_t count) {
    if (count > words.size() - at) {
      fail("is shorter than it says");
      return {};
    }
    at += count;
    return words.subspan(at - count, count);
  }
  size_t left() const { return words.size() - at; }
  bool ok() const { return status.ok(); }
  void fail(std::string reason) {
    if (status.ok())
      status = Status(StatusCode::CorruptData, std::move(reason));
    at = words.size();
  }
  void require(bool condition, const char *reason) {
    if (!condition)
      fail(reason);
  }

private:
  std::span<const uint32_t> words;
  Status &status;
  size_t at = 0;
};

} // namespace efrt::npu

#endif
