// The attributes of the `npu` dialect: hashing and text.
#include "dialects/npu/Text.h"
#include "npu/MachineFields.h"

#include "llvm/ADT/Hashing.h"

using namespace mlir;
using namespace efc::npu;
using efrt::npu::DmaCommand;
using efrt::npu::Instruction;
using efrt::npu::Opcode;
using efrt::npu::Queue;
using efrt::npu::View;
using efrt::npu::Wait;

//===--- Hashing ----------------------------------------------------------===//

template <typename T, size_t N>
static llvm::hash_code hashOf(const std::array<T, N> &values) {
  return llvm::hash_combine_range(values.begin(), values.end());
}

llvm::hash_code efrt::npu::hash_value(const View &view) {
  return llvm::hash_combine(view.address, view.dtype, hashOf(view.extents),
                            hashOf(view.strides),
                            llvm::bit_cast<uint32_t>(view.scale), view.limit);
}

llvm::hash_code efrt::npu::hash_value(const Instruction &instruction) {
  return llvm::hash_combine(instruction.op, instruction.dst, instruction.a,
                            instruction.b,
                            llvm::bit_cast<uint32_t>(instruction.immediate));
}

llvm::hash_code efrt::npu::hash_value(const DmaCommand &command) {
  return llvm::hash_combine(
      command.isStore, command.elementBytes, command.slot, command.offset,
      command.address, hashOf(command.extents), hashOf(command.dramStrides),
      hashOf(command.scratchStrides));
}

llvm::hash_code efrt::npu::hash_value(const Wait &wait) {
  return llvm::hash_combine(wait.queue, wait.count);
}

//===--- Helpers of views -------------------------------------------------===//

std::array<int32_t, 4>
efc::npu::denseStrides(const std::array<uint32_t, 4> &extents,
                       efrt::DType dtype) {
  std::array<int32_t, 4> strides = {};
  int32_t stride = efrt::sizeOf(dtype);
  for (int i = 3; i >= 0; --i) {
    if (extents[i] == 1)
      continue;
    strides[i] = stride;
    stride *= extents[i];
  }
  return strides;
}

int64_t efc::npu::spanOf(const View &view) {
  int64_t span = efrt::sizeOf(view.dtype);
  for (int i = 0; i < 4; ++i)
    span += (int64_t(view.extents[i]) - 1) * view.strides[i];
  return span;
}

//===--- Text -------------------------------------------------------------===//

/// A name out of a table that is in the enumeration's order.
template <typename Enum, typename NameOf>
static ParseResult parseEnum(AsmParser &parser, Enum &value, size_t count,
                             NameOf nameOf, StringRef what) {
  SMLoc location = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseKeyword(&keyword))
    return failure();
  for (size_t i = 0; i < count; ++i)
    if (StringRef(nameOf(static_cast<Enum>(i))) == keyword) {
      value = static_cast<Enum>(i);
      return success();
    }
  return parser.emitError(location) << "unknown " << what << " " << keyword;
}

static ParseResult parseDType(AsmParser &parser, efrt::DType &dtype) {
  return parseEnum(
      parser, dtype, static_cast<size_t>(efrt::DType::U64) + 1,
      [](efrt::DType d) { return efrt::nameOf(d); }, "data type");
}

static ParseResult parseQueue(AsmParser &parser, Queue &queue) {
  return parseEnum(
      parser, queue, efrt::npu::kNumQueues,
      [](Queue q) { return efrt::npu::nameOf(q); }, "queue");
}

static ParseResult parseFloat(AsmParser &parser, float &value) {
  double number;
  if (parser.parseFloat(number))
    return failure();
  value = static_cast<float>(number);
  return success();
}

static void printFloat(AsmPrinter &printer, float value) {
  printer.printFloat(llvm::APFloat(static_cast<double>(value)));
}

/// `[a, b, c]`; fills the array from its end, `fill` in front.
template <typename T, size_t N>
static ParseResult parseArray(AsmParser &parser, std::array<T, N> &array,
                              T fill) {
  SMLoc location = parser.getCurrentLocation();
  SmallVector<int64_t> values;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
        return parser.parseInteger(values.emplace_back());
      }))
    return failure();
  if (values.size() > N)
    return parser.emitError(location) << "has more than " << N << " dimensions";
  array.fill(fill);
  llvm::copy(values, array.end() - values.size());
  return success();
}

template <typename T, size_t N>
static void printArray(AsmPrinter &printer, const std::array<T, N> &array) {
  printer << "[";
  llvm::interleaveComma(array, printer);
  printer << "]";
}

ParseResult efc::npu::parseView(AsmParser &parser, View &view) {
  if (parseDType(parser, view.dtype))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("at")) &&
      parser.parseInteger(view.address))
    return failure();
  if (parseArray<uint32_t, 4>(parser, view.extents, 1))
    return failure();
  view.strides = denseStrides(view.extents, view.dtype);
  if (succeeded(parser.parseOptionalKeyword("strides")) &&
      parseArray<int32_t, 4>(parser, view.strides, 0))
    return failure();
  if (succeeded(parser.parseOptionalStar()) && parseFloat(parser, view.scale))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("limit")) &&
      parser.parseInteger(view.limit))
    return failure();
  return success();
}

void efc::npu::printView(AsmPrinter &printer, const View &view) {
  printer << StringRef(efrt::nameOf(view.dtype)) << " ";
  if (view.address != 0)
    printer << "at " << view.address << " ";
  printArray(printer, view.extents);
  if (view.strides != denseStrides(view.extents, view.dtype)) {
    printer << " strides ";
    printArray(printer, view.strides);
  }
  if (view.scale != 1) {
    printer << " * ";
    printFloat(printer, view.scale);
  }
  if (view.limit != 32767)
    printer << " limit " << view.limit;
}

Attribute ViewsAttr::parse(AsmParser &parser, Type) {
  SmallVector<View> views;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater, [&] {
        return parseView(parser, views.emplace_back());
      }))
    return {};
  return get(parser.getContext(), views);
}

void ViewsAttr::print(AsmPrinter &printer) const {
  printer << "<";
  llvm::interleaveComma(getValue(), printer,
                        [&](const View &view) { printView(printer, view); });
  printer << ">";
}

//===--- Vector programs --------------------------------------------------===//

static unsigned numSources(Opcode op) {
  switch (op) {
  case Opcode::Load:
  case Opcode::Constant:
    return 0;
  case Opcode::Add:
  case Opcode::Sub:
  case Opcode::Mul:
  case Opcode::Div:
  case Opcode::Min:
  case Opcode::Max:
    return 2;
  default:
    return 1;
  }
}

static ParseResult parseRegister(AsmParser &parser, uint8_t &number) {
  SMLoc location = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseKeyword(&keyword))
    return failure();
  if (!keyword.consume_front("r") || keyword.getAsInteger(10, number))
    return parser.emitError(location) << "expected a register, r0 to r15";
  return success();
}

static ParseResult parseInstruction(AsmParser &parser, Instruction &result) {
  if (parseRegister(parser, result.dst) || parser.parseEqual() ||
      parseEnum(
          parser, result.op, efrt::npu::kNumOpcodes,
          [](Opcode op) { return efrt::npu::nameOf(op); }, "instruction"))
    return failure();
  if (result.op == Opcode::Load)
    return parser.parseInteger(result.a);
  if (result.op == Opcode::Constant)
    return parseFloat(parser, result.immediate);
  if (parseRegister(parser, result.a))
    return failure();
  return numSources(result.op) == 2 ? parseRegister(parser, result.b)
                                    : success();
}

Attribute CodeAttr::parse(AsmParser &parser, Type) {
  SmallVector<Instruction> code;
  uint8_t value = 0;
  if (parser.parseLess())
    return {};
  while (failed(parser.parseOptionalArrow())) {
    if (!code.empty() && parser.parseComma())
      return {};
    if (parseInstruction(parser, code.emplace_back()))
      return {};
  }
  if (parseRegister(parser, value) || parser.parseGreater())
    return {};
  return get(parser.getContext(), code, value);
}

void CodeAttr::print(AsmPrinter &printer) const {
  printer << "<";
  llvm::interleaveComma(
      getInstructions(), printer, [&](const Instruction &instruction) {
        printer << "r" << unsigned(instruction.dst) << " = "
                << StringRef(efrt::npu::nameOf(instruction.op));
        if (instruction.op == Opcode::Load)
          printer << " " << unsigned(instruction.a);
        else if (instruction.op == Opcode::Constant) {
          printer << " ";
          printFloat(printer, instruction.immediate);
        } else {
          printer << " r" << unsigned(instruction.a);
          if (numSources(instruction.op) == 2)
            printer << " r" << unsigned(instruction.b);
        }
      });
  printer << (getInstructions().empty() ? "" : " ") << "-> r"
          << unsigned(getValue()) << ">";
}

//===--- The rest ---------------------------------------------------------===//

Attribute TransferAttr::parse(AsmParser &parser, Type) {
  DmaCommand dma;
  if (parser.parseLess() || parser.parseKeyword("slot") ||
      parser.parseInteger(dma.slot) || parser.parseKeyword("at") ||
      parser.parseInteger(dma.offset) || parser.parseKeyword("to") ||
      parser.parseInteger(dma.address) ||
      parseArray<uint32_t, 5>(parser, dma.extents, 1) ||
      parser.parseKeyword("of") || parser.parseInteger(dma.elementBytes) ||
      parser.parseKeyword("dram") ||
      parseArray<int64_t, 5>(parser, dma.dramStrides, 0) ||
      parser.parseKeyword("scratch") ||
      parseArray<int32_t, 5>(parser, dma.scratchStrides, 0) ||
      parser.parseGreater())
    return {};
  return get(parser.getContext(), dma);
}

void TransferAttr::print(AsmPrinter &printer) const {
  const DmaCommand &dma = getValue();
  printer << "<slot " << dma.slot << " at " << dma.offset << " to "
          << dma.address << " ";
  printArray(printer, dma.extents);
  printer << " of " << unsigned(dma.elementBytes) << " dram ";
  printArray(printer, dma.dramStrides);
  printer << " scratch ";
  printArray(printer, dma.scratchStrides);
  printer << ">";
}

Attribute QueueAttr::parse(AsmParser &parser, Type) {
  Queue queue;
  if (parser.parseLess() || parseQueue(parser, queue) || parser.parseGreater())
    return {};
  return get(parser.getContext(), queue);
}

void QueueAttr::print(AsmPrinter &printer) const {
  printer << "<" << StringRef(efrt::npu::nameOf(getValue())) << ">";
}

Attribute WaitsAttr::parse(AsmParser &parser, Type) {
  SmallVector<Wait> waits;
  auto parseWait = [&]() -> ParseResult {
    Wait &wait = waits.emplace_back();
    return failure(parseQueue(parser, wait.queue) || parser.parseColon() ||
                   parser.parseInteger(wait.count));
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     parseWait))
    return {};
  return get(parser.getContext(), waits);
}

void WaitsAttr::print(AsmPrinter &printer) const {
  printer << "<";
  llvm::interleaveComma(getValue(), printer, [&](const Wait &wait) {
    printer << StringRef(efrt::npu::nameOf(wait.queue)) << " : " << wait.count;
  });
  printer << ">";
}

Attribute SourceAttr::parse(AsmParser &parser, Type) {
  std::string node, op;
  uint32_t group = 0, tile = 0;
  if (parser.parseLess() || parser.parseString(&node) ||
      parser.parseString(&op) || parser.parseInteger(group) ||
      parser.parseInteger(tile) || parser.parseGreater())
    return {};
  return get(parser.getContext(), node, op, group, tile);
}

void SourceAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printString(getNode());
  printer << " ";
  printer.printString(getOp());
  printer << " " << getGroup() << " " << getTile() << ">";
}

Attribute DTypeAttr::parse(AsmParser &parser, Type) {
  efrt::DType dtype;
  if (parser.parseLess() || parseDType(parser, dtype) || parser.parseGreater())
    return {};
  return get(parser.getContext(), dtype);
}

void DTypeAttr::print(AsmPrinter &printer) const {
  printer << "<" << StringRef(efrt::nameOf(getValue())) << ">";
}
