// Unicode rules and byte-pair encoding on a small vocabulary. The comparison
// with transformers on CLIP's own is in test/integration/tokenizer.
#include "pipelineBundle.h"

#include "efrt/Tokenizer.h"
#include "runtime/pipeline/Unicode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace efrt;
using namespace efrt::test;
using testing::HasSubstr;

TEST(Unicode, ComposesAsTheStandardsExamples) {
  // Unicode Standard Annex 15, figures 3 to 6, and Hangul.
  EXPECT_EQ(U"\u00C5", composeNfc(U"\u212B"));
  EXPECT_EQ(U"\u00C5", composeNfc(U"A\u030A"));
  EXPECT_EQ(U"\u1E69", composeNfc(U"s\u0323\u0307"));
  EXPECT_EQ(U"\u1E69", composeNfc(U"s\u0307\u0323"));
  EXPECT_EQ(U"\u1E9B\u0323", composeNfc(U"\u1E9B\u0323"));
  EXPECT_EQ(U"\uFB01", composeNfc(U"\uFB01"));
  EXPECT_EQ(U"\uD55C\uAE00", composeNfc(U"\u1112\u1161\u11AB\uAE00"));
  EXPECT_EQ(U"\uAC00\u11A7", composeNfc(U"\uAC00\u11A7"));
  EXPECT_EQ(U"\u0915\u093C", composeNfc(U"\u0958")); // Excluded.
  EXPECT_EQ(U"\u00E1\u0315b", composeNfc(U"a\u0315\u0301b"));
  EXPECT_EQ(U"\u0301a", composeNfc(U"\u0301a"));
  EXPECT_EQ(U"", composeNfc(U""));
}

TEST(Unicode, LowercasesEachCharacterAlone) {
  EXPECT_EQ(U"straße i\u0307 σσ ǆ ａ", lowercase(U"STRAßE \u0130 ΣΣ ǅ Ａ"));
  EXPECT_EQ(U"123 \u00df \U00010428", lowercase(U"123 \u00df \U00010400"));
}

TEST(Unicode, KnowsClasses) {
  EXPECT_TRUE(isLetter(U'é') && isLetter(U'猫') && isLetter(U'ª'));
  EXPECT_FALSE(isLetter(U'1') || isLetter(U'_') || isLetter(0x0301));
  EXPECT_TRUE(isNumber(U'7') && isNumber(U'½') && isNumber(U'Ⅷ'));
  EXPECT_TRUE(isSpace(U'\n') && isSpace(0x3000) && isSpace(0x85));
  EXPECT_FALSE(isSpace(0x200B) || isSpace(0));
}

TEST(Unicode, DecodesOnlyUtf8) {
  auto points = decodeUtf8("a\xC3\xA9\xE7\x8C\xAB\xF0\x9F\x98\x80");
  ASSERT_TRUE(points.ok());
  EXPECT_EQ(U"aé猫\U0001F600", *points);
  std::string again;
  for (char32_t point : *points)
    appendUtf8(again, point);
  EXPECT_EQ("a\xC3\xA9\xE7\x8C\xAB\xF0\x9F\x98\x80", again);
  for (std::string_view bad :
       {"ab\x80", "ab\xC3", "ab\xC0\xAF", "ab\xED\xA0\x80",
        "ab\xF4\x90\x80\x80", "ab\xFF", "ab\xE7\x8C", "ab\xC3("}) {
    auto result = decodeUtf8(bad);
    ASSERT_FALSE(result.ok());
    EXPECT_THAT(result.status().message(), HasSubstr("at byte 2"));
  }
}

class TokenizerTest : public testing::Test {
protected:
  static ClipTokenizer tokenizer() {
    static TestBundle bundle;
    auto loaded = ClipTokenizer::load(bundle.tokenizerConfig());
    EXPECT_TRUE(loaded.ok());
    return std::move(*loaded);
  }
  static std::vector<int32_t> tokens(std::string_view text) {
    auto result = tokenizer().tokenize(text);
    EXPECT_TRUE(result.ok());
    return *result;
  }
  static int32_t id(const std::string &token) {
    return TestBundle::vocabulary().at(token);
  }
};

TEST_F(TokenizerTest, MergesByRankThenFromTheLeft) {
  EXPECT_EQ((std::vector{id("cat</w>")}), tokens("cat"));
  EXPECT_EQ((std::vector{id("ca"), id("c</w>")}), tokens("cac"));
  // "a a" is the first rule: the leftmost pair is joined, then the next.
  EXPECT_EQ((std::vector{id("aa"), id("aa"), id("a</w>")}), tokens("aaaaa"));
  EXPECT_EQ((std::vector{id("aa"), id("a"), id("a</w>")}), tokens("aaaa"));
}

TEST_F(TokenizerTest, SplitsWords) {
  EXPECT_EQ((std::vector{id("cat</w>"), id("'"), id("s</w>")}),
            tokens("CAT's"));
  EXPECT_EQ((std::vector{id("1</w>"), id("2</w>"), id("cat</w>")}),
            tokens(" 12\tcat\n"));
  EXPECT_EQ((std::vector{id("!"), id("?</w>"), id("cat</w>")}),
            tokens("!?cat"));
  EXPECT_EQ((std::vector<int32_t>{}), tokens(" \n\t "));
}

TEST_F(TokenizerTest, FindsSpecialTokens) {
  EXPECT_EQ(
      (std::vector{id("<|endoftext|>"), id("cat</w>"), id("<|startoftext|>")}),
      tokens("<|endoftext|>cat<|startoftext|>"));
  std::vector<int32_t> asText = tokens("<|ENDOFTEXT|>");
  EXPECT_THAT(asText, testing::Not(testing::Contains(id("<|endoftext|>"))));
}

TEST_F(TokenizerTest, PadsAndCutsOff) {
  ClipTokenizer clip = tokenizer();
  auto empty = clip.encode("");
  ASSERT_TRUE(empty.ok());
  std::vector<int32_t> expected(8, id("<|endoftext|>"));
  expected[0] = id("<|startoftext|>");
  EXPECT_EQ(expected, empty->ids);
  EXPECT_EQ(0u, empty->numTokens);

  auto cut = clip.encode("1 2 3 4 5 6 7 8 9");
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(9u, cut->numTokens);
  EXPECT_EQ(
      (std::vector{id("<|startoftext|>"), id("1</w>"), id("2</w>"), id("3</w>"),
                   id("4</w>"), id("5</w>"), id("6</w>"), id("<|endoftext|>")}),
      cut->ids);
}

TEST_F(TokenizerTest, LongWordsTakeNoQuadraticTime) {
  // 200 KB in one word: minutes if each join scanned the word.
  std::vector<int32_t> result = tokens(std::string(200000, 'a'));
  EXPECT_EQ(100001u, result.size());
}

TEST(TokenizerErrors, AreSentences) {
  TestBundle bundle;
  auto messageOf = [](const TokenizerConfig &config) {
    auto result = ClipTokenizer::load(config);
    EXPECT_FALSE(result.ok());
    return result.ok() ? std::string() : result.status().message();
  };
  TokenizerConfig config = bundle.tokenizerConfig();
  config.vocabPath += ".missing";
  EXPECT_THAT(messageOf(config), HasSubstr("No such file"));
  config = bundle.tokenizerConfig();
  config.eos = 99999;
  EXPECT_THAT(messageOf(config), HasSubstr("no token with the id 99999"));
  config = bundle.tokenizerConfig();
  config.maxLength = 1;
  EXPECT_THAT(messageOf(config), HasSubstr("max_length is 1"));

  config = bundle.tokenizerConfig();
  bundle.write("vocab.json", "{\"a\": 1");
  EXPECT_THAT(messageOf(config), HasSubstr("not a JSON object"));
  bundle.write("vocab.json", "{\"a\": -1}");
  EXPECT_THAT(messageOf(config), HasSubstr("no valid id"));
  bundle.write("vocab.json", "{\"a\": 1}");
  EXPECT_THAT(messageOf(config), HasSubstr("no token for byte 0"));

  TestBundle other;
  other.write("merges.txt", "#version: 0.2\nc a\nnospace\n");
  EXPECT_THAT(messageOf(other.tokenizerConfig()), HasSubstr("line 3"));
  other.write("merges.txt", "zz a\n");
  EXPECT_THAT(messageOf(other.tokenizerConfig()),
              HasSubstr("joins tokens that the vocabulary does not have"));
}
