// efrun BUNDLE --tokenize-lines FILE: the ids of many prompts, to compare the
// tokenizer with others.
#include "runtime/tools/PromptModes.h"

#include "runtime/core/Text.h"
#include "runtime/pipeline/PipelineConfig.h"

#include <nlohmann/json.hpp>

#include <fstream>
#include <iostream>

using namespace efrt;

Status efrun::tokenizeLines(const std::string &bundle,
                            const std::string &path) {
  Result<PipelineConfig> config = readPipelineConfig(bundle);
  if (!config)
    return config.status();
  Result<ClipTokenizer> tokenizer = ClipTokenizer::load(config->tokenizer);
  if (!tokenizer)
    return tokenizer.status();
  std::ifstream file(path);
  if (!file)
    return Status(StatusCode::NotFound, concat("cannot read ", quote(path)));
  size_t lineNumber = 0;
  for (std::string line; std::getline(file, line);) {
    ++lineNumber;
    auto prompt = nlohmann::json::parse(line, nullptr, false);
    if (!prompt.is_string())
      return Status(StatusCode::InvalidArgument,
                    concat("line ", lineNumber, " of ", quote(path),
                           " is not a JSON string"));
    const auto &text = prompt.get_ref<const std::string &>();
    Result<std::vector<int32_t>> tokens = tokenizer->tokenize(text);
    if (!tokens)
      return tokens.status();
    Result<EncodedPrompt> encoded = tokenizer->encode(text);
    if (!encoded)
      return encoded.status();
    std::cout
        << nlohmann::json{{"tokens", *tokens}, {"ids", encoded->ids}}.dump()
        << '\n';
  }
  return Status();
}
