// CLIP's byte-pair tokenizer: from a prompt to the ids that a text encoder
// reads.
#ifndef EFRT_TOKENIZER_H
#define EFRT_TOKENIZER_H

#include "efrt/Export.h"
#include "efrt/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace efrt {

struct TokenizerConfig {
  std::string vocabPath;  ///< vocab.json: token -> id.
  std::string mergesPath; ///< merges.txt: one rule a line, by rank.
  size_t maxLength = 77;  ///< Ids that encode() returns, at least 2.
  int32_t bos = 49406, eos = 49407, pad = 49407;
};

/// What encode() returns.
struct EncodedPrompt {
  /// maxLength ids: bos, tokens, eos, then pad.
  std::vector<int32_t> ids;
  /// Tokens of the whole text, without bos and eos; more than maxLength - 2
  /// means that the rest was left out.
  size_t numTokens = 0;
};

/// The same ids as transformers' CLIPTokenizer: special tokens in the text
/// stand for themselves; NFC, white space to one space, lower case; words,
/// single digits and runs of other characters; byte-level byte-pair encoding
/// with an end-of-word mark. Thread-safe once made.
class EFRT_API ClipTokenizer {
public:
  /// NotFound or IoError for a missing or unreadable file, CorruptData where
  /// the files do not make a byte-level vocabulary or lack the special tokens'
  /// ids.
  static Result<ClipTokenizer> load(const TokenizerConfig &config);
  ClipTokenizer(ClipTokenizer &&) noexcept;
  ClipTokenizer &operator=(ClipTokenizer &&) noexcept;
  ~ClipTokenizer();

  /// The tokens of `text` (UTF-8), all of them, without bos and eos.
  Result<std::vector<int32_t>> tokenize(std::string_view text) const;

  /// A prompt as the text encoder reads it, cut off or padded to maxLength.
  Result<EncodedPrompt> encode(std::string_view text) const;

  const TokenizerConfig &getConfig() const;

private:
  struct Impl;
  explicit ClipTokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace efrt

#endif
