// Sessions on the CPU device: values, threads, profile, observer, cancellation,
// and what can go wrong while loading.
#include "TestArtifact.h"

#include "efrt/Session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <random>

using namespace efrt;
using namespace efrt::test;
using testing::HasSubstr;
namespace fb = efc::fb;

namespace {
class SessionTest : public testing::Test {
protected:
  std::string write(const std::function<void(fb::ModelT &)> &adjust = {}) {
    std::string path = folder.file("model.efa");
    writeFile(path, test.assemble(adjust));
    return path;
  }

  std::unique_ptr<Session> load(const SessionOptions &options = {}) {
    Result<std::unique_ptr<Session>> session = Session::load(write(), options);
    EXPECT_TRUE(session.ok()) << session.status().message();
    EXPECT_TRUE((*session)->setInput(0, std::as_bytes(std::span(x))).ok());
    EXPECT_TRUE((*session)->setInput(1, std::as_bytes(std::span(&n, 1))).ok());
    return std::move(*session);
  }

  std::string loadError(const std::string &path,
                        const SessionOptions &options = {}) {
    Result<std::unique_ptr<Session>> session = Session::load(path, options);
    EXPECT_FALSE(session.ok());
    return session.ok() ? "" : session.status().message();
  }

  void SetUp() override {
    RecordProperty("seed", seed);
    std::mt19937 generator(seed);
    for (int64_t i = 0; i < kRows * kColumns; ++i)
      x.push_back(static_cast<float>(generator() % 1000) * 0.01f);
  }

  static std::vector<float> outputOf(const Session &session) {
    std::span<const std::byte> bytes = session.outputBuffer(0);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  static constexpr unsigned seed = 3;
  TestArtifact test;
  TemporaryFolder folder;
  std::vector<float> x;
  int32_t n = 3;
};
} // namespace

TEST_F(SessionTest, ComputesWhatTheKernelsDo) {
  std::unique_ptr<Session> session = load();
  ASSERT_TRUE(session->run().ok());
  EXPECT_EQ(outputOf(*session), test.expected(x, n));
  EXPECT_EQ(session->inputs()[0].name, "x");
  EXPECT_EQ(session->outputs()[0].name, "y");
  EXPECT_EQ(session->variant(), "generic");
  EXPECT_EQ(session->weightBytes(), test.weights.size() * sizeof(float));
  EXPECT_EQ(session->arenaBytes(), static_cast<size_t>(kRows * kColumns) * 4);
  EXPECT_EQ(session->metadata()[0].first, "option");
  EXPECT_TRUE(session->profile().empty());
}

TEST_F(SessionTest, ThreadsChangeNoBit) {
  for (unsigned threads : {1u, 2u, 3u, 5u, 40u}) {
    SessionOptions options;
    options.threads = threads;
    std::unique_ptr<Session> session = load(options);
    for (int repeat = 0; repeat < 20; ++repeat) {
      ASSERT_TRUE(session->run().ok());
      ASSERT_EQ(outputOf(*session), test.expected(x, n))
          << threads << " threads, run " << repeat;
    }
  }
}

TEST_F(SessionTest, InputsKeepTheirContentAndAreAligned) {
  std::unique_ptr<Session> session = load();
  ASSERT_TRUE(session->run().ok());
  n = -7;
  std::memcpy(session->inputBuffer(1).data(), &n, sizeof(n));
  ASSERT_TRUE(session->run().ok());
  EXPECT_EQ(outputOf(*session), test.expected(x, n));
  for (size_t i = 0; i < 2; ++i)
    EXPECT_EQ(reinterpret_cast<uintptr_t>(session->inputBuffer(i).data()) % 64,
              0u);
}

TEST_F(SessionTest, SessionsAreIndependent) {
  std::unique_ptr<Session> first = load();
  int32_t other = 11;
  std::unique_ptr<Session> second = load();
  ASSERT_TRUE(second->setInput(1, std::as_bytes(std::span(&other, 1))).ok());
  ASSERT_TRUE(first->run().ok());
  ASSERT_TRUE(second->run().ok());
  EXPECT_EQ(outputOf(*first), test.expected(x, n));
  EXPECT_EQ(outputOf(*second), test.expected(x, other));
}

/// The system's loader knows libraries by path, here by descriptor number: one
/// that were closed too early would come back for other code.
TEST_F(SessionTest, CodeIsNotMistakenForThatOfAnotherSession) {
  std::unique_ptr<Session> session = load();
  test.sectionData[1] = readFile(EFRT_TEST_KERNELS_EXCHANGED);
  std::swap(test.model.dispatches[0]->kernel, test.model.dispatches[1]->kernel);
  std::unique_ptr<Session> exchanged = load();
  for (Session *each : {session.get(), exchanged.get()}) {
    ASSERT_TRUE(each->run().ok());
    EXPECT_EQ(outputOf(*each), test.expected(x, n));
  }
}

TEST_F(SessionTest, ProfileCountsEachLaunch) {
  SessionOptions options;
  options.profile = true;
  std::unique_ptr<Session> session = load(options);
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(session->run().ok());
  std::vector<ProfileEntry> profile = session->profile();
  ASSERT_EQ(profile.size(), 2u);
  EXPECT_EQ(profile[0].node, "/model/add");
  EXPECT_EQ(profile[1].kernel, "scale_rows");
  EXPECT_EQ(profile[1].macs, static_cast<uint64_t>(kRows * kColumns));
  for (const ProfileEntry &entry : profile) {
    EXPECT_EQ(entry.calls, 3u);
    EXPECT_GT(entry.seconds, 0);
  }
  session->resetProfile();
  EXPECT_EQ(session->profile()[0].calls, 0u);
  EXPECT_EQ(session->profile()[0].seconds, 0);
}

TEST_F(SessionTest, ObserverSeesEveryResult) {
  std::unique_ptr<Session> session = load();
  std::vector<std::string> seen;
  std::vector<float> sums(x.size());
  session->setObserver([&](const TensorInfo &tensor, std::string_view node,
                           std::string_view op,
                           std::span<const std::byte> data) {
    seen.push_back(tensor.name + " " + std::string(node) + " " +
                   std::string(op));
    if (tensor.name == "t") {
      ASSERT_EQ(data.size(), sums.size() * sizeof(float));
      std::memcpy(sums.data(), data.data(), data.size());
    }
  });
  ASSERT_TRUE(session->run().ok());
  EXPECT_THAT(seen,
              testing::ElementsAre("t /model/add add", "y /model/scale scale"));
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(sums[i], x[i] + test.weights[i]);
  session->setObserver({});
  ASSERT_TRUE(session->run().ok());
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(SessionTest, CancellationStopsBetweenLaunches) {
  std::unique_ptr<Session> session = load();
  int launches = 0, questions = 0;
  session->setObserver([&](const auto &...) { ++launches; });
  Status status = session->run([&] { return ++questions == 2; });
  EXPECT_EQ(status.getCode(), StatusCode::Cancelled);
  EXPECT_EQ(launches, 1);
  EXPECT_TRUE(session->run([] { return false; }).ok());
  EXPECT_EQ(outputOf(*session), test.expected(x, n));
}

TEST_F(SessionTest, WrongInputSizesAreNamed) {
  std::unique_ptr<Session> session = load();
  Status status = session->setInput(0, std::as_bytes(std::span(x)).first(100));
  EXPECT_EQ(status.getCode(), StatusCode::InvalidArgument);
  EXPECT_THAT(
      status.message(),
      HasSubstr(
          "input 'x' is 37x16 f32, 2368 bytes, and 100 bytes were given"));
  EXPECT_THAT(session->setInput(2, {}).message(), HasSubstr("no input 2"));
}

TEST_F(SessionTest, FilesThatAreNoArtifacts) {
  EXPECT_THAT(loadError(folder.file("none.efa")), HasSubstr("No such file"));
  EXPECT_THAT(loadError(folder.path), HasSubstr("is a folder"));
  EXPECT_THAT(loadError("/dev/zero"), HasSubstr("not a regular file"));
  writeFile(folder.file("empty.efa"), {});
  EXPECT_THAT(loadError(folder.file("empty.efa")), HasSubstr("too few"));
}

TEST_F(SessionTest, VariantsThatCannotRun) {
  SessionOptions options;
  options.variant = "x86-64-v9";
  EXPECT_THAT(loadError(write(), options),
              HasSubstr("has no CPU variant 'x86-64-v9'; it has 'generic'"));
  test.model.variants[0]->features = {"warp-drive"};
  EXPECT_THAT(loadError(write()),
              HasSubstr("needs the processor feature 'warp-drive'"));
  test.model.variants[0]->features = {};
  test.model.variants[0]->triple = "riscv64-unknown-linux-gnu";
  EXPECT_THAT(loadError(write()),
              HasSubstr("is for 'riscv64-unknown-linux-gnu'"));
  EXPECT_THAT(loadError(write([](fb::ModelT &m) { m.variants.clear(); })),
              HasSubstr("holds no code for CPUs"));
}

TEST_F(SessionTest, TheFirstVariantThatRunsIsTaken) {
  auto better = std::make_unique<fb::CpuVariantT>(*test.model.variants[0]);
  better->name = "better";
  better->features = {"warp-drive"};
  auto worse = std::make_unique<fb::CpuVariantT>(*test.model.variants[0]);
  worse->name = "worse";
  test.model.variants.insert(test.model.variants.begin(), std::move(better));
  test.model.variants.push_back(std::move(worse));
  EXPECT_EQ(load()->variant(), "generic");
  SessionOptions options;
  options.variant = "worse";
  EXPECT_EQ(load(options)->variant(), "worse");
}

TEST_F(SessionTest, CodeThatCannotBeLoaded) {
  std::vector<std::byte> object = test.sectionData[1];
  test.sectionData[1] = std::vector<std::byte>(1000, std::byte('x'));
  EXPECT_THAT(loadError(write()), HasSubstr("is not a shared object"));
  test.sectionData[1] =
      std::vector<std::byte>(object.begin(), object.begin() + 100);
  EXPECT_THAT(loadError(write()),
              HasSubstr("cannot load the code of CPU variant 'generic'"));
  test.sectionData[1] = object;
  test.model.kernels[0] = "no_such_kernel";
  EXPECT_THAT(loadError(write()), HasSubstr("has no kernel 'no_such_kernel'"));
}

TEST_F(SessionTest, MoreMemoryThanThereIs) {
  test.model.arena_bytes = uint64_t(1) << 46;
  EXPECT_THAT(
      loadError(write()),
      HasSubstr("there is no memory for 70.4 TB of intermediate tensors"));
}

TEST_F(SessionTest, TooManyThreads) {
  SessionOptions options;
  options.threads = 100000;
  EXPECT_THAT(loadError(write(), options),
              HasSubstr("cannot run on 100000 threads"));
}

TEST_F(SessionTest, NothingStaysOpen) {
  auto countDescriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         {});
  };
  write();
  auto before = countDescriptors();
  for (int i = 0; i < 5; ++i)
    (void)load();
  EXPECT_EQ(countDescriptors(), before);
}
