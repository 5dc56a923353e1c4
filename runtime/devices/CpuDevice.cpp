// The `cpu` device: picks the variant, loads its code, and spreads each launch
// over the threads.
#include "runtime/core/AlignedMemory.h"
#include "runtime/core/Text.h"
#include "runtime/devices/CpuFeatures.h"
#include "runtime/devices/Device.h"
#include "runtime/devices/KernelLibrary.h"
#include "runtime/devices/ThreadPool.h"

#include <algorithm>

using namespace efrt;

namespace {
class CpuDevice : public Device {
public:
  std::string_view name() const override { return "cpu"; }
  std::string_view variant() const override { return variantName; }
  Status submit(const Launch &launch) override;
  Status wait() override;

  std::string variantName;
  KernelLibrary library;
  AlignedMemory scratch;
  size_t scratchBytes = 0; ///< Of one thread.
  /// Last, so that the threads end before what they use.
  std::unique_ptr<ThreadPool> pool;

private:
  static void runPart(void *context, unsigned thread, int64_t begin,
                      int64_t end);

  KernelFunction function = nullptr;
  void *const *tensors = nullptr;
  bool isShared = false;
};
} // namespace

void CpuDevice::runPart(void *context, unsigned thread, int64_t begin,
                        int64_t end) {
  auto *device = static_cast<CpuDevice *>(context);
  device->function(device->tensors,
                   device->scratch.data() + thread * device->scratchBytes,
                   begin, end);
}

Status CpuDevice::submit(const Launch &launch) {
  function = library[launch.kernel];
  tensors = launch.tensors.data();
  isShared = launch.work > 1 && !launch.isSmall && pool->numThreads() > 1;
  if (isShared)
    pool->start(runPart, this, launch.work);
  else if (launch.work > 0)
    runPart(this, 0, 0, static_cast<int64_t>(launch.work));
  return Status();
}

Status CpuDevice::wait() {
  if (isShared)
    pool->finish();
  isShared = false;
  return Status();
}

/// Empty when this machine can run the variant, otherwise what it lacks.
static std::string whatIsMissing(const ArtifactVariant &variant) {
  std::string_view triple = variant.triple;
  if (triple.substr(0, triple.find('-')) != hostArchitecture())
    return concat("is for ", quote(variant.triple), " and this machine is ",
                  hostArchitecture());
  for (const std::string &feature : variant.features)
    if (!hostHasFeature(feature))
      return concat("needs the processor feature ", quote(feature),
                    ", which this machine lacks");
  return std::string();
}

static Result<const ArtifactVariant *>
chooseVariant(const Artifact &artifact, const std::string &wanted) {
  std::string reasons, names;
  for (const ArtifactVariant &variant : artifact.variants) {
    names += (names.empty() ? "" : ", ") + quote(variant.name);
    if (!wanted.empty() && variant.name != wanted)
      continue;
    std::string missing = whatIsMissing(variant);
    if (missing.empty())
      return &variant;
    reasons += concat(reasons.empty() ? "" : "; ", "variant ",
                      quote(variant.name), " ", missing);
  }
  if (!reasons.empty())
    return Status(StatusCode::Unsupported,
                  concat("this machine cannot run the artifact: ", reasons));
  if (artifact.variants.empty())
    return Status(StatusCode::Unsupported,
                  "the artifact holds no code for CPUs; compile the model with "
                  "--target=cpu");
  return Status(StatusCode::InvalidArgument,
                concat("the artifact has no CPU variant ", quote(wanted),
                       "; it has ", names));
}

Result<std::unique_ptr<Device>>
efrt::createCpuDevice(const Artifact &artifact, unsigned threads,
                      const std::string &wanted) {
  Result<const ArtifactVariant *> variant = chooseVariant(artifact, wanted);
  if (!variant)
    return variant.status();
  auto device = std::make_unique<CpuDevice>();
  device->variantName = (*variant)->name;
  Result<KernelLibrary> library =
      KernelLibrary::load(artifact.sections[(*variant)->section].data,
                          device->variantName, artifact.kernels);
  if (!library)
    return library.status();
  device->library = std::move(*library);
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
  if (!pool)
    return pool.status();
  device->pool = std::move(*pool);

  uint64_t most = 0;
  for (const ArtifactDispatch &dispatch : artifact.dispatches)
    most = std::max(most, dispatch.scratch);
  constexpr uint64_t page = 4096;
  device->scratchBytes = (most + page - 1) / page * page;
  Result<AlignedMemory> scratch = AlignedMemory::allocate(
      device->scratchBytes * device->pool->numThreads(), "scratch");
  if (!scratch)
    return scratch.status();
  device->scratch = std::move(*scratch);
  return std::unique_ptr<Device>(std::move(device));
}
