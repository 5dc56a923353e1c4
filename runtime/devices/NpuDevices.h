// Devices that run an artifact's NPU programs: the simulator, and whatever
// driver registers itself.
#ifndef EFRT_DEVICES_NPUDEVICES_H
#define EFRT_DEVICES_NPUDEVICES_H

#include "runtime/devices/Device.h"

#include <vector>

namespace efrt {

inline constexpr std::string_view kNpuSimulatorName = "exynos-npu-sim";

/// Makes a device for an artifact that has NPU programs; it checks them. A
/// launch's `kernel` is the index of a program, its tensors are the program's
/// slots: weights, workspace, inputs, outputs.
using NpuDeviceFactory = std::function<Result<std::unique_ptr<Device>>(
    const Artifact &artifact, const SessionOptions &options)>;

/// Adds a device that SessionOptions::device can name; an earlier one of that
/// name is replaced. Not while a session is being loaded.
void registerNpuDevice(std::string name, NpuDeviceFactory factory);

/// The names that createNpuDevice() takes.
std::vector<std::string> npuDeviceNames();

/// `name` empty: the simulator.
Result<std::unique_ptr<Device>> createNpuDevice(const std::string &name,
                                                const Artifact &artifact,
                                                const SessionOptions &options);

} // namespace efrt

#endif
