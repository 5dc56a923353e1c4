// See NpuWeights.h.
#include "compiler/artifact/NpuWeights.h"

#include "targets/exynos_npu/Convert.h"

using namespace mlir;
using namespace efc;

llvm::Error efc::streamNpuWeights(npu::ProgramOp program,
                                  ef::WeightStore &store,
                                  const ArtifactWriter::Sink &sink) {
  std::vector<char> bytes;
  int64_t at = 0;
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
  }
  bytes.assign(program.getSlotBytes()[0] - at, 0);
  return sink(bytes);
}
