// Loads an artifact onto a device, resolves every tensor to an address once,
// and runs the launches in order.
#include "efrt/Session.h"

#include "runtime/core/AlignedMemory.h"
#include "runtime/core/Artifact.h"
#include "runtime/core/Text.h"
#include "runtime/devices/NpuDevices.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <stdexcept>

using namespace efrt;

/// Below this a launch takes less time than waking another thread for it.
static constexpr uint64_t kSmallMacs = 32768, kSmallBytes = 32768;

struct Session::Impl {
  Artifact artifact;
  std::vector<TensorInfo> inputs, outputs;
  AlignedMemory arena, ports;
  std::vector<std::span<std::byte>> inputBuffers, outputBuffers;
  std::vector<void *>
      addresses; ///< The tensors of all launches, one launch after the other.
  std::vector<Launch> launches;
  std::vector<ProfileEntry> profile;
  bool isProfiling = false, isTimingOnly = false;
  TensorObserver observer;
  std::string variant;
  /// After what their launches point to. Null: no launch needs it.
  std::unique_ptr<Device> cpu, npu;

  Status allocate();
  Status createDevices(const SessionOptions &options);
  Device &deviceOf(const ArtifactDispatch &dispatch) const {
    return dispatch.device == DeviceKind::Npu ? *npu : *cpu;
  }
  std::byte *addressOf(const ArtifactTensor &tensor) const;
  void prepareLaunches();
  ProfileEntry profileEntryOf(const ArtifactDispatch &dispatch) const;
  void observeResults(const ArtifactDispatch &dispatch) const;
  Status run(const std::function<bool()> &cancelled);
};

static std::vector<TensorInfo> infosOf(std::span<const ArtifactPort> ports) {
  return {ports.begin(), ports.end()};
}

Status Session::Impl::allocate() {
  inputs = infosOf(artifact.inputs);
  outputs = infosOf(artifact.outputs);
  Result<AlignedMemory> arenaMemory =
      AlignedMemory::allocate(artifact.arenaBytes, "intermediate tensors");
  if (!arenaMemory)
    return arenaMemory.status();
  arena = std::move(*arenaMemory);

  constexpr size_t alignment = 64;
  std::vector<size_t> offsets;
  size_t total = 0;
  for (const std::vector<TensorInfo> *infos : {&inputs, &outputs})
    for (const TensorInfo &info : *infos) {
      offsets.push_back(total);
      total += (info.numBytes() + alignment - 1) / alignment * alignment;
    }
  Result<AlignedMemory> portMemory =
      AlignedMemory::allocate(total, "inputs and outputs");
  if (!portMemory)
    return portMemory.status();
  ports = std::move(*portMemory);
  for (size_t i = 0; i < offsets.size(); ++i) {
    bool isInput = i < inputs.size();
    const TensorInfo &info = isInput ? inputs[i] : outputs[i - inputs.size()];
    (isInput ? inputBuffers : outputBuffers)
        .emplace_back(ports.data() + offsets[i], info.numBytes());
  }
  return Status();
}

std::byte *Session::Impl::addressOf(const ArtifactTensor &tensor) const {
  switch (tensor.memory) {
  case Memory::Arena:
    return arena.data() + tensor.offset;
  case Memory::Weights:
    return const_cast<std::byte *>(artifact.weights.data()) +
           tensor.offset; // Mapped read-only; only ever an operand.
  case Memory::Input:
    return inputBuffers[tensor.offset].data();
  case Memory::Output:
    return outputBuffers[tensor.offset].data();
  }
  return nullptr;
}

void Session::Impl::prepareLaunches() {
  size_t count = 0;
  for (const ArtifactDispatch &dispatch : artifact.dispatches)
    count += dispatch.tensors.size();
  addresses.reserve(count); // The launches point into it.
  for (const ArtifactDispatch &dispatch : artifact.dispatches) {
    size_t first = addresses.size();
    for (uint32_t tensor : dispatch.tensors)
      addresses.push_back(addressOf(artifact.tensors[tensor]));
    bool isKnown = dispatch.bytes > 0;
    bool isSmall =
        isKnown && dispatch.macs < kSmallMacs && dispatch.bytes < kSmallBytes;
    launches.push_back({dispatch.kernel, std::span(addresses).subspan(first),
                        dispatch.work, dispatch.scratch, isSmall});
    profile.push_back(profileEntryOf(dispatch));
  }
}

ProfileEntry
Session::Impl::profileEntryOf(const ArtifactDispatch &dispatch) const {
  bool isNpu = dispatch.device == DeviceKind::Npu;
  ProfileEntry entry = {dispatch.node,
                        dispatch.op,
                        isNpu ? artifact.npuPrograms[dispatch.kernel].name
                              : artifact.kernels[dispatch.kernel],
                        0,
                        0,
                        dispatch.macs,
                        dispatch.bytes};
  const Device &device = deviceOf(dispatch);
  entry.device = device.name();
  if (const SimulatedLaunch *launch = device.simulation(dispatch.kernel))
    entry.simulatedSeconds = launch->cycles / launch->clockHz;
  return entry;
}

static bool runsOn(const Artifact &artifact, DeviceKind device) {
  return std::ranges::any_of(artifact.dispatches,
                             [&](const ArtifactDispatch &dispatch) {
                               return dispatch.device == device;
                             });
}

/// Whether the device that the user names can run the artifact; an unknown NPU
/// is for createNpuDevice to refuse.
static Status checkDevice(const Artifact &artifact, const std::string &device) {
  bool hasNpu = !artifact.npuPrograms.empty();
  if (device.empty() || (device == "cpu") != hasNpu)
    return Status();
  if (hasNpu)
    return Status(StatusCode::InvalidArgument,
                  "it is compiled for the NPU and cannot run on the device "
                  "'cpu'; compile the model with --target=cpu");
  return Status(
      StatusCode::InvalidArgument,
      concat("it has no part for an NPU that the device ", quote(device),
             " could run: it was compiled with --target=cpu, or the NPU runs "
             "none of its operations; leave the device out to run it on the "
             "CPU, or compile the model with --target=exynos-npu, which lists "
             "what stays on the CPU and why"));
}

Status Session::Impl::createDevices(const SessionOptions &options) {
  bool hasNpu = !artifact.npuPrograms.empty();
  if (Status status = checkDevice(artifact, options.device); !status.ok())
    return status;
  // An artifact without launches still needs a device to name.
  if (!hasNpu || runsOn(artifact, DeviceKind::Cpu)) {
    Result<std::unique_ptr<Device>> device =
        createCpuDevice(artifact, options.threads, options.variant);
    if (!device)
      return device.status();
    cpu = std::move(*device);
    variant = cpu->variant();
  }
  if (!hasNpu)
    return Status();
  Result<std::unique_ptr<Device>> device =
      createNpuDevice(options.device, artifact, options);
  if (!device)
    return device.status();
  npu = std::move(*device);
  variant = concat(variant, variant.empty() ? "" : " + ", npu->name(), " (",
                   npu->variant(), ')');
  return Status();
}

void Session::Impl::observeResults(const ArtifactDispatch &dispatch) const {
  for (uint32_t result : dispatch.resultTensors()) {
    const ArtifactTensor &tensor = artifact.tensors[result];
    observer(tensor.info, dispatch.node, dispatch.op,
             std::span(addressOf(tensor), tensor.size));
  }
}

Status Session::Impl::run(const std::function<bool()> &cancelled) {
  using Clock = std::chrono::steady_clock;
  if (isTimingOnly)
    return Status();
  for (size_t i = 0; i < launches.size(); ++i) {
    if (cancelled && cancelled())
      return Status(StatusCode::Cancelled, "the run was cancelled");
    Clock::time_point begin = isProfiling ? Clock::now() : Clock::time_point();
    Device &device = deviceOf(artifact.dispatches[i]);
    if (Status status = device.submit(launches[i]); !status.ok())
      return status;
    if (Status status = device.wait(); !status.ok())
      return status;
    if (isProfiling) {
      profile[i].seconds +=
          std::chrono::duration<double>(Clock::now() - begin).count();
      ++profile[i].calls;
    }
    if (observer)
      observeResults(artifact.dispatches[i]);
  }
  return Status();
}

Session::Session() : impl(std::make_unique<Impl>()) {}

Session::~Session() = default;

static Status outOfMemory() {
  return Status(StatusCode::OutOfMemory,
                "there is not enough memory to load the artifact");
}

Result<std::unique_ptr<Session>>
Session::load(const std::string &path, const SessionOptions &options) try {
  Result<Artifact> artifact = Artifact::open(path, options.threads);
  if (!artifact)
    return artifact.status();
  std::unique_ptr<Session> session(new Session());
  Impl &impl = *session->impl;
  impl.artifact = std::move(*artifact);
  impl.isProfiling = options.profile;
  impl.isTimingOnly = options.timingOnly;
  Status status = impl.allocate();
  if (status.ok())
    status = impl.createDevices(options);
  if (!status.ok())
    return Status(status.getCode(),
                  concat("cannot load ", quote(path), ": ", status.message()));
  impl.prepareLaunches();
  return session;
} catch (const std::bad_alloc &) {
  return outOfMemory();
} catch (const std::length_error &) {
  return outOfMemory();
}

std::span<const TensorInfo> Session::inputs() const { return impl->inputs; }

std::span<const TensorInfo> Session::outputs() const { return impl->outputs; }

std::span<std::byte> Session::inputBuffer(size_t index) {
  return impl->inputBuffers[index];
}

std::span<const std::byte> Session::outputBuffer(size_t index) const {
  return impl->outputBuffers[index];
}

Status Session::setInput(size_t index, std::span<const std::byte> data) {
  if (index >= impl->inputs.size())
    return Status(StatusCode::InvalidArgument,
                  concat("there is no input ", index, "; the model has ",
                         impl->inputs.size()));
  const TensorInfo &info = impl->inputs[index];
  if (data.size() != info.numBytes())
    return Status(StatusCode::InvalidArgument,
                  concat("input ", quote(info.name), " is ",
                         typeText(info.dtype, info.shape), ", ",
                         info.numBytes(), " bytes, and ", data.size(),
                         " bytes were given"));
  if (!data.empty())
    std::memcpy(impl->inputBuffers[index].data(), data.data(), data.size());
  return Status();
}

Status Session::run(const std::function<bool()> &cancelled) {
  return impl->run(cancelled);
}

void Session::setObserver(TensorObserver observer) {
  impl->observer = std::move(observer);
}

std::vector<ProfileEntry> Session::profile() const {
  return impl->isProfiling ? impl->profile : std::vector<ProfileEntry>();
}

void Session::resetProfile() {
  for (ProfileEntry &entry : impl->profile) {
    entry.calls = 0;
    entry.seconds = 0;
  }
}

size_t Session::arenaBytes() const { return impl->artifact.arenaBytes; }

size_t Session::weightBytes() const { return impl->artifact.weights.size(); }

std::string_view Session::variant() const { return impl->variant; }

std::vector<const SimulatedLaunch *> Session::simulation() const {
  std::vector<const SimulatedLaunch *> result;
  for (const ArtifactDispatch &dispatch : impl->artifact.dispatches)
    if (const SimulatedLaunch *launch =
            impl->deviceOf(dispatch).simulation(dispatch.kernel))
      result.push_back(launch);
  return result;
}

double Session::simulatedSeconds() const {
  double seconds = 0;
  for (const SimulatedLaunch *launch : simulation())
    seconds += launch->cycles / launch->clockHz;
  return seconds;
}

size_t Session::numCpuLaunches() const {
  return static_cast<size_t>(std::ranges::count(
      impl->artifact.dispatches, DeviceKind::Cpu, &ArtifactDispatch::device));
}

std::span<const std::pair<std::string, std::string>> Session::metadata() const {
  return impl->artifact.metadata;
}
