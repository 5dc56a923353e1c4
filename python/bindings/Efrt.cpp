// edgefusion._efrt: the runtime's C++ API for Python. edgefusion/session.py is
// the public face; this file converts between NumPy arrays and the runtime's
// byte buffers, releases the interpreter lock while kernels run, and turns
// statuses into exceptions.
#include "python/bindings/Efrt.h"

#include "efrt/Session.h"

#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstring>
#include <optional>

namespace py = pybind11;
using namespace edgefusion;
using efrt::DType;
using efrt::Session;
using efrt::TensorInfo;

/// NumPy's name of `dtype`; bf16 has none and travels as uint16.
static py::dtype toNumpy(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return py::dtype("float32");
  case DType::F64:
    return py::dtype("float64");
  case DType::F16:
    return py::dtype("float16");
  case DType::BF16:
    return py::dtype("uint16");
  case DType::I1:
    return py::dtype("bool");
  case DType::I8:
    return py::dtype("int8");
  case DType::I16:
    return py::dtype("int16");
  case DType::I32:
    return py::dtype("int32");
  case DType::I64:
    return py::dtype("int64");
  case DType::U8:
    return py::dtype("uint8");
  case DType::U16:
    return py::dtype("uint16");
  case DType::U32:
    return py::dtype("uint32");
  case DType::U64:
    return py::dtype("uint64");
  }
  throw RuntimeFailure(
      "the artifact has a data type that this version does not know");
}

static py::array toArray(const TensorInfo &info,
                         std::span<const std::byte> data) {
  py::array array(
      toNumpy(info.dtype),
      std::vector<py::ssize_t>(info.shape.begin(), info.shape.end()));
  std::memcpy(array.mutable_data(), data.data(), data.size());
  return array;
}

static py::list toList(std::span<const TensorInfo> infos) {
  py::list list;
  for (const TensorInfo &info : infos)
    list.append(py::make_tuple(info.name, std::string(efrt::nameOf(info.dtype)),
                               info.shape));
  return list;
}

/// `array` must already have the input's type, shape and C order:
/// edgefusion/session.py checks and says what is wrong.
static void setInput(Session &session, size_t index, const py::array &array) {
  if (index >= session.inputs().size())
    throw py::index_error("no such input");
  py::buffer_info buffer = array.request();
  check(session.setInput(index,
                         {static_cast<const std::byte *>(buffer.ptr),
                          static_cast<size_t>(buffer.size * buffer.itemsize)}));
}

static void run(Session &session) {
  check(runInterruptibly(
      [&](auto &cancelled) { return session.run(cancelled); }));
}

/// Runs with `observe(name, node, op, array)` called for each result of each
/// launch.
static void runObserved(Session &session, const py::function &observe) {
  std::optional<py::error_already_set> raised;
  session.setObserver([&](const TensorInfo &tensor, std::string_view node,
                          std::string_view op,
                          std::span<const std::byte> data) {
    py::gil_scoped_acquire acquire;
    if (raised)
      return;
    try {
      observe(tensor.name, node, op, toArray(tensor, data));
    } catch (py::error_already_set &error) {
      raised.emplace(std::move(error)); // Must not cross the runtime.
    }
  });
  efrt::Status status;
  {
    py::gil_scoped_release release;
    status = session.run([&] { return raised.has_value(); });
  }
  session.setObserver({});
  if (raised)
    throw std::move(*raised);
  check(status);
}

static py::list profile(const Session &session) {
  py::list entries;
  for (const efrt::ProfileEntry &entry : session.profile()) {
    py::dict item;
    item["node"] = entry.node;
    item["op"] = entry.op;
    item["kernel"] = entry.kernel;
    item["calls"] = entry.calls;
    item["seconds"] = entry.seconds;
    item["macs"] = entry.macs;
    item["bytes"] = entry.bytes;
    item["device"] = entry.device;
    item["simulated_seconds"] = entry.simulatedSeconds;
    entries.append(item);
  }
  return entries;
}

static py::dict toDict(const efrt::SimulatedCommand &command) {
  py::dict item;
  item["queue"] = command.queue;
  item["node"] = command.node;
  item["op"] = command.op;
  item["sequence"] = command.sequence;
  item["group"] = command.group;
  item["tile"] = command.tile;
  item["start"] = command.start;
  item["end"] = command.end;
  return item;
}

static py::list simulation(const Session &session) {
  py::list launches;
  for (const efrt::SimulatedLaunch *launch : session.simulation()) {
    py::list commands;
    for (const efrt::SimulatedCommand &command : launch->commands)
      commands.append(toDict(command));
    py::dict item;
    item["program"] = launch->program;
    item["machine"] = launch->machine;
    item["clock_hz"] = launch->clockHz;
    item["cycles"] = launch->cycles;
    item["macs"] = launch->macs;
    item["dram_bytes"] = launch->dramBytes;
    item["commands"] = commands;
    launches.append(item);
  }
  return launches;
}

static void bindSession(py::module_ &module) {
  py::class_<Session>(module, "Session")
      .def(py::init([](const std::string &path, unsigned threads,
                       const std::string &variant, bool profiled,
                       const std::string &device, bool timingOnly) {
             py::gil_scoped_release release;
             return take(Session::load(path, {.threads = threads,
                                              .variant = variant,
                                              .profile = profiled,
                                              .device = device,
                                              .timingOnly = timingOnly}));
           }),
           py::arg("path"), py::arg("threads"), py::arg("variant"),
           py::arg("profile"), py::arg("device"), py::arg("timing_only"))
      .def("inputs",
           [](const Session &session) { return toList(session.inputs()); })
      .def("outputs",
           [](const Session &session) { return toList(session.outputs()); })
      .def("set_input", &setInput)
      .def("output",
           [](const Session &session, size_t index) {
             if (index >= session.outputs().size())
               throw py::index_error("no such output");
             return toArray(session.outputs()[index],
                            session.outputBuffer(index));
           })
      .def("run", &run)
      .def("run_observed", &runObserved)
      .def("profile", &profile)
      .def("reset_profile", &Session::resetProfile)
      .def("simulation", &simulation)
      .def_property_readonly("simulated_seconds", &Session::simulatedSeconds)
      .def_property_readonly("arena_bytes", &Session::arenaBytes)
      .def_property_readonly("weight_bytes", &Session::weightBytes)
      .def_property_readonly(
          "variant",
          [](const Session &session) { return std::string(session.variant()); })
      .def_property_readonly("metadata", [](const Session &session) {
        py::dict result;
        for (const auto &[key, value] : session.metadata())
          result[py::str(key)] = value;
        return result;
      });
}

PYBIND11_MODULE(_efrt, module) {
  module.doc() = "The runtime: loads and runs artifacts.";
  py::register_exception<RuntimeFailure>(module, "RuntimeFailure",
                                         PyExc_RuntimeError);
  bindSession(module);
  bindTextToImage(module);
  bindPipelineParts(module);
}
