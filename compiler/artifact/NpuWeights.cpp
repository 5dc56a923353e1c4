// See NpuWeights.h.
#include "compiler/artifact/NpuWeights.h"

#include "targets/exynos_npu/Convert.h"

using namespace mlir;
using namespace efc;

/// After so many bytes the model's own are given back, so that a compile does
/// not end with all of its weights in memory.
static constexpr int64_t kReleaseBytes = int64_t(32) << 20;

llvm::Error efc::streamNpuWeights(npu::ProgramOp program,
                                  ef::WeightStore &store,
                                  const ArtifactWriter::Sink &sink) {
  std::vector<char> bytes;
  int64_t at = 0, released = 0;
  for (npu::ConstantOp constant : npu::constantsOf(program)) {
    int64_t offset = constant.getOffset(), size = npu::bytesOf(constant);
    bytes.assign(offset - at, 0);
    if (llvm::Error error = sink(bytes))
      return error;
    bytes.assign(size, 0);
    if (llvm::Error error = npu::writeConstant(constant, store, bytes))
      return error;
    if (llvm::Error error = sink(bytes))
      return error;
    at = offset + size;
    if (at - released < kReleaseBytes)
      continue;
    store.releasePages();
    released = at;
  }
  store.releasePages();
  bytes.assign(program.getSlotBytes()[0] - at, 0);
  return sink(bytes);
}
