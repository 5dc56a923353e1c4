// A bundle in a temporary folder, with a small byte-level vocabulary.
#ifndef EFRT_TEST_PIPELINEBUNDLE_H
#define EFRT_TEST_PIPELINEBUNDLE_H

#include "efrt/Tokenizer.h"
#include "runtime/pipeline/Unicode.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <unistd.h>

namespace efrt::test {

class TestBundle {
public:
  TestBundle() {
    static int count = 0;
    folder = std::filesystem::path(testing::TempDir()) /
             ("efrt-bundle-" + std::to_string(getpid()) + "-" +
              std::to_string(count++));
    std::filesystem::create_directories(folder);
    write("vocab.json", nlohmann::json(vocabulary()).dump());
    std::string merges = "#version: 0.2\n";
    for (const auto &[left, right] : rules())
      merges += left + " " + right + "\n";
    write("merges.txt", merges);
    write("pipeline.json", pipeline().dump());
  }
  ~TestBundle() { std::filesystem::remove_all(folder); }
  TestBundle(const TestBundle &) = delete;

  std::string path() const { return folder.string(); }

  void write(const std::string &name, const std::string &text) const {
    std::ofstream(folder / name) << text;
  }

  static std::vector<std::pair<std::string, std::string>> rules() {
    return {{"a", "a"}, {"c", "a"}, {"ca", "t</w>"}, {"a", "t</w>"}};
  }

  /// The bytes, the bytes that end a word, the rules' results, the two special
  /// tokens.
  static const std::map<std::string, int32_t> &vocabulary() {
    static const std::map<std::string, int32_t> tokens = [] {
      std::vector<std::string> names;
      char32_t next = 256;
      for (unsigned byte = 0; byte < 256; ++byte) {
        bool printable = (byte >= 33 && byte <= 126) ||
                         (byte >= 161 && byte <= 172) || byte >= 174;
        names.emplace_back();
        appendUtf8(names.back(), printable ? byte : next++);
      }
      for (unsigned byte = 0; byte < 256; ++byte)
        names.push_back(names[byte] + "</w>");
      for (const auto &[left, right] : rules())
        names.push_back(left + right);
      names.insert(names.end(), {"<|startoftext|>", "<|endoftext|>"});
      std::map<std::string, int32_t> ids;
      for (const std::string &name : names)
        ids.emplace(name, static_cast<int32_t>(ids.size()));
      return ids;
    }();
    return tokens;
  }

  TokenizerConfig tokenizerConfig() const {
    TokenizerConfig config;
    config.vocabPath = (folder / "vocab.json").string();
    config.mergesPath = (folder / "merges.txt").string();
    config.maxLength = 8;
    config.bos = vocabulary().at("<|startoftext|>");
    config.eos = config.pad = vocabulary().at("<|endoftext|>");
    return config;
  }

  /// A pipeline.json that is right in every field.
  static nlohmann::json pipeline() {
    auto model = [](const char *name) {
      return nlohmann::json{{"artifact", std::string(name) + ".efa"}};
    };
    return {{"format", "edgefusion-pipeline"},
            {"version", 1},
            {"producer", "a test"},
            {"models",
             {{"text_encoder", model("text_encoder")},
              {"unet", model("unet")},
              {"vae_decoder", model("vae_decoder")}}},
            {"tokenizer",
             {{"type", "clip-bpe"},
              {"vocab", "vocab.json"},
              {"merges", "merges.txt"},
              {"max_length", 5},
              {"bos", vocabulary().at("<|startoftext|>")},
              {"eos", vocabulary().at("<|endoftext|>")},
              {"pad", vocabulary().at("<|endoftext|>")}}},
            {"scheduler",
             {{"type", "lcm"},
              {"num_train_timesteps", 1000},
              {"beta_start", 0.00085},
              {"beta_end", 0.012},
              {"beta_schedule", "scaled_linear"},
              {"original_inference_steps", 50},
              {"timestep_scaling", 10.0},
              {"sigma_data", 0.5},
              {"prediction_type", "epsilon"},
              {"set_alpha_to_one", true}}},
            {"latent",
             {{"channels", 4},
              {"height", 4},
              {"width", 4},
              {"scaling_factor", 0.18215}}},
            {"guidance_embedding_dim", 8},
            {"image", {{"height", 8}, {"width", 8}}}};
  }

private:
  std::filesystem::path folder;
};

} // namespace efrt::test

#endif
