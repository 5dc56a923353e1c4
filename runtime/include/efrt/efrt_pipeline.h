/* The C interface of the text-to-image pipeline. The rules of efrt.h hold:
 * statuses, efrt_last_error(), one thread per handle, handles own what they
 * give out.
 */
#ifndef EFRT_EFRT_PIPELINE_H
#define EFRT_EFRT_PIPELINE_H

#include "efrt/efrt.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct efrt_text_to_image efrt_text_to_image;
typedef struct efrt_image efrt_image;

/** Zero-initialise; every zero is the default. */
typedef struct efrt_text_to_image_options {
  unsigned threads;    /**< 0: one per core that this process may use. */
  const char *variant; /**< Name of a CPU variant; NULL: the best one. */
  int low_memory;      /**< Not 0: never more than one model in memory. */
  const char *device;  /**< What runs NPU programs; NULL: the simulator. */
} efrt_text_to_image_options;

typedef struct efrt_generation_params {
  const char *prompt; /**< UTF-8, NUL-terminated. */
  int64_t steps;      /**< 1 to 8. */
  uint64_t seed;      /**< As torch.Generator("cpu").manual_seed(seed). */
  double guidance;    /**< As diffusers' guidance_scale. */
  /** The first latent, N(0, 1), `num_initial_latents` values, channels x height
   * x width; NULL: drawn from the seed. */
  const float *initial_latents;
  size_t num_initial_latents;
} efrt_generation_params;

/** Before each stage: its name ("" at the end, when done == total). */
typedef void (*efrt_progress_callback)(const char *stage, int64_t done,
                                       int64_t total, void *user_data);

/** Loads the bundle in `folder`. `options` may be NULL. On success *pipeline is
 * a new handle, otherwise NULL. */
EFRT_API efrt_status efrt_text_to_image_load(
    const char *folder, const efrt_text_to_image_options *options,
    efrt_text_to_image **pipeline);

/** Frees the handle; images that it made stay valid. NULL is allowed. */
EFRT_API void efrt_text_to_image_free(efrt_text_to_image *pipeline);

/** Generates one image. The callbacks may be NULL; both get `user_data` and run
 * on the calling thread. On success *image is a new handle, otherwise NULL. */
EFRT_API efrt_status efrt_text_to_image_generate(
    efrt_text_to_image *pipeline, const efrt_generation_params *params,
    efrt_progress_callback progress, efrt_cancel_callback cancelled,
    void *user_data, efrt_image **image);

/** Frees the image and what it gave out. NULL is allowed. */
EFRT_API void efrt_image_free(efrt_image *image);

EFRT_API int64_t efrt_image_width(const efrt_image *image);
EFRT_API int64_t efrt_image_height(const efrt_image *image);

/** height x width x 3 bytes, rows from top to bottom. */
EFRT_API const uint8_t *efrt_image_rgb(const efrt_image *image);

/** The VAE decoder's output: 3 x height x width, nominally in [-1, 1]. */
EFRT_API const float *efrt_image_values(const efrt_image *image);

/** The final latent; *shape receives channels, height, width. */
EFRT_API const float *efrt_image_latents(const efrt_image *image,
                                         int64_t shape[3]);

EFRT_API size_t efrt_image_num_stages(const efrt_image *image);
/** Name of a stage and, where `seconds` is not NULL, its time; NULL for an
 * index that is too large. */
EFRT_API const char *efrt_image_stage(const efrt_image *image, size_t index,
                                      double *seconds);

/** Writes the image as PNG with its parameters inside; `path` appears complete
 * or not at all. */
EFRT_API efrt_status efrt_image_write_png(const efrt_image *image,
                                          const char *path);

#ifdef __cplusplus
}
#endif

#endif
