// See NpuPrograms.h.
#include "compiler/artifact/NpuPrograms.h"

#include "compiler/report/ScratchMap.h"
#include "dialects/npu/NpuDialect.h"
#include "targets/exynos_npu/Convert.h"

#include "npu/Encoding.h"
#include "npu/MachineFields.h"
#include "npu/Verifier.h"

using namespace mlir;
using namespace efc;
using namespace efrt::npu;

static llvm::Error internalError(StringRef program, const std::string &what) {
  return llvm::createStringError("internal error in " + program + ": " + what);
}

static std::vector<char> toChars(const std::vector<std::byte> &bytes) {
  const char *data = reinterpret_cast<const char *>(bytes.data());
  return {data, data + bytes.size()};
}

/// Commands are no longer needed once they are encoded; a large model has a
/// hundred thousand of them.
static void eraseCommands(npu::ProgramOp program) {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(program.getBlock())))
    if (isa<npu::CommandOpInterface>(op) || isa<npu::AllocOp>(op))
      op.erase();
}

/// The program as a loader will see it, after the checks that the artifact's
/// bytes must pass.
static llvm::Expected<Program>
decodeAndVerify(StringRef name, const std::vector<std::byte> &bytes,
                std::vector<uint32_t> flow, const Machine &machine) {
  efrt::Result<Program> decoded = decodeProgram(bytes);
  if (!decoded)
    return internalError(name, decoded.status().message());
  decoded->flow = std::move(flow);
  if (efrt::Status status = verifyProgram(*decoded, machine); !status.ok())
    return internalError(name, status.message());
  return std::move(*decoded);
}

static void describeProgram(const NpuPartition &partition, uint32_t commands,
                            uint32_t schedule, fb::ModelT &model) {
  auto entry = std::make_unique<fb::NpuProgramT>();
  entry->name = partition.name;
  entry->commands = commands;
  entry->schedule = schedule;
  entry->cycles = partition.timeline.cycles;
  entry->macs = partition.timeline.macs;
  entry->dram_bytes = partition.timeline.dramBytes;
  model.npu_programs.push_back(std::move(entry));
}

static llvm::Expected<NpuPartition>
addProgram(npu::ProgramOp op, const Machine &machine, ArtifactWriter &writer) {
  StringRef name = op.getSymName();
  FailureOr<Program> program = npu::toProgram(op);
  if (failed(program))
    return internalError(name, "its commands cannot be converted");
  eraseCommands(op);
  efrt::Result<std::vector<std::byte>> bytes = encodeProgram(*program);
  if (!bytes)
    return internalError(name, bytes.status().message());
  llvm::Expected<Program> decoded =
      decodeAndVerify(name, *bytes, std::move(program->flow), machine);
  if (!decoded)
    return decoded.takeError();
  NpuPartition partition;
  partition.name = name.str();
  partition.program = std::move(*decoded);
  partition.timeline = simulateTime(partition.program, machine);
  if (partition.timeline.deadlocked)
    return internalError(name, partition.timeline.problem);
  partition.scratchPeakBytes = peakBytesOf(scratchBuffersOf(partition));
  uint32_t commands = writer.addSection(fb::SectionKind::NpuCommands,
                                        partition.name, toChars(*bytes));
  uint32_t schedule =
      writer.addSection(fb::SectionKind::NpuSchedule, partition.name,
                        toChars(encodeSchedule(partition.timeline)));
  describeProgram(partition, commands, schedule, writer.model);
  return partition;
}

static void describeMachine(const Machine &machine, fb::ModelT &model) {
  auto entry = std::make_unique<fb::NpuMachineT>();
  entry->name = machine.name;
  for (const auto &[name, value] : figuresOf(machine)) {
    auto figure = std::make_unique<fb::NpuFigureT>();
    figure->name = name;
    figure->value = value;
    entry->figures.push_back(std::move(figure));
  }
  model.npu_machine = std::move(entry);
}

llvm::Error efc::addNpuPrograms(ModuleOp module, ArtifactWriter &writer,
                                NpuReport &report) {
  auto programs = llvm::to_vector(module.getOps<npu::ProgramOp>());
  if (programs.empty())
    return llvm::Error::success();
  describeMachine(report.machine, writer.model);
  writer.model.required_features |= 1; // runtime/schema/artifact.fbs
  for (npu::ProgramOp program : programs) {
    llvm::Expected<NpuPartition> partition =
        addProgram(program, report.machine, writer);
    if (!partition)
      return partition.takeError();
    report.partitions.push_back(std::move(*partition));
  }
  return llvm::Error::success();
}
