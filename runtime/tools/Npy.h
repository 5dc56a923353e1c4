// NumPy's .npy files (format versions 1 to 3; numpy/lib/format.py), C order,
// little-endian.
#ifndef EFRT_TOOLS_NPY_H
#define EFRT_TOOLS_NPY_H

#include "efrt/Session.h"

namespace efrun {

/// A tensor in memory of its own. bfloat16, which NumPy does not know, is
/// stored as 2-byte void ("<V2", as ml_dtypes does).
struct Array {
  efrt::DType dtype = efrt::DType::F32;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;
};

/// Fails with one sentence for what is not an array that a model can take:
/// Fortran order, big-endian, structured, truncated, ...
efrt::Result<Array> readNpy(const std::string &path);

/// Written to a temporary file and renamed.
efrt::Status writeNpy(const std::string &path, efrt::DType dtype,
                      std::span<const int64_t> shape,
                      std::span<const std::byte> data);

} // namespace efrun

#endif
