// UTF-8, character classes, lower case and NFC over the generated tables.
#include "runtime/pipeline/Unicode.h"

#include "runtime/core/Text.h"
#include "runtime/pipeline/UnicodeTables.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

using namespace efrt;

// The last row whose first member is <= point, or null.
template <typename Row>
static const Row *findRow(std::span<const Row> rows, char32_t point,
                          char32_t Row::*first) {
  auto after = std::upper_bound(
      rows.begin(), rows.end(), point,
      [first](char32_t value, const Row &row) { return value < row.*first; });
  return after == rows.begin() ? nullptr : &*std::prev(after);
}

static bool contains(std::span<const CodePointRange> ranges, char32_t point) {
  const CodePointRange *range = findRow(ranges, point, &CodePointRange::first);
  return range && point <= range->last;
}

bool efrt::isLetter(char32_t point) {
  return contains(unicodeTables.letters, point);
}

bool efrt::isNumber(char32_t point) {
  return contains(unicodeTables.numbers, point);
}

bool efrt::isSpace(char32_t point) {
  return contains(unicodeTables.spaces, point);
}

// Bytes of the sequence that starts with `lead`, its payload bits, and the
// smallest code point that needs so many; length 0 for a byte that starts none.
namespace {
struct LeadByte {
  size_t length;
  char32_t bits, smallest;
};
} // namespace

static LeadByte classifyLead(uint8_t lead) {
  if (lead < 0x80)
    return {1, lead, 0};
  if ((lead & 0xe0) == 0xc0)
    return {2, lead & 0x1fu, 0x80};
  if ((lead & 0xf0) == 0xe0)
    return {3, lead & 0x0fu, 0x800};
  if ((lead & 0xf8) == 0xf0)
    return {4, lead & 0x07u, 0x10000};
  return {0, 0, 0};
}

Result<std::u32string> efrt::decodeUtf8(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    auto [length, point, smallest] =
        classifyLead(static_cast<uint8_t>(text[i]));
    bool valid = length > 0 && length <= text.size() - i;
    for (size_t j = 1; valid && j < length; ++j) {
      auto byte = static_cast<uint8_t>(text[i + j]);
      valid = (byte & 0xc0) == 0x80;
      point = point << 6 | (byte & 0x3fu);
    }
    bool isSurrogate = point >= 0xd800 && point < 0xe000;
    if (!valid || point < smallest || point > 0x10ffff || isSurrogate)
      return Status(StatusCode::InvalidArgument,
                    concat("the text is not valid UTF-8 at byte ", i));
    points.push_back(point);
    i += length;
  }
  return points;
}

void efrt::appendUtf8(std::string &text, char32_t point) {
  auto continuation = [&](unsigned shift) {
    text.push_back(static_cast<char>(0x80 | (point >> shift & 0x3f)));
  };
  if (point < 0x80) {
    text.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    text.push_back(static_cast<char>(0xc0 | point >> 6));
    continuation(0);
  } else if (point < 0x10000) {
    text.push_back(static_cast<char>(0xe0 | point >> 12));
    continuation(6);
    continuation(0);
  } else {
    text.push_back(static_cast<char>(0xf0 | point >> 18));
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

static const Decomposition *findExact(std::span<const Decomposition> rows,
                                      char32_t point) {
  const Decomposition *row = findRow(rows, point, &Decomposition::from);
  return row && row->from == point ? row : nullptr;
}

std::u32string efrt::lowercase(std::u32string_view text) {
  std::u32string lower;
  lower.reserve(text.size());
  for (char32_t point : text) {
    if (const auto *pair = findExact(unicodeTables.lowercasePairs, point)) {
      lower.push_back(pair->first);
      lower.push_back(pair->second);
      continue;
    }
    const LowercaseRun *run =
        findRow(unicodeTables.lowercaseRuns, point, &LowercaseRun::first);
    if (run && point <= run->last && (point - run->first) % run->stride == 0)
      point += static_cast<char32_t>(run->difference);
    lower.push_back(point);
  }
  return lower;
}

static uint8_t combiningClass(char32_t point) {
  const CombiningRange *range =
      findRow(unicodeTables.combining, point, &CombiningRange::first);
  return range && point <= range->last ? range->combiningClass : 0;
}

// Hangul syllables are computed: Unicode Standard, section 3.12.
static constexpr char32_t kHangulBase = 0xac00, kLeadBase = 0x1100,
                          kVowelBase = 0x1161, kTrailBase = 0x11a7;
static constexpr char32_t kNumLeads = 19, kNumVowels = 21, kNumTrails = 28,
                          kNumHangul = kNumLeads * kNumVowels * kNumTrails;

static void appendDecomposed(std::u32string &text, char32_t point) {
  if (point - kHangulBase < kNumHangul) {
    char32_t index = point - kHangulBase;
    text.push_back(kLeadBase + index / (kNumVowels * kNumTrails));
    text.push_back(kVowelBase + index / kNumTrails % kNumVowels);
    if (char32_t trail = index % kNumTrails)
      text.push_back(kTrailBase + trail);
    return;
  }
  const auto *row = findExact(unicodeTables.decompositions, point);
  if (!row) {
    text.push_back(point);
    return;
  }
  appendDecomposed(text, row->first);
  if (row->second)
    appendDecomposed(text, row->second);
}

// The character that `first` and `second` make, or 0.
static char32_t composePair(char32_t first, char32_t second) {
  if (first - kLeadBase < kNumLeads && second - kVowelBase < kNumVowels)
    return kHangulBase +
           ((first - kLeadBase) * kNumVowels + second - kVowelBase) *
               kNumTrails;
  if (first - kHangulBase < kNumHangul &&
      (first - kHangulBase) % kNumTrails == 0 && second > kTrailBase &&
      second < kTrailBase + kNumTrails)
    return first + (second - kTrailBase);
  auto rows = unicodeTables.decompositions;
  auto pairOf = [rows](uint16_t index) {
    return std::pair(rows[index].first, rows[index].second);
  };
  auto found = std::lower_bound(
      unicodeTables.compositions.begin(), unicodeTables.compositions.end(),
      std::pair(first, second),
      [&](uint16_t index, auto pair) { return pairOf(index) < pair; });
  bool matches = found != unicodeTables.compositions.end() &&
                 pairOf(*found) == std::pair(first, second);
  return matches ? rows[*found].from : 0;
}

// Puts the marks that follow a starter in the order of their classes; equals
// keep theirs.
static void orderMarks(std::u32string &text) {
  std::vector<std::tuple<uint8_t, size_t, char32_t>> marks;
  for (size_t i = 0; i <= text.size(); ++i) {
    uint8_t current = i < text.size() ? combiningClass(text[i]) : 0;
    if (current != 0) {
      marks.emplace_back(current, i, text[i]);
      continue;
    }
    std::ranges::sort(marks);
    for (size_t j = 0; j < marks.size(); ++j)
      text[i - marks.size() + j] = std::get<char32_t>(marks[j]);
    marks.clear();
  }
}

std::u32string efrt::composeNfc(std::u32string_view text) {
  // Below the first combining mark everything is composed already.
  constexpr char32_t firstMark = 0x300;
  if (std::ranges::all_of(text, [](char32_t p) { return p < firstMark; }))
    return std::u32string(text);

  std::u32string decomposed;
  for (char32_t point : text)
    appendDecomposed(decomposed, point);
  orderMarks(decomposed);

  std::u32string composed;
  size_t starter = std::u32string::npos;
  for (char32_t point : decomposed) {
    uint8_t current = combiningClass(point);
    if (starter != std::u32string::npos) {
      // Blocked where something of the same or a higher class, or another
      // starter, stands between.
      bool adjacent = starter + 1 == composed.size();
      bool reaches = adjacent || (combiningClass(composed.back()) != 0 &&
                                  combiningClass(composed.back()) < current);
      if (char32_t pair = reaches ? composePair(composed[starter], point) : 0) {
        composed[starter] = pair;
        continue;
      }
    }
    if (current == 0)
      starter = composed.size();
    composed.push_back(point);
  }
  return composed;
}
