// ef.fused: one kernel as a region of `ef` operations.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Quantized.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace efc::ef;

bool FusedOp::isAnchor(Operation *op) {
  return isa<ConvOp, ConvTransposeOp, MatmulOp, AttentionOp, GroupNormOp,
             LayerNormOp, SoftmaxOp, ReduceOp, PoolOp>(op);
}

Operation *FusedOp::getAnchor() {
  for (Operation &op : getBlock())
    if (isAnchor(&op))
      return &op;
  return nullptr;
}

ParseResult FusedOp::parse(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  auto parseBinding = [&]() -> ParseResult {
    return failure(parser.parseArgument(arguments.emplace_back()) ||
                   parser.parseEqual() ||
                   parser.parseOperand(operands.emplace_back()));
  };
  FunctionType type;
  SMLoc location = parser.getCurrentLocation();
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren,
                                     parseBinding) ||
      parser.parseOptionalAttrDictWithKeyword(state.attributes) ||
      parser.parseColonType(type))
    return failure();
  if (type.getNumInputs() != arguments.size())
    return parser.emitError(location)
           << "has " << arguments.size() << " operands, but its type has "
           << type.getNumInputs();
  for (auto [argument, argumentType] :
       llvm::zip_equal(arguments, type.getInputs()))
    argument.type = argumentType;
  state.addTypes(type.getResults());
  return failure(parser.resolveOperands(operands, type.getInputs(), location,
                                        state.operands) ||
                 parser.parseRegion(*state.addRegion(), arguments,
                                    /*enableNameShadowing=*/true));
}

void FusedOp::print(OpAsmPrinter &printer) {
  printer << " (";
  llvm::interleaveComma(llvm::zip_equal(getBlock().getArguments(), getInputs()),
                        printer, [&](auto binding) {
                          printer << std::get<0>(binding) << " = "
                                  << std::get<1>(binding);
                        });
  printer << ")";
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs());
  printer << " : ";
  printer.printFunctionalType(*this);
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult FusedOp::verify() {
  Block &block = getBlock();
  if (block.getArgumentTypes() != getInputs().getTypes())
    return emitOpError(
        "has a region whose arguments do not have the types of its operands");
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield)
    return emitOpError("needs an ef.yield at the end of its region");
  if (yield.getValues().getTypes() != getResults().getTypes())
    return emitOpError(
        "yields values that do not have the types of its results");
  Operation *anchor = nullptr;
  for (Operation &op : block.without_terminator()) {
    if (!isa<EvaluableOpInterface>(op) || isa<FusedOp>(op))
      return emitOpError() << "cannot hold '" << op.getName() << "'";
    if (!isAnchor(&op))
      continue;
    if (anchor)
      return emitOpError() << "holds two anchors, '" << anchor->getName()
                           << "' and '" << op.getName() << "'";
    anchor = &op;
  }
  return success();
}

bool FusedOp::isQuantizedKernel() {
  return llvm::any_of(getOperandTypes(), isQuantized) ||
         llvm::any_of(getResultTypes(), isQuantized);
}

LogicalResult FusedOp::evaluate(ArrayRef<HostTensor> operands,
                                SmallVectorImpl<HostTensor> &results) {
  bool isExact = isQuantizedKernel();
  llvm::DenseMap<Value, HostTensor> values;
  for (auto [argument, tensor] :
       llvm::zip_equal(getBlock().getArguments(), operands))
    values[argument] = tensor;
  for (Operation &op : getBlock().without_terminator()) {
    SmallVector<HostTensor> inputs, outputs;
    for (Value operand : op.getOperands())
      inputs.push_back(values.lookup(operand));
    if (isExact && hasExactEvaluation(&op))
      outputs.push_back(evaluateExact(&op, inputs));
    else if (failed(cast<EvaluableOpInterface>(op).evaluate(inputs, outputs)))
      return failure();
    for (auto [result, tensor] : llvm::zip_equal(op.getResults(), outputs))
      values[result] = tensor;
  }
  for (Value value : getBlock().getTerminator()->getOperands())
    results.push_back(values.lookup(value));
  return success();
}
