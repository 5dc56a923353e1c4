// The byte-level byte-pair model behind CLIP's tokenizer: one word to its
// tokens.
#ifndef EFRT_PIPELINE_BYTEPAIRMODEL_H
#define EFRT_PIPELINE_BYTEPAIRMODEL_H

#include "efrt/Status.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace efrt {

class BytePairModel {
public:
  /// `vocabulary` is the text of vocab.json, `merges` that of merges.txt; the
  /// names are for messages.
  static Result<BytePairModel> parse(std::string_view vocabulary,
                                     std::string_view merges,
                                     const std::string &vocabularyName,
                                     const std::string &mergesName);

  /// Appends the tokens of one word (UTF-8 bytes, not empty).
  void encodeWord(std::string_view word, std::vector<int32_t> &tokens) const;

  /// The text of a token as vocab.json has it; empty if there is none.
  std::string textOf(int32_t id) const;

private:
  struct Merge {
    uint32_t rank;
    int32_t id;
  };

  Status readVocabulary(std::string_view text, const std::string &name);
  Status readMerges(std::string_view text, const std::string &name);
  Status readMerge(std::string_view line, size_t lineNumber,
                   const std::string &name);
  const Merge *findMerge(int32_t left, int32_t right) const;

  std::unordered_map<std::string, int32_t> ids;
  /// By left id << 32 | right id.
  std::unordered_map<uint64_t, Merge> mergeRules;
  /// The token of each byte inside a word and at its end.
  std::array<int32_t, 256> inner{}, final{};
};

} // namespace efrt

#endif
