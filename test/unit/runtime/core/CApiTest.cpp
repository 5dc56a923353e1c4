// The C interface: values, error texts, and that no misuse gets past it.
#include "TestArtifact.h"

#include "efrt/efrt.h"
#include "runtime/core/CApiSupport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

using namespace efrt;
using namespace efrt::test;
using testing::HasSubstr;

extern "C" {
efrt_status runThroughC(const char *path, const float *x, size_t xBytes,
                        int32_t n, float *y);
efrt_status cancelThroughC(efrt_session *session, int *questions);
}

namespace {
class CApiTest : public testing::Test {
protected:
  void SetUp() override { writeFile(path, test.assemble()); }

  TestArtifact test;
  TemporaryFolder folder;
  std::string path = folder.file("model.efa");
};
} // namespace

TEST_F(CApiTest, RunsFromC) {
  std::vector<float> x(static_cast<size_t>(kRows * kColumns), 0.5f),
      y(x.size());
  ASSERT_EQ(runThroughC(path.c_str(), x.data(), x.size() * sizeof(float), 4,
                        y.data()),
            EFRT_OK)
      << efrt_last_error();
  EXPECT_EQ(y, test.expected(x, 4));
  EXPECT_EQ(runThroughC(path.c_str(), x.data(), 12, 4, y.data()),
            EFRT_INVALID_ARGUMENT);
  EXPECT_THAT(efrt_last_error(), HasSubstr("12 bytes were given"));
}

TEST_F(CApiTest, DescribesTheModel) {
  efrt_session_options options = {};
  options.threads = 1;
  options.variant = "generic";
  options.profile = 1;
  efrt_session *session = nullptr;
  ASSERT_EQ(efrt_session_load(path.c_str(), &options, &session), EFRT_OK)
      << efrt_last_error();
  efrt_tensor_info info;
  ASSERT_EQ(efrt_session_input_info(session, 0, &info), EFRT_OK);
  EXPECT_STREQ(info.name, "x");
  EXPECT_EQ(info.dtype, EFRT_F32);
  ASSERT_EQ(info.rank, 2u);
  EXPECT_EQ(info.shape[0], kRows);
  EXPECT_EQ(info.bytes, static_cast<size_t>(kRows * kColumns) * 4);
  EXPECT_EQ(efrt_session_input_info(session, 2, &info), EFRT_INVALID_ARGUMENT);
  EXPECT_EQ(efrt_session_input_buffer(session, 2), nullptr);
  EXPECT_EQ(efrt_session_output_buffer(session, 1), nullptr);
  EXPECT_STREQ(efrt_session_variant(session), "generic");
  EXPECT_EQ(efrt_session_weight_bytes(session), test.weights.size() * 4);
  ASSERT_EQ(efrt_session_run(session, nullptr, nullptr), EFRT_OK);
  ASSERT_EQ(efrt_session_profile(session), 2u);
  efrt_profile_entry entry;
  ASSERT_EQ(efrt_session_profile_entry(session, 1, &entry), EFRT_OK);
  EXPECT_STREQ(entry.op, "scale");
  EXPECT_EQ(entry.calls, 1u);
  EXPECT_EQ(efrt_session_profile_entry(session, 2, &entry),
            EFRT_INVALID_ARGUMENT);
  int questions = 0;
  EXPECT_EQ(cancelThroughC(session, &questions), EFRT_CANCELLED);
  EXPECT_EQ(questions, 1);
  efrt_session_free(session);
}

TEST_F(CApiTest, FailureLeavesNoHandle) {
  auto *session = reinterpret_cast<efrt_session *>(8);
  EXPECT_EQ(efrt_session_load(folder.file("none").c_str(), nullptr, &session),
            EFRT_NOT_FOUND);
  EXPECT_EQ(session, nullptr);
  EXPECT_THAT(efrt_last_error(), HasSubstr("none"));
}

TEST_F(CApiTest, NullsAreAnswered) {
  efrt_session *session = nullptr;
  efrt_tensor_info info;
  efrt_profile_entry entry;
  EXPECT_EQ(efrt_session_load(nullptr, nullptr, &session),
            EFRT_INVALID_ARGUMENT);
  EXPECT_EQ(efrt_session_load(path.c_str(), nullptr, nullptr),
            EFRT_INVALID_ARGUMENT);
  EXPECT_EQ(efrt_session_run(nullptr, nullptr, nullptr), EFRT_INVALID_ARGUMENT);
  EXPECT_EQ(efrt_session_set_input(nullptr, 0, nullptr, 0),
            EFRT_INVALID_ARGUMENT);
  EXPECT_EQ(efrt_session_input_info(nullptr, 0, &info), EFRT_INVALID_ARGUMENT);
  EXPECT_EQ(efrt_session_output_info(nullptr, 0, &info), EFRT_INVALID_ARGUMENT);
  EXPECT_EQ(efrt_session_profile_entry(nullptr, 0, &entry),
            EFRT_INVALID_ARGUMENT);
  EXPECT_EQ(efrt_session_profile(nullptr), 0u);
  EXPECT_EQ(efrt_session_num_inputs(nullptr), 0u);
  EXPECT_EQ(efrt_session_input_buffer(nullptr, 0), nullptr);
  EXPECT_STREQ(efrt_session_variant(nullptr), "");
  efrt_session_free(nullptr);
}

TEST_F(CApiTest, ErrorsBelongToTheirThread) {
  efrt_session *session = nullptr;
  (void)efrt_session_load(folder.file("first").c_str(), nullptr, &session);
  std::string other = "unset";
  std::thread([&] { other = efrt_last_error(); }).join();
  EXPECT_EQ(other, "");
  EXPECT_THAT(efrt_last_error(), HasSubstr("first"));
}

TEST_F(CApiTest, ExceptionsBecomeCodes) {
  EXPECT_EQ(guard([]() -> Status { throw std::bad_alloc(); }),
            EFRT_OUT_OF_MEMORY);
  EXPECT_EQ(guard([]() -> Status { throw std::runtime_error("surprise"); }),
            EFRT_INTERNAL);
  EXPECT_STREQ(efrt_last_error(), "surprise");
  EXPECT_EQ(guard([]() -> Status { throw 1; }), EFRT_INTERNAL);
  EXPECT_STREQ(efrt_version(), "0.1.0");
}
