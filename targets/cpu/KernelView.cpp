// See KernelView.h.
#include "targets/cpu/KernelView.h"

#include "targets/cpu/KernelBuilder.h"
#include "targets/cpu/kernels/QuantizedOperands.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static bool isTail(Operation *op) {
  return isa<ef::UnaryOp, ef::BinaryOp, ef::SelectOp, ef::CastOp>(op) ||
         isQuantizationCast(op);
}

KernelView::KernelView(Operation *root) : root(root) {
  auto fused = dyn_cast<ef::FusedOp>(root);
  if (!fused) {
    if (isTail(root))
      epilogue.push_back(root);
    else
      anchor = root;
    results.assign(root->result_begin(), root->result_end());
    return;
  }
  anchor = fused.getAnchor();
  bool afterAnchor = !anchor;
  for (Operation &op : fused.getBlock().without_terminator()) {
    if (&op == anchor)
      afterAnchor = true;
    else
      (afterAnchor ? epilogue : prologue).push_back(&op);
  }
  Operation *yield = fused.getBlock().getTerminator();
  results.assign(yield->operand_begin(), yield->operand_end());
}

Value KernelView::outer(Value inner) const {
  if (!isa<ef::FusedOp>(root))
    return inner.getDefiningOp() == root ? Value() : inner;
  auto argument = dyn_cast<BlockArgument>(inner);
  return argument ? root->getOperand(argument.getArgNumber()) : Value();
}

RankedTensorType KernelView::resultType(unsigned index) const {
  return cast<RankedTensorType>(root->getResult(index).getType());
}

/// All attributes but the scales of quantised kernels, which are data.
static void printAttributes(raw_ostream &os, Attribute attributes) {
  auto dictionary = dyn_cast_or_null<DictionaryAttr>(attributes);
  if (!dictionary) {
    os << attributes;
    return;
  }
  for (NamedAttribute attribute : dictionary)
    if (attribute.getName() != "score_scale")
      os << attribute.getName() << '=' << attribute.getValue() << ' ';
}

std::string KernelView::key() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::DenseMap<Value, unsigned> numbers;
  auto number = [&](Value value) {
    return numbers.try_emplace(value, numbers.size()).first->second;
  };
  auto describe = [&](Operation *op) {
    auto print = [&](Value value) {
      os << number(value) << ':';
      printStructure(os, value.getType());
      os << ' ';
    };
    os << op->getName() << '{';
    printAttributes(os, op->getAttrDictionary());
    printAttributes(os, op->getPropertiesAsAttribute());
    os << "}(";
    llvm::for_each(op->getOperands(), print);
    os << ")=";
    llvm::for_each(op->getResults(), print);
    os << ';';
  };
  if (!isa<ef::FusedOp>(root)) {
    describe(root);
    return text;
  }
  for (Value argument : cast<ef::FusedOp>(root).getBlock().getArguments())
    os << number(argument) << ' ';
  for (Operation &op : cast<ef::FusedOp>(root).getBlock())
    describe(&op);
  return text;
}

static StringRef nameInLabel(Operation *op) {
  if (auto unary = dyn_cast<ef::UnaryOp>(op))
    return ef::stringifyUnaryKind(unary.getKind());
  if (auto binary = dyn_cast<ef::BinaryOp>(op))
    return ef::stringifyBinaryKind(binary.getKind());
  if (auto reduce = dyn_cast<ef::ReduceOp>(op))
    return ef::stringifyReduceKind(reduce.getKind());
  return op->getName().stripDialect();
}

std::string KernelView::label() const {
  SmallVector<StringRef> parts;
  for (Operation *op : prologue)
    parts.push_back(nameInLabel(op));
  if (anchor)
    parts.push_back(nameInLabel(anchor));
  for (Operation *op : epilogue)
    parts.push_back(nameInLabel(op));
  return llvm::join(parts, "+");
}
