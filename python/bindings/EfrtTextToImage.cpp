// edgefusion._efrt.TextToImage: from a prompt to a picture.
// edgefusion/text_to_image.py is the public face.
#include "python/bindings/Efrt.h"

#include "efrt/TextToImage.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace py = pybind11;
using namespace edgefusion;
using efrt::GeneratedImage;
using efrt::TextToImage;

template <typename T>
static py::array_t<T> toArray(const std::vector<T> &values,
                              std::vector<py::ssize_t> shape) {
  py::array_t<T> array(std::move(shape));
  std::memcpy(array.mutable_data(), values.data(), values.size() * sizeof(T));
  return array;
}

static GeneratedImage generate(TextToImage &pipeline, const std::string &prompt,
                               int64_t steps, uint64_t seed, double guidance,
                               std::vector<float> latents,
                               const py::object &progress) {
  efrt::GenerationParams params;
  params.prompt = prompt;
  params.steps = steps;
  params.seed = seed;
  params.guidance = guidance;
  params.initialLatents = std::move(latents);
  std::optional<py::error_already_set> raised;
  auto report = [&](const efrt::Progress &state) {
    py::gil_scoped_acquire acquire;
    if (progress.is_none() || raised)
      return;
    try {
      progress(std::string(state.stage), state.done, state.total);
    } catch (py::error_already_set &error) {
      raised.emplace(std::move(error)); // Must not cross the runtime.
    }
  };
  efrt::Result<GeneratedImage> image = runInterruptibly([&](auto &cancelled) {
    return pipeline.generate(params, report,
                             [&] { return raised.has_value() || cancelled(); });
  });
  if (raised)
    throw std::move(*raised);
  return take(std::move(image));
}

static py::list times(const GeneratedImage &image) {
  py::list list;
  for (const efrt::StageTime &time : image.times)
    list.append(py::make_tuple(time.stage, time.seconds));
  return list;
}

void edgefusion::bindTextToImage(py::module_ &module) {
  py::class_<GeneratedImage>(module, "GeneratedImage")
      .def("pixels",
           [](const GeneratedImage &image) {
             return toArray(image.rgb, {image.height, image.width, 3});
           })
      .def("values",
           [](const GeneratedImage &image) {
             return toArray(image.values, {3, image.height, image.width});
           })
      .def("latents",
           [](const GeneratedImage &image) {
             return toArray(
                 image.latents,
                 {image.latentChannels, image.latentHeight, image.latentWidth});
           })
      .def("times", &times)
      .def("save",
           [](const GeneratedImage &image, const std::string &path) {
             check(efrt::writePng(path, image));
           })
      .def_readonly("timesteps", &GeneratedImage::timesteps)
      .def_readonly("parameters", &GeneratedImage::parameters)
      .def_readonly("total_seconds", &GeneratedImage::totalSeconds);

  py::class_<TextToImage>(module, "TextToImage")
      .def(py::init([](const std::string &folder, unsigned threads,
                       const std::string &variant, bool lowMemory,
                       const std::string &device) {
             py::gil_scoped_release release;
             return take(TextToImage::load(folder, {.threads = threads,
                                                    .variant = variant,
                                                    .device = device,
                                                    .lowMemory = lowMemory}));
           }),
           py::arg("folder"), py::arg("threads"), py::arg("variant"),
           py::arg("low_memory"), py::arg("device"))
      .def("generate", &generate, py::arg("prompt"), py::arg("steps"),
           py::arg("seed"), py::arg("guidance"), py::arg("latents"),
           py::arg("progress"))
      .def_property_readonly("has_guidance", &TextToImage::hasGuidance);
}
