// From a prompt to words to tokens, as transformers' CLIPTokenizer does it.
#include "efrt/Tokenizer.h"

#include "runtime/core/Text.h"
#include "runtime/pipeline/BytePairModel.h"
#include "runtime/pipeline/TextFile.h"
#include "runtime/pipeline/Unicode.h"

#include <algorithm>
#include <optional>

using namespace efrt;

struct ClipTokenizer::Impl {
  TokenizerConfig config;
  BytePairModel model;
  /// Special tokens that stand for themselves wherever the text has them.
  std::vector<std::pair<std::string, int32_t>> specials;

  void tokenizePlain(std::u32string_view text,
                     std::vector<int32_t> &tokens) const;
};

ClipTokenizer::ClipTokenizer(std::unique_ptr<Impl> impl)
    : impl(std::move(impl)) {}
ClipTokenizer::ClipTokenizer(ClipTokenizer &&) noexcept = default;
ClipTokenizer &ClipTokenizer::operator=(ClipTokenizer &&) noexcept = default;
ClipTokenizer::~ClipTokenizer() = default;

const TokenizerConfig &ClipTokenizer::getConfig() const { return impl->config; }

Result<ClipTokenizer> ClipTokenizer::load(const TokenizerConfig &config) {
  if (config.maxLength < 2)
    return Status(StatusCode::InvalidArgument,
                  concat("the tokenizer's max_length is ", config.maxLength,
                         "; bos and eos alone need 2"));
  Result<std::string> vocabulary = readTextFile(config.vocabPath);
  if (!vocabulary)
    return vocabulary.status();
  Result<std::string> merges = readTextFile(config.mergesPath);
  if (!merges)
    return merges.status();
  Result<BytePairModel> model = BytePairModel::parse(
      *vocabulary, *merges, config.vocabPath, config.mergesPath);
  if (!model)
    return model.status();

  auto impl = std::make_unique<Impl>(Impl{config, std::move(*model), {}});
  for (int32_t id : {config.bos, config.eos, config.pad}) {
    std::string text = impl->model.textOf(id);
    if (text.empty())
      return Status(StatusCode::CorruptData,
                    concat("the vocabulary ", quote(config.vocabPath),
                           " has no token with the id ", id,
                           " that the pipeline names as bos, eos or pad"));
    auto special = std::pair(std::move(text), id);
    if (std::ranges::find(impl->specials, special) == impl->specials.end())
      impl->specials.push_back(std::move(special));
  }
  return ClipTokenizer(std::move(impl));
}

// Length of an English contraction at the start of `text`, else 0.
static size_t contractionLength(std::u32string_view text) {
  for (std::u32string_view suffix :
       {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"})
    if (text.starts_with(suffix))
      return suffix.size();
  return 0;
}

// Length of the word at the start of `text`, which is not a space: a
// contraction, letters, one number character, or others.
static size_t wordLength(std::u32string_view text) {
  if (size_t length = contractionLength(text))
    return length;
  if (isNumber(text.front()))
    return 1;
  bool letters = isLetter(text.front());
  size_t length = 1;
  while (length < text.size() && isLetter(text[length]) == letters &&
         !isNumber(text[length]) && !isSpace(text[length]))
    ++length;
  return length;
}

// The name of a special token that only lower-casing has made is text, but it
// ends a word: "<|", "startoftext", "|>".
static std::optional<std::u32string_view>
specialName(std::u32string_view text) {
  for (std::u32string_view name : {U"startoftext", U"endoftext"})
    if (text.starts_with(U"<|") && text.substr(2).starts_with(name) &&
        text.substr(2 + name.size()).starts_with(U"|>"))
      return name;
  return std::nullopt;
}

void ClipTokenizer::Impl::tokenizePlain(std::u32string_view text,
                                        std::vector<int32_t> &tokens) const {
  std::u32string normal = lowercase(composeNfc(text));
  std::u32string_view rest = normal;
  std::string word;
  auto takeWord = [&](size_t length) {
    word.clear();
    for (char32_t point : rest.substr(0, length))
      appendUtf8(word, point);
    rest.remove_prefix(length);
    model.encodeWord(word, tokens);
  };
  while (!rest.empty()) {
    if (isSpace(rest.front())) {
      rest.remove_prefix(1);
    } else if (auto name = specialName(rest)) {
      takeWord(2);
      takeWord(name->size());
      takeWord(2);
    } else {
      takeWord(wordLength(rest));
    }
  }
}

Result<std::vector<int32_t>>
ClipTokenizer::tokenize(std::string_view text) const {
  // Checked as a whole first, so that the message counts from the text's start.
  if (Result<std::u32string> points = decodeUtf8(text); !points)
    return points.status();
  std::vector<int32_t> tokens;
  while (!text.empty()) {
    size_t start = text.size(), length = 0;
    int32_t id = 0;
    for (const auto &[name, special] : impl->specials) {
      size_t found = text.find(name);
      if (found < start || (found == start && name.size() > length)) {
        start = found;
        length = name.size();
        id = special;
      }
    }
    Result<std::u32string> plain = decodeUtf8(text.substr(0, start));
    if (!plain)
      return plain.status();
    impl->tokenizePlain(*plain, tokens);
    if (length > 0)
      tokens.push_back(id);
    text.remove_prefix(start + length);
  }
  return tokens;
}

Result<EncodedPrompt> ClipTokenizer::encode(std::string_view text) const {
  Result<std::vector<int32_t>> tokens = tokenize(text);
  if (!tokens)
    return tokens.status();
  const TokenizerConfig &config = impl->config;
  EncodedPrompt prompt;
  prompt.numTokens = tokens->size();
  prompt.ids.push_back(config.bos);
  prompt.ids.insert(prompt.ids.end(), tokens->begin(),
                    tokens->begin() +
                        std::min(tokens->size(), config.maxLength - 2));
  prompt.ids.push_back(config.eos);
  prompt.ids.resize(config.maxLength, config.pad);
  return prompt;
}
