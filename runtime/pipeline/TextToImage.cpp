// The public face of the pipeline, over Sessions.
#include "efrt/TextToImage.h"

#include "efrt/Png.h"
#include "runtime/pipeline/Pipeline.h"

#include <filesystem>

using namespace efrt;

struct TextToImage::Impl {
  Pipeline pipeline;
};

TextToImage::TextToImage(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
TextToImage::~TextToImage() = default;

Result<std::unique_ptr<TextToImage>>
TextToImage::load(const std::string &folder,
                  const TextToImageOptions &options) {
  Result<PipelineConfig> config = readPipelineConfig(folder);
  if (!config)
    return config.status();
  SessionOptions sessionOptions;
  sessionOptions.threads = options.threads;
  sessionOptions.variant = options.variant;
  sessionOptions.device = options.device;
  // A trailing slash would leave no name.
  std::filesystem::path path(folder);
  std::string name =
      (path.has_filename() ? path : path.parent_path()).filename().string();
  Result<Pipeline> pipeline = Pipeline::create(
      *config, name, sessionLoader(sessionOptions), options.lowMemory);
  if (!pipeline)
    return pipeline.status();
  return std::unique_ptr<TextToImage>(
      new TextToImage(std::make_unique<Impl>(Impl{std::move(*pipeline)})));
}

Result<GeneratedImage>
TextToImage::generate(const GenerationParams &params,
                      const ProgressCallback &progress,
                      const std::function<bool()> &cancelled) {
  return impl->pipeline.generate(params, progress, cancelled);
}

bool TextToImage::hasGuidance() const {
  return impl->pipeline.getConfig().guidanceEmbeddingDim > 0;
}

Status efrt::writePng(const std::string &path, const GeneratedImage &image) {
  return writePng(path, image.rgb, image.width, image.height, image.parameters);
}
