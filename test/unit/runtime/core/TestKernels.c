// The kernels of the test artifacts: one work item is a row of 16 floats.
#include <stdint.h>

enum { Columns = 16 };

// A second object has the same names on each other's code.
#ifdef EXCHANGE_NAMES
#define ADD scale_rows
#define SCALE add_rows
#else
#define ADD add_rows
#define SCALE scale_rows
#endif

/// y = x + w
void ADD(void *const *tensors, void *scratch, int64_t begin, int64_t end) {
  const float *x = tensors[0], *w = tensors[1];
  float *y = tensors[2];
  for (int64_t i = begin * Columns; i < end * Columns; ++i)
    y[i] = x[i] + w[i];
}

/// y[r, c] = n * x[r, c] + sum(x[r, :]); the row goes through the scratch,
/// which therefore must be the thread's own.
void SCALE(void *const *tensors, void *scratch, int64_t begin, int64_t end) {
  const float *x = tensors[0];
  const int32_t *n = tensors[1];
  float *y = tensors[2], *row = scratch;
  for (int64_t r = begin; r < end; ++r) {
    float sum = 0;
    for (int c = 0; c < Columns; ++c)
      row[c] = x[r * Columns + c];
    for (int c = 0; c < Columns; ++c)
      sum += row[c];
    for (int c = 0; c < Columns; ++c)
      y[r * Columns + c] = (float)*n * row[c] + sum;
  }
}
