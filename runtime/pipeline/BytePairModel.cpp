// Byte-pair encoding (Sennrich et al., arXiv 1508.07909) over bytes: of all
// neighbouring pairs that have a rule, the one of lowest rank is joined first,
// the leftmost of equals, until none is left.
#include "runtime/pipeline/BytePairModel.h"

#include "runtime/core/Text.h"
#include "runtime/pipeline/Unicode.h"

#include <nlohmann/json.hpp>

#include <limits>
#include <optional>
#include <queue>
#include <tuple>

using namespace efrt;

static constexpr std::string_view kEndOfWord = "</w>";

// The printable character that stands for a byte in the vocabulary: itself
// where Latin-1 prints it, else the next one from U+0100 on.
static std::array<char32_t, 256> byteCharacters() {
  std::array<char32_t, 256> characters{};
  char32_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= '!' && byte <= '~') ||
                     (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    characters[byte] = printable ? byte : next++;
  }
  return characters;
}

static Status corrupt(std::string message) {
  return Status(StatusCode::CorruptData, std::move(message));
}

Status BytePairModel::readVocabulary(std::string_view text,
                                     const std::string &name) {
  auto root = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object())
    return corrupt(
        concat("the vocabulary ", quote(name), " is not a JSON object"));
  ids.reserve(root.size());
  for (const auto &[token, id] : root.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() > std::numeric_limits<int32_t>::max())
      return corrupt(concat("the vocabulary ", quote(name), " gives token ",
                            quote(token), " no valid id"));
    ids.emplace(token, id.get<int32_t>());
  }
  std::array<char32_t, 256> characters = byteCharacters();
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string symbol;
    appendUtf8(symbol, characters[byte]);
    auto innerToken = ids.find(symbol);
    auto finalToken = ids.find(symbol.append(kEndOfWord));
    if (innerToken == ids.end() || finalToken == ids.end())
      return corrupt(concat("the vocabulary ", quote(name),
                            " is not a byte-level one: it has no token for "
                            "byte ",
                            byte));
    inner[byte] = innerToken->second;
    final[byte] = finalToken->second;
  }
  return {};
}

Status BytePairModel::readMerge(std::string_view line, size_t lineNumber,
                                const std::string &name) {
  auto fail = [&](std::string_view what) {
    return corrupt(concat("line ", lineNumber, " of ", quote(name), " ", what));
  };
  size_t space = line.find(' ');
  if (space == std::string_view::npos ||
      line.find(' ', space + 1) != std::string_view::npos)
    return fail("is not two tokens with a space between");
  auto find = [&](std::string token) -> std::optional<int32_t> {
    auto found = ids.find(token);
    return found == ids.end() ? std::nullopt : std::optional(found->second);
  };
  std::string left(line.substr(0, space)), right(line.substr(space + 1));
  auto leftId = find(left), rightId = find(right), id = find(left + right);
  if (!leftId || !rightId || !id)
    return fail("joins tokens that the vocabulary does not have");
  uint64_t key = uint64_t(*leftId) << 32 | uint32_t(*rightId);
  auto rank = static_cast<uint32_t>(mergeRules.size());
  mergeRules.try_emplace(key, Merge{rank, *id});
  return {};
}

Status BytePairModel::readMerges(std::string_view text,
                                 const std::string &name) {
  size_t lineNumber = 0;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++lineNumber;
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    bool isVersion = lineNumber == 1 && line.starts_with("#version");
    if (line.empty() || isVersion)
      continue;
    if (Status status = readMerge(line, lineNumber, name); !status.ok())
      return status;
  }
  return {};
}

Result<BytePairModel> BytePairModel::parse(std::string_view vocabulary,
                                           std::string_view merges,
                                           const std::string &vocabularyName,
                                           const std::string &mergesName) {
  BytePairModel model;
  if (Status status = model.readVocabulary(vocabulary, vocabularyName);
      !status.ok())
    return status;
  if (Status status = model.readMerges(merges, mergesName); !status.ok())
    return status;
  return model;
}

const BytePairModel::Merge *BytePairModel::findMerge(int32_t left,
                                                     int32_t right) const {
  auto found = mergeRules.find(uint64_t(left) << 32 | uint32_t(right));
  return found == mergeRules.end() ? nullptr : &found->second;
}

namespace {
/// A token of the word under work, in a list through its indices.
struct Symbol {
  int32_t id;
  size_t previous, next;
  bool live = true;
};

/// A pair that may be joined; stale once one of its symbols has changed.
struct Candidate {
  uint32_t rank;
  size_t left;
  int32_t leftId, rightId, id;
  bool operator>(const Candidate &other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};
} // namespace

void BytePairModel::encodeWord(std::string_view word,
                               std::vector<int32_t> &tokens) const {
  constexpr size_t none = std::numeric_limits<size_t>::max();
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (size_t i = 0; i < word.size(); ++i) {
    bool last = i + 1 == word.size();
    auto byte = static_cast<uint8_t>(word[i]);
    symbols.push_back({last ? final[byte] : inner[byte], i == 0 ? none : i - 1,
                       last ? none : i + 1});
  }

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  auto consider = [&](size_t left) {
    if (left == none || symbols[left].next == none)
      return;
    int32_t leftId = symbols[left].id, rightId = symbols[symbols[left].next].id;
    if (const Merge *merge = findMerge(leftId, rightId))
      queue.push({merge->rank, left, leftId, rightId, merge->id});
  };
  for (size_t i = 0; i < symbols.size(); ++i)
    consider(i);

  while (!queue.empty()) {
    Candidate candidate = queue.top();
    queue.pop();
    Symbol &left = symbols[candidate.left];
    if (!left.live || left.id != candidate.leftId || left.next == none ||
        symbols[left.next].id != candidate.rightId)
      continue;
    Symbol &right = symbols[left.next];
    right.live = false;
    left.id = candidate.id;
    left.next = right.next;
    if (left.next != none)
      symbols[left.next].previous = candidate.left;
    consider(left.previous);
    consider(candidate.left);
  }
  for (const Symbol &symbol : symbols)
    if (symbol.live)
      tokens.push_back(symbol.id);
}

std::string BytePairModel::textOf(int32_t id) const {
  for (const auto &[text, candidate] : ids)
    if (candidate == id)
      return text;
  return {};
}
