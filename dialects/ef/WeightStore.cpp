// Maps the files of a model, and evaluates expressions over its weights.
#include "dialects/ef/WeightStore.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <sys/mman.h>

using namespace mlir;
using namespace efc::ef;
using llvm::Error;
using llvm::Expected;
namespace path = llvm::sys::path;

template <typename... Args>
static Error makeError(const char *format, Args... args) {
  return llvm::createStringError(std::errc::invalid_argument, format, args...);
}

WeightStore::WeightStore(std::string modelDir) : modelDir(std::move(modelDir)) {
  if (this->modelDir.empty())
    this->modelDir = ".";
}

/// The real path of `file` in `modelDir`; fails if that leaves the folder.
static Expected<std::string> resolveInside(const std::string &modelDir,
                                           StringRef file) {
  std::string name = file.str();
  if (file.empty() || file.contains('\0'))
    return makeError("a weight names no valid file");
  bool climbs =
      llvm::any_of(llvm::make_range(path::begin(file), path::end(file)),
                   [](StringRef component) { return component == ".."; });
  if (path::is_absolute(file) || climbs)
    return makeError("the weights file '%s' leaves the folder of the model; "
                     "only relative paths inside that folder are read",
                     name.c_str());
  SmallString<256> realDir, candidate(modelDir), realFile;
  if (std::error_code error = llvm::sys::fs::real_path(modelDir, realDir))
    return makeError("cannot open the folder of the model '%s': %s",
                     modelDir.c_str(), error.message().c_str());
  path::append(candidate, file);
  if (std::error_code error = llvm::sys::fs::real_path(candidate, realFile))
    return makeError("cannot open the weights file '%s': %s", candidate.c_str(),
                     error.message().c_str());
  bool inside = StringRef(realFile).starts_with(realDir) &&
                (realDir == "/" || (realFile.size() > realDir.size() &&
                                    realFile[realDir.size()] == '/'));
  if (!inside)
    return makeError("the weights file '%s' is a link that leaves the folder "
                     "of the model; copy the file into the folder",
                     name.c_str());
  if (!llvm::sys::fs::is_regular_file(realFile))
    return makeError("the weights file '%s' is not a regular file",
                     name.c_str());
  return std::string(realFile);
}

Expected<ArrayRef<char>> WeightStore::getBytes(StringRef file, uint64_t offset,
                                               uint64_t size) {
  auto found = files.find(file);
  if (found == files.end()) {
    Expected<std::string> real = resolveInside(modelDir, file);
    if (!real)
      return real.takeError();
    auto buffer = llvm::MemoryBuffer::getFile(*real, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false);
    if (!buffer)
      return makeError("cannot read the weights file '%s': %s", real->c_str(),
                       buffer.getError().message().c_str());
    found = files.try_emplace(file, std::move(*buffer)).first;
  }
  llvm::MemoryBuffer &buffer = *found->second;
  if (offset > buffer.getBufferSize() || size > buffer.getBufferSize() - offset)
    return makeError("the weights file '%s' has %llu bytes, but a weight needs "
                     "%llu at offset %llu; is the file complete?",
                     file.str().c_str(),
                     static_cast<unsigned long long>(buffer.getBufferSize()),
                     static_cast<unsigned long long>(size),
                     static_cast<unsigned long long>(offset));
  return ArrayRef<char>(buffer.getBufferStart() + offset, size);
}

Expected<HostTensor> WeightStore::get(WeightOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  uint64_t size =
      type.getNumElements() * getElementBytes(type.getElementType());
  Expected<ArrayRef<char>> bytes = getBytes(op.getFile(), op.getOffset(), size);
  if (!bytes)
    return makeError("weight '%s': %s", op.getName().str().c_str(),
                     llvm::toString(bytes.takeError()).c_str());
  return HostTensor::borrow(type, *bytes);
}

void WeightStore::releasePages() {
  // MemoryBuffer::dontNeedIfMmap() asks by posix_madvise, which glibc ignores.
  for (auto &file : files) {
    llvm::MemoryBuffer &buffer = *file.second;
    if (buffer.getBufferKind() == llvm::MemoryBuffer::MemoryBuffer_MMap)
      (void)madvise(const_cast<char *>(buffer.getBufferStart()),
                    buffer.getBufferSize(), MADV_DONTNEED);
  }
}

/// The operations that `value` depends on, each after those that it uses; fails
/// at one that is neither a leaf nor evaluable.
static LogicalResult collectExpression(Value value,
                                       llvm::SetVector<Operation *> &order) {
  SmallVector<std::pair<Operation *, unsigned>> stack;
  llvm::SmallPtrSet<Operation *, 16> entered;
  auto enter = [&](Value operand) {
    Operation *op = operand.getDefiningOp();
    if (!op || !isa<WeightOp, EvaluableOpInterface>(op))
      return failure();
    if (entered.insert(op).second)
      stack.emplace_back(op, 0);
    return success();
  };
  if (failed(enter(value)))
    return failure();
  while (!stack.empty()) {
    auto &[op, next] = stack.back();
    if (next == op->getNumOperands()) {
      order.insert(op);
      stack.pop_back();
      continue;
    }
    Value operand = op->getOperand(next++);
    if (failed(enter(operand)))
      return failure();
  }
  return success();
}

bool efc::ef::isConstantExpression(Value value) {
  llvm::SetVector<Operation *> order;
  return succeeded(collectExpression(value, order));
}

Expected<HostTensor> WeightStore::evaluate(Value value) {
  llvm::SetVector<Operation *> order;
  if (failed(collectExpression(value, order)))
    return makeError("the value is not a constant expression: it depends on an "
                     "input of the model");
  llvm::DenseMap<Value, HostTensor> values;
  for (Operation *op : order) {
    if (auto weight = dyn_cast<WeightOp>(op)) {
      Expected<HostTensor> tensor = get(weight);
      if (!tensor)
        return tensor.takeError();
      values[weight.getResult()] = *tensor;
      continue;
    }
    SmallVector<HostTensor> operands, results;
    for (Value operand : op->getOperands())
      operands.push_back(values.lookup(operand));
    if (failed(cast<EvaluableOpInterface>(op).evaluate(operands, results)))
      return makeError("evaluation of '%s' failed",
                       op->getName().getStringRef().str().c_str());
    for (auto [result, tensor] : llvm::zip_equal(op->getResults(), results))
      values[result] = tensor;
  }
  return values.lookup(value);
}
