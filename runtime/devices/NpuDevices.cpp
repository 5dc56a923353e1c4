// The registry of NPU devices, and the simulator as one of them.
#include "runtime/devices/NpuDevices.h"

#include "npu/simulator/Simulator.h"
#include "runtime/core/Text.h"

#include <map>

using namespace efrt;

namespace {
class SimulatorDevice : public Device {
public:
  std::string_view name() const override { return kNpuSimulatorName; }
  std::string_view variant() const override {
    return simulator->machine().name;
  }
  Status submit(const Launch &launch) override {
    return simulator->run(launch.kernel, launch.tensors);
  }
  Status wait() override { return Status(); }
  const SimulatedLaunch *simulation(uint32_t kernel) const override {
    return &simulations[kernel];
  }

  std::unique_ptr<npu::Simulator> simulator;
  std::vector<SimulatedLaunch> simulations; ///< Of each program.
};
} // namespace

static SimulatedLaunch describeRun(const npu::Simulator &simulator,
                                   size_t index) {
  const npu::Program &program = simulator.program(index);
  const npu::Timeline &timeline = simulator.timeline(index);
  SimulatedLaunch launch = {simulator.nameOf(index),
                            simulator.machine().name,
                            simulator.machine().clockHz,
                            timeline.cycles,
                            timeline.macs,
                            timeline.dramBytes,
                            {}};
  launch.commands.reserve(timeline.events.size());
  for (const npu::Event &event : timeline.events) {
    const npu::Command &command =
        program.queues[static_cast<size_t>(event.queue)][event.index];
    const npu::Source &source = program.sources[command.source];
    launch.commands.push_back({npu::nameOf(event.queue), source.node, source.op,
                               event.sequence, source.group, source.tile,
                               event.start, event.end});
  }
  return launch;
}

/// A launch's tensors are the program's slots: compares them once.
static Status checkSlots(const Artifact &artifact,
                         const npu::Simulator &simulator) {
  for (const ArtifactDispatch &dispatch : artifact.dispatches) {
    if (dispatch.device != DeviceKind::Npu)
      continue;
    const npu::Program &program = simulator.program(dispatch.kernel);
    size_t numOutputs = program.slotBytes.size() - 2 - program.numInputs;
    bool isSame = dispatch.tensors.size() == program.slotBytes.size() &&
                  dispatch.results == numOutputs;
    for (size_t i = 0; isSame && i < dispatch.tensors.size(); ++i)
      isSame =
          artifact.tensors[dispatch.tensors[i]].size == program.slotBytes[i];
    if (!isSame)
      return Status(StatusCode::CorruptData,
                    concat("the artifact is corrupt: its launch of the NPU "
                           "program ",
                           quote(simulator.nameOf(dispatch.kernel)),
                           " does not give it the tensors that it takes"));
  }
  return Status();
}

static Result<std::unique_ptr<Device>>
createSimulator(const Artifact &artifact, const SessionOptions &options) {
  Result<std::unique_ptr<npu::Simulator>> simulator = npu::Simulator::create(
      artifact.npuMachine, options.threads, options.timingOnly);
  if (!simulator)
    return simulator.status();
  auto device = std::make_unique<SimulatorDevice>();
  for (const ArtifactNpuProgram &program : artifact.npuPrograms) {
    if (Status status =
            (*simulator)->addProgram(program.name, program.commands);
        !status.ok())
      return status;
    device->simulations.push_back(
        describeRun(**simulator, device->simulations.size()));
  }
  if (Status status = checkSlots(artifact, **simulator); !status.ok())
    return status;
  device->simulator = std::move(*simulator);
  return std::unique_ptr<Device>(std::move(device));
}

static std::map<std::string, NpuDeviceFactory> &registry() {
  static std::map<std::string, NpuDeviceFactory> devices = {
      {std::string(kNpuSimulatorName), createSimulator}};
  return devices;
}

void efrt::registerNpuDevice(std::string name, NpuDeviceFactory factory) {
  registry()[std::move(name)] = std::move(factory);
}

std::vector<std::string> efrt::npuDeviceNames() {
  std::vector<std::string> names;
  for (const auto &[name, factory] : registry())
    names.push_back(name);
  return names;
}

Result<std::unique_ptr<Device>>
efrt::createNpuDevice(const std::string &name, const Artifact &artifact,
                      const SessionOptions &options) {
  std::string wanted = name.empty() ? std::string(kNpuSimulatorName) : name;
  auto found = registry().find(wanted);
  if (found != registry().end())
    return found->second(artifact, options);
  std::string names;
  for (const std::string &other : npuDeviceNames())
    names += (names.empty() ? "" : ", ") + quote(other);
  return Status(StatusCode::InvalidArgument,
                concat("there is no NPU device ", quote(wanted),
                       "; this runtime has ", names));
}
