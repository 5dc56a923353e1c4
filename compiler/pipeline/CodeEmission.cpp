// See CodeEmission.h.
#include "compiler/pipeline/CodeEmission.h"

#include "compiler/artifact/ArtifactWriter.h"
#include "compiler/artifact/Launches.h"
#include "compiler/artifact/NpuPrograms.h"
#include "compiler/pipeline/Version.h"
#include "dialects/cpu/CpuDialect.h"
#include "dialects/ef/Locations.h"
#include "dialects/npu/NpuDialect.h"
#include "targets/cpu/ObjectEmitter.h"
#include "targets/cpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ThreadPool.h"

using namespace mlir;
using namespace efc;

LogicalResult efc::scheduleForCpu(ModuleOp module, StringRef cpu,
                                  const CompileOptions &options) {
  PassManager pm(module.getContext());
  cpu::EfcCpuLowerToDispatchesOptions lowering;
  lowering.cpu = cpu.str();
  lowering.winograd = options.winograd;
  lowering.bf16 = options.bf16;
  pm.addPass(cpu::createEfcCpuLowerToDispatches(lowering));
  pm.addPass(cpu::createEfcCpuPlanMemory());
  return pm.run(module);
}

/// Launches, without the kernels' bodies: what must be the same for every
/// variant.
static SmallVector<std::string> launchesOf(ModuleOp module) {
  SmallVector<std::string> launches;
  for (auto dispatch :
       module.lookupSymbol<func::FuncOp>("main").getOps<cpu::DispatchOp>()) {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << dispatch.getKernel() << ' ' << dispatch.getWork() << ' '
       << dispatch.getOperandTypes() << dispatch.getResultTypes();
    launches.push_back(std::move(text));
  }
  return launches;
}

/// The kernels alone: neither @main nor what the NPU runs.
static OwningOpRef<ModuleOp> cloneKernels(ModuleOp scheduled) {
  OwningOpRef<ModuleOp> kernels(
      cast<ModuleOp>(scheduled->cloneWithoutRegions()));
  OpBuilder builder(scheduled.getContext());
  builder.createBlock(&kernels->getBodyRegion());
  for (Operation &op : *scheduled.getBody()) {
    auto function = dyn_cast<func::FuncOp>(op);
    bool isOther = function && (function.getSymName() == "main" ||
                                function->hasAttr("npu.partition"));
    if (!isOther && !isa<npu::ProgramOp>(op))
      builder.clone(op);
  }
  return kernels;
}

static llvm::Expected<cpu::LlvmModule>
generateKernels(ModuleOp scheduled, const cpu::CpuVariant &variant) {
  OwningOpRef<ModuleOp> kernels = cloneKernels(scheduled);
  PassManager pm(scheduled.getContext());
  cpu::buildKernelLoweringPipeline(pm);
  if (failed(pm.run(*kernels)))
    return llvm::createStringError("the kernels for " + variant.name +
                                   " could not be lowered");
  return cpu::translateKernels(*kernels, variant);
}

/// Scratch that the most demanding variant needs, launch by launch.
static void raiseScratch(ModuleOp scheduled, ModuleOp other) {
  auto mains = llvm::zip_equal(
      scheduled.lookupSymbol<func::FuncOp>("main").getOps<cpu::DispatchOp>(),
      other.lookupSymbol<func::FuncOp>("main").getOps<cpu::DispatchOp>());
  for (auto [mine, theirs] : mains)
    mine.setScratch(std::max(mine.getScratch(), theirs.getScratch()));
}

/// One LLVM module a variant; `scheduled` is that of the first variant.
static llvm::Expected<std::vector<cpu::LlvmModule>>
generateAllKernels(ModuleOp unscheduled, ModuleOp scheduled,
                   ArrayRef<cpu::CpuVariant> variants,
                   const CompileOptions &options) {
  std::vector<cpu::LlvmModule> modules;
  for (auto [index, variant] : llvm::enumerate(variants)) {
    OwningOpRef<ModuleOp> own;
    ModuleOp source = scheduled;
    if (index > 0) {
      own = OwningOpRef<ModuleOp>(unscheduled.clone());
      if (failed(scheduleForCpu(*own, variant.name, options)))
        return llvm::createStringError("the kernels for " + variant.name +
                                       " could not be generated");
      source = *own;
      if (launchesOf(source) != launchesOf(scheduled))
        return llvm::createStringError(
            "internal error: the variants " + variants.front().name + " and " +
            variant.name + " disagree on the launches");
      raiseScratch(scheduled, source);
    }
    llvm::Expected<cpu::LlvmModule> module = generateKernels(source, variant);
    if (!module)
      return module.takeError();
    modules.push_back(std::move(*module));
  }
  return modules;
}

static llvm::Expected<std::vector<std::vector<char>>>
compileObjects(MutableArrayRef<cpu::LlvmModule> modules,
               ArrayRef<cpu::CpuVariant> variants) {
  std::vector<std::vector<char>> objects(modules.size());
  std::vector<std::string> errors(modules.size());
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(modules.size()));
  for (size_t i = 0; i < modules.size(); ++i)
    pool.async([&, i] {
      llvm::Expected<std::vector<char>> object =
          cpu::emitSharedObject(modules[i], variants[i]);
      if (object)
        objects[i] = std::move(*object);
      else
        errors[i] = llvm::toString(object.takeError());
    });
  pool.wait();
  for (const std::string &error : errors)
    if (!error.empty())
      return llvm::createStringError(error);
  return objects;
}

static void addVariant(ArtifactWriter &writer, const cpu::CpuVariant &variant,
                       std::vector<char> object) {
  auto entry = std::make_unique<fb::CpuVariantT>();
  entry->name = variant.name;
  entry->triple = variant.triple;
  entry->features = variant.runtimeFeatures;
  entry->section = writer.addSection(fb::SectionKind::CpuObject, variant.name,
                                     std::move(object));
  writer.model.variants.push_back(std::move(entry));
}

/// What efc-cpu-lower-to-dispatches proved of the sums of quantised layers.
static void collectAccumulators(ModuleOp scheduled, CompileReport &report) {
  auto main = scheduled.lookupSymbol<func::FuncOp>("main");
  for (auto dispatch : main.getOps<cpu::DispatchOp>())
    if (auto bound = dispatch->getAttrOfType<IntegerAttr>("accumulator_bound"))
      report.accumulators.push_back(
          {ef::getNodeName(dispatch.getLoc()).str(), dispatch.getOp().str(),
           static_cast<uint64_t>(bound.getInt()),
           static_cast<uint64_t>(
               dispatch->getAttrOfType<IntegerAttr>("accumulator_chunk")
                   .getInt())});
}

static void addMetadata(ArtifactWriter &writer, const CompileOptions &options) {
  auto add = [&](StringRef key, StringRef value) {
    auto entry = std::make_unique<fb::KeyValueT>();
    entry->key = key.str();
    entry->value = value.str();
    writer.model.metadata.push_back(std::move(entry));
  };
  add("target", options.target);
  if (!options.quantize.empty())
    add("quantize", options.quantize);
  if (options.isForNpu())
    add("mlt", options.mlt);
  add("cpu-precision", options.bf16 ? "bf16" : "f32");
  add("winograd", options.winograd ? "yes" : "no");
}

LogicalResult efc::emitArtifact(ModuleOp unscheduled, ModuleOp scheduled,
                                StringRef output, const CompileOptions &options,
                                CompileReport &report) {
  auto fail = [&](llvm::Error error) -> LogicalResult {
    return emitError(UnknownLoc::get(unscheduled.getContext()),
                     llvm::toString(std::move(error)));
  };
  llvm::Expected<std::vector<cpu::CpuVariant>> variants =
      cpu::selectVariants(options.cpu, !options.quantize.empty());
  if (!variants)
    return fail(variants.takeError());

  // The programs' commands are freed as they are encoded, before the kernels
  // need memory.
  ArtifactWriter writer;
  if (report.npu)
    if (llvm::Error error = addNpuPrograms(scheduled, writer, *report.npu))
      return fail(std::move(error));
  auto modules = generateAllKernels(unscheduled, scheduled, *variants, options);
  if (!modules)
    return fail(modules.takeError());
  auto objects = compileObjects(*modules, *variants);
  if (!objects)
    return fail(objects.takeError());

  writer.model.producer = "efc " EFC_VERSION;
  if (auto name = unscheduled.getSymName())
    writer.model.name = name->str();
  auto modelDir = unscheduled->getAttrOfType<StringAttr>("ef.model_dir");
  ef::WeightStore store(modelDir ? modelDir.str() : ".");
  if (llvm::Error error = addLaunches(scheduled, store, writer))
    return fail(std::move(error));
  for (auto [variant, object] : llvm::zip_equal(*variants, *objects)) {
    addVariant(writer, variant, std::move(object));
    report.variants.push_back(variant.name);
  }
  addMetadata(writer, options);
  collectAccumulators(scheduled, report);
  report.arenaBytes = writer.model.arena_bytes;
  report.numDispatches = writer.model.dispatches.size();
  report.numKernels = writer.model.kernels.size();
  if (llvm::Error error = writer.write(output))
    return fail(std::move(error));
  for (const auto &section : writer.model.sections)
    if (section->kind == fb::SectionKind::Weights)
      report.weightBytes = section->size;
  llvm::sys::fs::file_size(output, report.artifactBytes);
  return success();
}
