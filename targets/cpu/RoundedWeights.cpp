// See RoundedWeights.h. An interface of the dialect is where a context keeps
// something, as it keeps the blobs of dense resources.
#include "targets/cpu/RoundedWeights.h"

#include "dialects/cpu/CpuDialect.h"

#include "mlir/IR/DialectInterface.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

namespace {
struct Holder : DialectInterface::Base<Holder> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Holder)
  explicit Holder(Dialect *dialect) : Base(dialect) {}
  /// Interfaces are handed out as constants.
  mutable RoundedWeights weights;
};
} // namespace

RoundedWeights &RoundedWeights::of(MLIRContext *context) {
  auto *dialect = context->getOrLoadDialect<CpuDialect>();
  const auto *holder = dialect->getRegisteredInterface<Holder>();
  if (!holder)
    holder = &dialect->addInterface<Holder>();
  return holder->weights;
}

RoundedWeights::Key RoundedWeights::keyOf(Value value,
                                          const ef::WeightStore &store) {
  MLIRContext *context = value.getContext();
  Key key{StringAttr::get(context, store.getModelDir()).getAsOpaquePointer()};
  SmallVector<Value> stack{value};
  while (!stack.empty()) {
    Value next = stack.pop_back_val();
    Operation *op = next.getDefiningOp();
    if (!op) {
      key.push_back(next.getAsOpaquePointer());
      continue;
    }
    // Names, types and attributes are unique in their context.
    key.push_back(op->getName().getAsOpaquePointer());
    key.push_back(op->getAttrDictionary().getAsOpaquePointer());
    key.push_back(next.getType().getAsOpaquePointer());
    key.push_back(
        reinterpret_cast<const void *>(uintptr_t(op->getNumOperands())));
    llvm::append_range(stack, op->getOperands());
  }
  return key;
}

llvm::Expected<ef::HostTensor> RoundedWeights::get(Value value,
                                                   ef::WeightStore &store) {
  Key key = keyOf(value, store);
  std::lock_guard lock(mutex);
  auto found = kept.find(key);
  if (found != kept.end())
    return found->second;
  llvm::Expected<ef::HostTensor> tensor = store.evaluate(value);
  if (tensor)
    kept.emplace(std::move(key), *tensor);
  return tensor;
}

llvm::Expected<ef::HostTensor> RoundedWeights::take(Value value,
                                                    ef::WeightStore &store) {
  std::lock_guard lock(mutex);
  auto found = kept.find(keyOf(value, store));
  if (found == kept.end())
    return store.evaluate(value);
  ef::HostTensor tensor = found->second;
  kept.erase(found);
  return tensor;
}
