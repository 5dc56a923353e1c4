// The C interface of the pipeline: what it refuses, and that it says why.
#include "pipelineBundle.h"

#include "efrt/efrt_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace efrt::test;
using testing::HasSubstr;

TEST(PipelineCApi, RefusesNullPointers) {
  efrt_text_to_image *pipeline = nullptr;
  EXPECT_EQ(EFRT_INVALID_ARGUMENT,
            efrt_text_to_image_load("x", nullptr, nullptr));
  EXPECT_EQ(EFRT_INVALID_ARGUMENT,
            efrt_text_to_image_load(nullptr, nullptr, &pipeline));
  EXPECT_STREQ("folder must not be NULL", efrt_last_error());
  efrt_image *image = reinterpret_cast<efrt_image *>(1);
  efrt_generation_params params = {};
  EXPECT_EQ(EFRT_INVALID_ARGUMENT,
            efrt_text_to_image_generate(nullptr, &params, nullptr, nullptr,
                                        nullptr, &image));
  EXPECT_EQ(nullptr, image);
  EXPECT_EQ(EFRT_INVALID_ARGUMENT, efrt_image_write_png(nullptr, "x.png"));
  efrt_text_to_image_free(nullptr);
  efrt_image_free(nullptr);
}

TEST(PipelineCApi, SaysWhatIsMissing) {
  efrt_text_to_image *pipeline = reinterpret_cast<efrt_text_to_image *>(1);
  EXPECT_EQ(EFRT_NOT_FOUND,
            efrt_text_to_image_load("/nonexistent", nullptr, &pipeline));
  EXPECT_EQ(nullptr, pipeline);
  EXPECT_THAT(efrt_last_error(), HasSubstr("'/nonexistent' is not a bundle"));

  TestBundle bundle; // Without artifacts.
  EXPECT_EQ(EFRT_NOT_FOUND,
            efrt_text_to_image_load(bundle.path().c_str(), nullptr, &pipeline));
  EXPECT_THAT(efrt_last_error(), HasSubstr("text_encoder.efa"));

  // With low memory they are needed at the first run only.
  efrt_text_to_image_options options = {};
  options.low_memory = 1;
  ASSERT_EQ(EFRT_OK, efrt_text_to_image_load(bundle.path().c_str(), &options,
                                             &pipeline));
  efrt_generation_params params = {};
  params.prompt = "a cat";
  params.steps = 1;
  efrt_image *image = nullptr;
  EXPECT_EQ(EFRT_NOT_FOUND,
            efrt_text_to_image_generate(pipeline, &params, nullptr, nullptr,
                                        nullptr, &image));
  EXPECT_EQ(EFRT_CANCELLED, efrt_text_to_image_generate(
                                pipeline, &params, nullptr,
                                [](void *) { return 1; }, nullptr, &image));
  params.steps = 99;
  EXPECT_EQ(EFRT_INVALID_ARGUMENT,
            efrt_text_to_image_generate(pipeline, &params, nullptr, nullptr,
                                        nullptr, &image));
  EXPECT_THAT(efrt_last_error(), HasSubstr("not in [1, 8]"));
  efrt_text_to_image_free(pipeline);
}
