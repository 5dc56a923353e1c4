// The C interface of the text-to-image pipeline: thin wrappers.
#include "efrt/TextToImage.h"
#include "efrt/efrt_pipeline.h"
#include "runtime/core/CApiSupport.h"

using namespace efrt;

struct efrt_text_to_image {
  std::unique_ptr<TextToImage> pipeline;
};

struct efrt_image {
  GeneratedImage image;
};

static Status missing(const char *what) {
  return Status(StatusCode::InvalidArgument,
                std::string(what) + " must not be NULL");
}

efrt_status efrt_text_to_image_load(const char *folder,
                                    const efrt_text_to_image_options *options,
                                    efrt_text_to_image **pipeline) {
  return guard([&]() -> Status {
    if (!pipeline)
      return missing("pipeline");
    *pipeline = nullptr;
    if (!folder)
      return missing("folder");
    TextToImageOptions converted;
    if (options) {
      converted.threads = options->threads;
      converted.variant = options->variant ? options->variant : "";
      converted.lowMemory = options->low_memory != 0;
      converted.device = options->device ? options->device : "";
    }
    Result<std::unique_ptr<TextToImage>> loaded =
        TextToImage::load(folder, converted);
    if (!loaded)
      return loaded.status();
    *pipeline = new efrt_text_to_image{std::move(*loaded)};
    return {};
  });
}

void efrt_text_to_image_free(efrt_text_to_image *pipeline) { delete pipeline; }

efrt_status efrt_text_to_image_generate(efrt_text_to_image *pipeline,
                                        const efrt_generation_params *params,
                                        efrt_progress_callback progress,
                                        efrt_cancel_callback cancelled,
                                        void *user_data, efrt_image **image) {
  return guard([&]() -> Status {
    if (!image)
      return missing("image");
    *image = nullptr;
    if (!pipeline || !params || !params->prompt)
      return missing("pipeline, params and its prompt");
    GenerationParams converted;
    converted.prompt = params->prompt;
    converted.steps = params->steps;
    converted.seed = params->seed;
    converted.guidance = params->guidance;
    if (params->initial_latents)
      converted.initialLatents.assign(params->initial_latents,
                                      params->initial_latents +
                                          params->num_initial_latents);
    ProgressCallback onProgress;
    if (progress)
      onProgress = [=](const Progress &now) {
        progress(std::string(now.stage).c_str(), now.done, now.total,
                 user_data);
      };
    std::function<bool()> isCancelled;
    if (cancelled)
      isCancelled = [=] { return cancelled(user_data) != 0; };
    Result<GeneratedImage> result =
        pipeline->pipeline->generate(converted, onProgress, isCancelled);
    if (!result)
      return result.status();
    *image = new efrt_image{std::move(*result)};
    return {};
  });
}

void efrt_image_free(efrt_image *image) { delete image; }

int64_t efrt_image_width(const efrt_image *image) { return image->image.width; }

int64_t efrt_image_height(const efrt_image *image) {
  return image->image.height;
}

const uint8_t *efrt_image_rgb(const efrt_image *image) {
  return image->image.rgb.data();
}

const float *efrt_image_values(const efrt_image *image) {
  return image->image.values.data();
}

const float *efrt_image_latents(const efrt_image *image, int64_t shape[3]) {
  if (shape) {
    shape[0] = image->image.latentChannels;
    shape[1] = image->image.latentHeight;
    shape[2] = image->image.latentWidth;
  }
  return image->image.latents.data();
}

size_t efrt_image_num_stages(const efrt_image *image) {
  return image->image.times.size();
}

const char *efrt_image_stage(const efrt_image *image, size_t index,
                             double *seconds) {
  if (index >= image->image.times.size())
    return nullptr;
  const StageTime &time = image->image.times[index];
  if (seconds)
    *seconds = time.seconds;
  return time.stage.c_str();
}

efrt_status efrt_image_write_png(const efrt_image *image, const char *path) {
  return guard([&]() -> Status {
    if (!image || !path)
      return missing("image and path");
    return writePng(path, image->image);
  });
}
