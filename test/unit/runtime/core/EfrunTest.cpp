// efrun as a user calls it: files, exit codes, and one sentence for a mistake.
#include "TestArtifact.h"

#include "runtime/tools/Npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

using namespace efrt;
using namespace efrt::test;
using namespace efrun;
using testing::HasSubstr;
using testing::StartsWith;

namespace {
struct Outcome {
  int exitCode;
  std::string text; ///< Standard output and error.
};

class EfrunTest : public testing::Test {
protected:
  void SetUp() override {
    writeFile(model, test.assemble());
    x.resize(static_cast<size_t>(kRows * kColumns), 1.5f);
    ASSERT_TRUE(writeNpy(folder.file("x.npy"), DType::F32, shape,
                         std::as_bytes(std::span(x)))
                    .ok());
    ASSERT_TRUE(writeNpy(folder.file("n.npy"), DType::I32,
                         std::vector<int64_t>{1},
                         std::as_bytes(std::span(&n, 1)))
                    .ok());
  }

  Outcome efrun(const std::string &arguments) {
    std::string command =
        "cd " + folder.path + " && " EFRT_TEST_EFRUN " " + arguments + " 2>&1";
    FILE *pipe = popen(command.c_str(), "r");
    Outcome outcome = {0, ""};
    char buffer[4096];
    while (size_t count = fread(buffer, 1, sizeof(buffer), pipe))
      outcome.text.append(buffer, count);
    outcome.exitCode = WEXITSTATUS(pclose(pipe));
    return outcome;
  }

  /// One line, exit code 1.
  void expectError(const std::string &arguments, const std::string &sentence) {
    Outcome outcome = efrun(arguments);
    EXPECT_EQ(outcome.exitCode, 1) << outcome.text;
    EXPECT_THAT(outcome.text, StartsWith("efrun: error: "));
    EXPECT_THAT(outcome.text, HasSubstr(sentence));
    EXPECT_EQ(std::ranges::count(outcome.text, '\n'), 1) << outcome.text;
  }

  const std::vector<int64_t> shape = {kRows, kColumns};
  TestArtifact test;
  TemporaryFolder folder;
  std::string model = folder.file("model.efa");
  std::vector<float> x;
  int32_t n = 2;
};
} // namespace

TEST_F(EfrunTest, WritesOutputsReportAndTensors) {
  Outcome outcome =
      efrun("model.efa --input x=x.npy --input n=n.npy --output-dir out/deep "
            "--threads 2 --repeat 3 --warmup 1 --profile "
            "--json report.json --dump-tensors dump");
  ASSERT_EQ(outcome.exitCode, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("3 runs: median"));
  EXPECT_THAT(outcome.text, HasSubstr("by operation"));
  std::vector<float> expected = test.expected(x, n);
  for (const char *file : {"out/deep/y.npy", "dump/0001_y.npy"}) {
    Result<Array> y = readNpy(folder.file(file));
    ASSERT_TRUE(y.ok()) << y.status().message();
    EXPECT_EQ(y->shape, shape);
    EXPECT_TRUE(
        std::ranges::equal(y->data, std::as_bytes(std::span(expected))));
  }
  std::vector<std::byte> text = readFile(folder.file("report.json"));
  auto report = nlohmann::json::parse(
      reinterpret_cast<const char *>(text.data()),
      reinterpret_cast<const char *>(text.data()) + text.size());
  EXPECT_EQ(report["run_seconds"].size(), 3u);
  EXPECT_EQ(report["profile"][0]["calls"], 3);
  EXPECT_EQ(report["variant"], "generic");
  EXPECT_EQ(report["metadata"]["option"], "value");
  text = readFile(folder.file("dump/index.json"));
  auto index = nlohmann::json::parse(
      reinterpret_cast<const char *>(text.data()),
      reinterpret_cast<const char *>(text.data()) + text.size());
  ASSERT_EQ(index.size(), 2u);
  EXPECT_EQ(index[0]["file"], "0000_t.npy");
  EXPECT_EQ(index[0]["node"], "/model/add");
}

TEST_F(EfrunTest, RandomInputsAreReproducible) {
  auto outputFor = [&](const std::string &seed) {
    EXPECT_EQ(efrun("model.efa --random-inputs " + seed + " --output-dir out")
                  .exitCode,
              0);
    return readNpy(folder.file("out/y.npy"))->data;
  };
  std::vector<std::byte> first = outputFor("1");
  EXPECT_EQ(outputFor("1"), first);
  EXPECT_NE(outputFor("2"), first);
}

TEST_F(EfrunTest, MistakesAreOneSentence) {
  expectError("", "model is required");
  expectError("none.efa", "No such file");
  expectError("x.npy", "magic number");
  expectError("model.efa", "no array for input 'x'; give --input NAME=FILE.npy "
                           "for each of 'x' (37x16 f32), 'n' (1 i32)");
  expectError("model.efa --input x=x.npy", "no array for input 'n'");
  expectError("model.efa --input x", "not of the form NAME=FILE.npy");
  expectError("model.efa --input z=x.npy", "no input 'z'; it has 'x'");
  expectError("model.efa --input x=x.npy --input x=x.npy", "given twice");
  expectError("model.efa --input x=n.npy",
              "input 'x' is 37x16 f32 and 'n.npy' holds 1 i32");
  expectError("model.efa --input x=none.npy", "No such file");
  expectError("model.efa --input x=model.efa", "not an .npy file");
  expectError("model.efa --threads -1 --random-inputs 0", "--threads");
  expectError("model.efa --repeat 0 --random-inputs 0", "--repeat");
  expectError("model.efa --variant z80 --random-inputs 0",
              "has no CPU variant 'z80'");
  expectError("model.efa --bogus", "--bogus");
  expectError("--threads 2 " + folder.path, "make it the first argument");
  expectError("model.efa --random-inputs 0 --output-dir x.npy",
              "cannot create the folder 'x.npy'");
  EXPECT_FALSE(std::filesystem::exists(folder.file("out")));
}

TEST_F(EfrunTest, ControlCharactersInNamesDoNotReachTheFileSystem) {
  test.model.outputs[0]->name = "../../e\n";
  writeFile(model, test.assemble());
  EXPECT_EQ(efrun("model.efa --random-inputs 0 --output-dir out").exitCode, 0);
  EXPECT_TRUE(std::filesystem::exists(folder.file("out/.._.._e_.npy")));
}

TEST_F(EfrunTest, FullDiskIsASentenceAndLeavesNothing) {
  Outcome outcome = efrun("model.efa --random-inputs 0 --json /dev/full");
  EXPECT_EQ(outcome.exitCode, 1);
  EXPECT_THAT(
      outcome.text,
      HasSubstr(
          "efrun: error: cannot write '/dev/full': No space left on device"));
}

TEST_F(EfrunTest, InterruptLeavesNothing) {
  std::string command =
      "cd " + folder.path +
      " && timeout --preserve-status -s INT 0.5 " EFRT_TEST_EFRUN
      " model.efa --random-inputs 0 --repeat 1000000 "
      "--output-dir out --json report.json >log 2>&1";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 130);
  EXPECT_FALSE(std::filesystem::exists(folder.file("out")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("report.json")));
}

TEST_F(EfrunTest, HelpSucceeds) {
  Outcome outcome = efrun("--help");
  EXPECT_EQ(outcome.exitCode, 0);
  EXPECT_THAT(outcome.text, HasSubstr("--dump-tensors DIR"));
}
