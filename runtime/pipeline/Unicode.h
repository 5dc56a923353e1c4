// The part of Unicode that CLIP's tokenizer needs: UTF-8, character classes,
// lower case, and normalisation form C.
#ifndef EFRT_PIPELINE_UNICODE_H
#define EFRT_PIPELINE_UNICODE_H

#include "efrt/Status.h"

#include <string>
#include <string_view>

namespace efrt {

bool isLetter(char32_t point); ///< \p{L}
bool isNumber(char32_t point); ///< \p{N}
bool isSpace(char32_t point);  ///< \s

/// The code points of `text`. InvalidArgument, with the offset of the first bad
/// byte, where `text` is not UTF-8 (overlong forms and surrogates included).
Result<std::u32string> decodeUtf8(std::string_view text);

/// Appends one code point.
void appendUtf8(std::string &text, char32_t point);

/// Lower case, each character by itself (no final sigma, no locale).
std::u32string lowercase(std::u32string_view text);

/// Normalisation form C (Unicode Standard Annex 15).
std::u32string composeNfc(std::u32string_view text);

} // namespace efrt

#endif
