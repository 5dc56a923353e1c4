// The C interface as a C program sees it: this file is C, so the header must be
// too.
#include "efrt/efrt.h"

#include <string.h>

static int alwaysCancel(void *userData) {
  ++*(int *)userData;
  return 1;
}

/// Runs the artifact once with x and n; returns the first status that is not
/// EFRT_OK.
efrt_status runThroughC(const char *path, const float *x, size_t xBytes,
                        int32_t n, float *y) {
  efrt_session_options options = {0};
  efrt_session *session = NULL;
  options.threads = 2;
  options.profile = 1;
  efrt_status status = efrt_session_load(path, &options, &session);
  if (status != EFRT_OK)
    return status;
  if (efrt_session_num_inputs(session) == 2)
    memcpy(efrt_session_input_buffer(session, 1), &n, sizeof(n));
  status = efrt_session_set_input(session, 0, x, xBytes);
  if (status == EFRT_OK)
    status = efrt_session_run(session, NULL, NULL);
  efrt_tensor_info info;
  if (status == EFRT_OK)
    status = efrt_session_output_info(session, 0, &info);
  if (status == EFRT_OK)
    memcpy(y, efrt_session_output_buffer(session, 0), info.bytes);
  efrt_session_free(session);
  return status;
}

efrt_status cancelThroughC(efrt_session *session, int *questions) {
  return efrt_session_run(session, alwaysCancel, questions);
}
