// Turns a structurally valid header into an Artifact: every range, shape and
// index is checked here, once.
#include "npu/MachineFields.h"
#include "runtime/core/ArtifactReader.h"
#include "runtime/core/Text.h"

#include <cmath>
#include <limits>
#include <optional>

using namespace efrt;

template <typename T>
using Tables = flatbuffers::Vector<flatbuffers::Offset<T>>;

static size_t length(const auto *vector) { return vector ? vector->size() : 0; }

/// Shape and element type; false when they are none, or too large for any
/// machine.
static bool readType(efc::fb::DType dtype,
                     const flatbuffers::Vector<int64_t> *shape,
                     TensorInfo &info) {
  if (dtype > efc::fb::DType::MAX)
    return false;
  info.dtype = static_cast<DType>(dtype);
  // FlatBuffers' verifier checks the alignment of a vector, not of its
  // elements.
  if (shape && reinterpret_cast<uintptr_t>(shape->Data()) % sizeof(int64_t))
    return false;
  uint64_t bytes = sizeOf(info.dtype);
  bool isEmpty = false;
  for (size_t i = 0; i < length(shape); ++i) {
    int64_t extent = shape->Get(i);
    if (extent < 0 || static_cast<uint64_t>(extent) > kMaxBytes)
      return false;
    info.shape.push_back(extent);
    isEmpty |= extent == 0;
    if (extent > 0 && bytes > kMaxBytes / static_cast<uint64_t>(extent))
      return false;
    bytes *= extent > 0 ? static_cast<uint64_t>(extent) : 1;
  }
  return isEmpty || bytes <= kMaxBytes;
}

static Status readPorts(const Tables<efc::fb::Port> *ports, const char *kind,
                        std::vector<ArtifactPort> &result) {
  for (size_t i = 0; i < length(ports); ++i) {
    const efc::fb::Port &port = *ports->Get(i);
    ArtifactPort read;
    read.name = toString(port.name());
    read.scale = port.scale();
    if (!readType(port.dtype(), port.shape(), read))
      return corrupt(concat("its ", kind, " ", i, " ", quote(read.name),
                            " has no valid element type and shape"));
    for (const ArtifactPort &other : result)
      if (other.name == read.name)
        return corrupt(
            concat("it has two ", kind, "s named ", quote(read.name)));
    result.push_back(std::move(read));
  }
  return Status();
}

/// Is the tensor inside the memory that it names?
static bool isInPlace(const ArtifactTensor &tensor, const Artifact &artifact) {
  switch (tensor.memory) {
  case Memory::Arena:
    return tensor.offset <= artifact.arenaBytes &&
           tensor.size <= artifact.arenaBytes - tensor.offset;
  case Memory::Weights:
    return tensor.offset <= artifact.weights.size() &&
           tensor.size <= artifact.weights.size() - tensor.offset;
  case Memory::Input:
    return tensor.offset < artifact.inputs.size() &&
           tensor.size == artifact.inputs[tensor.offset].numBytes();
  case Memory::Output:
    return tensor.offset < artifact.outputs.size() &&
           tensor.size == artifact.outputs[tensor.offset].numBytes();
  }
  return false;
}

static Status readTensors(const efc::fb::Model &model, Artifact &artifact) {
  for (size_t i = 0; i < length(model.tensors()); ++i) {
    const efc::fb::Tensor &tensor = *model.tensors()->Get(i);
    ArtifactTensor read = {tensor.memory(), tensor.offset(), tensor.size(), {}};
    read.info.name = toString(tensor.name());
    std::string which = concat("its tensor ", i, " ", quote(read.info.name));
    if (!readType(tensor.dtype(), tensor.shape(), read.info))
      return corrupt(concat(which, " has no valid element type and shape"));
    if (read.info.numBytes() != read.size)
      return corrupt(concat(which, " of type ",
                            typeText(read.info.dtype, read.info.shape),
                            " claims ", read.size, " bytes"));
    if (!isInPlace(read, artifact))
      return corrupt(concat(which, " lies outside the memory that it names"));
    bool isPlaced =
        read.memory == Memory::Arena || read.memory == Memory::Weights;
    if (isPlaced && read.offset % sizeOf(read.info.dtype) != 0)
      return corrupt(concat(which, " is not aligned to its element type"));
    artifact.tensors.push_back(std::move(read));
  }
  return Status();
}

/// What an NPU launch's first two tensors must be: its weights and workspace.
static bool isNpuMemory(const ArtifactTensor &tensor, Memory memory) {
  return tensor.memory == memory && tensor.info.dtype == DType::U8 &&
         tensor.info.shape.size() == 1;
}

static Status checkNpuDispatch(const ArtifactDispatch &dispatch,
                               const Artifact &artifact) {
  if (dispatch.kernel >= artifact.npuPrograms.size())
    return corrupt(concat("names NPU program ", dispatch.kernel, " of ",
                          artifact.npuPrograms.size()));
  if (dispatch.tensors.size() < size_t(dispatch.results) + 2 ||
      !isNpuMemory(artifact.tensors[dispatch.tensors[0]], Memory::Weights) ||
      !isNpuMemory(artifact.tensors[dispatch.tensors[1]], Memory::Arena))
    return corrupt("has no bytes of weights and of workspace for the NPU");
  if (dispatch.work != 0 || dispatch.scratch != 0)
    return corrupt("asks for work items or scratch on the NPU");
  return Status();
}

static Status checkDispatch(const ArtifactDispatch &dispatch,
                            const Artifact &artifact) {
  if (dispatch.device > DeviceKind::MAX)
    return corrupt("is for an unknown kind of device");
  if (dispatch.device == DeviceKind::Cpu &&
      dispatch.kernel >= artifact.kernels.size())
    return corrupt(concat("names kernel ", dispatch.kernel, " of ",
                          artifact.kernels.size()));
  if (dispatch.results > dispatch.tensors.size())
    return corrupt("has more results than tensors");
  for (uint32_t tensor : dispatch.tensors)
    if (tensor >= artifact.tensors.size())
      return corrupt(
          concat("names tensor ", tensor, " of ", artifact.tensors.size()));
  for (uint32_t tensor : dispatch.resultTensors())
    if (Memory memory = artifact.tensors[tensor].memory;
        memory != Memory::Arena && memory != Memory::Output)
      return corrupt("writes to memory that is read-only");
  if (dispatch.work >
          static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
      dispatch.scratch > kMaxBytes)
    return corrupt(
        "asks for more work items or scratch memory than there can be");
  return dispatch.device == DeviceKind::Npu
             ? checkNpuDispatch(dispatch, artifact)
             : Status();
}

static Status readDispatches(const efc::fb::Model &model, Artifact &artifact) {
  for (size_t i = 0; i < length(model.dispatches()); ++i) {
    const efc::fb::Dispatch &dispatch = *model.dispatches()->Get(i);
    bool isNpu = dispatch.device() == DeviceKind::Npu;
    ArtifactDispatch read = {dispatch.device(),
                             isNpu ? dispatch.program() : dispatch.kernel(),
                             {},
                             dispatch.results(),
                             dispatch.work(),
                             dispatch.scratch(),
                             toString(dispatch.node()),
                             toString(dispatch.op()),
                             dispatch.macs(),
                             dispatch.bytes()};
    if (dispatch.tensors())
      read.tensors.assign(dispatch.tensors()->begin(),
                          dispatch.tensors()->end());
    if (Status status = checkDispatch(read, artifact); !status.ok())
      return corrupt(concat("its launch ", i, " (", quote(read.node), ") ",
                            status.message()));
    artifact.dispatches.push_back(std::move(read));
  }
  return Status();
}

/// An output that nothing writes would be a silent zero.
static Status checkOutputsWritten(const Artifact &artifact) {
  std::vector<bool> isWritten(artifact.outputs.size());
  for (const ArtifactDispatch &dispatch : artifact.dispatches)
    for (uint32_t result : dispatch.resultTensors())
      if (const ArtifactTensor &tensor = artifact.tensors[result];
          tensor.memory == Memory::Output)
        isWritten[tensor.offset] = true;
  for (size_t i = 0; i < isWritten.size(); ++i)
    if (!isWritten[i] && artifact.outputs[i].numBytes() > 0)
      return corrupt(concat("no launch writes its output ",
                            quote(artifact.outputs[i].name)));
  return Status();
}

static Status readVariants(const efc::fb::Model &model, Artifact &artifact) {
  for (size_t i = 0; i < length(model.variants()); ++i) {
    const efc::fb::CpuVariant &variant = *model.variants()->Get(i);
    ArtifactVariant read = {toString(variant.name()),
                            toString(variant.triple()),
                            {},
                            variant.section()};
    for (size_t j = 0; j < length(variant.features()); ++j)
      read.features.push_back(variant.features()->Get(j)->str());
    if (read.section >= artifact.sections.size() ||
        artifact.sections[read.section].kind != SectionKind::CpuObject)
      return corrupt(concat("its CPU variant ", quote(read.name),
                            " names no section of code"));
    artifact.variants.push_back(std::move(read));
  }
  return Status();
}

static Status readNpuMachine(const efc::fb::NpuMachine *machine,
                             Artifact &artifact) {
  if (!machine)
    return corrupt("it has NPU programs and no NPU machine");
  std::vector<std::pair<std::string, double>> figures;
  for (size_t i = 0; i < length(machine->figures()); ++i) {
    const efc::fb::NpuFigure &figure = *machine->figures()->Get(i);
    figures.emplace_back(toString(figure.name()), figure.value());
  }
  Result<npu::Machine> read =
      npu::machineFromFigures(toString(machine->name()), figures);
  if (!read)
    return read.status();
  artifact.npuMachine = std::move(*read);
  return Status();
}

/// The bytes of a section of the given kind; nothing if it is none.
static std::optional<std::span<const std::byte>>
sectionBytes(const Artifact &artifact, uint64_t index, SectionKind kind) {
  if (index >= artifact.sections.size() ||
      artifact.sections[index].kind != kind)
    return std::nullopt;
  return artifact.sections[index].data;
}

static Status readNpuPrograms(const efc::fb::Model &model, Artifact &artifact) {
  size_t count = length(model.npu_programs());
  if (count == 0)
    return Status();
  if (Status status = readNpuMachine(model.npu_machine(), artifact);
      !status.ok())
    return status;
  for (size_t i = 0; i < count; ++i) {
    const efc::fb::NpuProgram &program = *model.npu_programs()->Get(i);
    std::string which =
        concat("its NPU program ", i, " ", quote(toString(program.name())));
    auto commands =
        sectionBytes(artifact, program.commands(), SectionKind::NpuCommands);
    if (!commands)
      return corrupt(concat(which, " names no section of commands"));
    std::optional<std::span<const std::byte>> schedule;
    if (program.schedule() >= 0) {
      schedule =
          sectionBytes(artifact, static_cast<uint64_t>(program.schedule()),
                       SectionKind::NpuSchedule);
      if (!schedule)
        return corrupt(concat(which, " names no schedule"));
    }
    if (!std::isfinite(program.cycles()) || program.cycles() < 0)
      return corrupt(concat(which, " takes no number of cycles"));
    artifact.npuPrograms.push_back(
        {toString(program.name()), *commands,
         schedule.value_or(std::span<const std::byte>()), program.cycles(),
         program.macs(), program.dram_bytes()});
  }
  return Status();
}

static void readTexts(const efc::fb::Model &model, Artifact &artifact) {
  artifact.versionMajor = model.version_major();
  artifact.versionMinor = model.version_minor();
  artifact.producer = toString(model.producer());
  artifact.name = toString(model.name());
  for (size_t i = 0; i < length(model.kernels()); ++i)
    artifact.kernels.push_back(model.kernels()->Get(i)->str());
  for (size_t i = 0; i < length(model.metadata()); ++i) {
    const efc::fb::KeyValue &entry = *model.metadata()->Get(i);
    artifact.metadata.emplace_back(toString(entry.key()),
                                   toString(entry.value()));
  }
}

Status efrt::readModel(const efc::fb::Model &model, Artifact &artifact) {
  readTexts(model, artifact);
  if (Status status = readPorts(model.inputs(), "input", artifact.inputs);
      !status.ok())
    return status;
  if (Status status = readPorts(model.outputs(), "output", artifact.outputs);
      !status.ok())
    return status;
  artifact.arenaBytes = model.arena_bytes();
  if (artifact.arenaBytes > kMaxBytes)
    return corrupt(
        concat("it asks for an arena of ", artifact.arenaBytes, " bytes"));
  if (Status status = readTensors(model, artifact); !status.ok())
    return status;
  if (Status status = readNpuPrograms(model, artifact); !status.ok())
    return status;
  if (Status status = readDispatches(model, artifact); !status.ok())
    return status;
  if (Status status = checkOutputsWritten(artifact); !status.ok())
    return status;
  return readVariants(model, artifact);
}
