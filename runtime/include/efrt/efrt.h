/* The C interface of the runtime: load an artifact, write its inputs, run it,
 * read its outputs.
 *
 * Every function that can fail returns an efrt_status; efrt_last_error() then
 * holds one sentence for the user, per thread, until the thread's next failing
 * call. No exception and no signal leaves the library. Handles are created by
 * efrt_*_load and freed by efrt_*_free; pointers that a handle gives out belong
 * to it and live as long as it does, unless said otherwise. A handle is used by
 * one thread at a time; different handles are independent. All tensors are
 * dense, row-major and little-endian.
 */
#ifndef EFRT_EFRT_H
#define EFRT_EFRT_H

#include <stddef.h>
#include <stdint.h>

#include "efrt/Export.h"

/* The names are C's. NOLINTBEGIN(readability-identifier-naming) */

#ifdef __cplusplus
extern "C" {
#endif

/** The same numbers as efrt::StatusCode. */
typedef enum efrt_status {
  EFRT_OK = 0,
  EFRT_INVALID_ARGUMENT, /**< The caller's or the user's input is wrong. */
  EFRT_NOT_FOUND,
  EFRT_CORRUPT_DATA, /**< A file is not what it says it is. */
  EFRT_UNSUPPORTED,  /**< Valid, but this build or this machine cannot do it. */
  EFRT_OUT_OF_MEMORY,
  EFRT_IO_ERROR,
  EFRT_CANCELLED,
  EFRT_INTERNAL
} efrt_status;

/** The same numbers as efrt::DType. */
typedef enum efrt_dtype {
  EFRT_F32 = 0,
  EFRT_F64,
  EFRT_F16,
  EFRT_BF16,
  EFRT_I1,
  EFRT_I8,
  EFRT_I16,
  EFRT_I32,
  EFRT_I64,
  EFRT_U8,
  EFRT_U16,
  EFRT_U32,
  EFRT_U64
} efrt_dtype;

typedef struct efrt_session efrt_session;

/** Zero-initialise; every zero is the default. */
typedef struct efrt_session_options {
  unsigned threads;    /**< 0: one per core that this process may use. */
  const char *variant; /**< Name of a CPU variant; NULL: the best one that this
                          machine runs. */
  int profile;         /**< Not 0: measure each launch. */
  const char *device;  /**< What runs NPU programs; NULL: the simulator. */
  int timing_only;     /**< Not 0: runs compute nothing; see
                          efrt_session_simulated_seconds(). */
} efrt_session_options;

typedef struct efrt_tensor_info {
  const char *name;
  efrt_dtype dtype;
  size_t rank;
  const int64_t *shape; /**< `rank` extents. */
  size_t bytes;         /**< Of the whole tensor. */
} efrt_tensor_info;

/** Time and work of one launch, summed over the runs so far. */
typedef struct efrt_profile_entry {
  const char *node;   /**< ONNX node. */
  const char *op;     /**< What the launch does. */
  const char *kernel; /**< Its symbol. */
  uint64_t calls;
  double seconds;
  uint64_t macs, bytes; /**< Of one call. */
  const char *device;
  double simulated_seconds; /**< Of one call; 0 on real devices. */
} efrt_profile_entry;

/** "0.1.0". */
EFRT_API const char *efrt_version(void);

/** The sentence of this thread's last failure; "" before the first. Valid until
 * the thread's next failing call. */
EFRT_API const char *efrt_last_error(void);

/** Maps and verifies the artifact at `path`. `options` may be NULL. On success
 * *session is a new handle, otherwise NULL. */
EFRT_API efrt_status efrt_session_load(const char *path,
                                       const efrt_session_options *options,
                                       efrt_session **session);

/** Frees the handle and all that it gave out. NULL is allowed. */
EFRT_API void efrt_session_free(efrt_session *session);

EFRT_API size_t efrt_session_num_inputs(const efrt_session *session);
EFRT_API size_t efrt_session_num_outputs(const efrt_session *session);

/** Fills *info; its pointers belong to the session. Fails with
 * EFRT_INVALID_ARGUMENT for an index that is too large. */
EFRT_API efrt_status efrt_session_input_info(const efrt_session *session,
                                             size_t index,
                                             efrt_tensor_info *info);
EFRT_API efrt_status efrt_session_output_info(const efrt_session *session,
                                              size_t index,
                                              efrt_tensor_info *info);

/** The session's memory of an input, 64-byte aligned: write it before a run; it
 * keeps its content. NULL for an index that is too large. */
EFRT_API void *efrt_session_input_buffer(efrt_session *session, size_t index);

/** The session's memory of an output, valid until the next run. NULL for an
 * index that is too large. */
EFRT_API const void *efrt_session_output_buffer(const efrt_session *session,
                                                size_t index);

/** Copies `bytes` bytes of `data` into an input; fails unless that is exactly
 * the input's size. */
EFRT_API efrt_status efrt_session_set_input(efrt_session *session, size_t index,
                                            const void *data, size_t bytes);

/** Asked between launches; not 0 ends the run with EFRT_CANCELLED. */
typedef int (*efrt_cancel_callback)(void *user_data);

/** Runs the model once. `cancelled` may be NULL. */
EFRT_API efrt_status efrt_session_run(efrt_session *session,
                                      efrt_cancel_callback cancelled,
                                      void *user_data);

/** Takes a snapshot of the profile and returns its number of entries: 0 unless
 * the option was set. */
EFRT_API size_t efrt_session_profile(efrt_session *session);

/** An entry of the last snapshot; its pointers live until the next one. */
EFRT_API efrt_status efrt_session_profile_entry(const efrt_session *session,
                                                size_t index,
                                                efrt_profile_entry *entry);

/** What the launches on a simulated device take on the simulated machine, in a
 * run. */
EFRT_API double efrt_session_simulated_seconds(const efrt_session *session);

EFRT_API size_t efrt_session_arena_bytes(const efrt_session *session);
EFRT_API size_t efrt_session_weight_bytes(const efrt_session *session);

/** The CPU variant that runs, the simulated machine, or both. */
EFRT_API const char *efrt_session_variant(const efrt_session *session);

#ifdef __cplusplus
}
#endif

/* NOLINTEND(readability-identifier-naming) */

#endif
