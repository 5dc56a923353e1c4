// See ObjectEmitter.h. LLVM compiles, lld links; both run in this process.
#include "targets/cpu/ObjectEmitter.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"

#include "lld/Common/Driver.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace llvm;
using namespace efc::cpu;

void efc::cpu::initializeObjectEmission(mlir::DialectRegistry &registry) {
  static std::once_flag once;
  std::call_once(once, [] {
    InitializeAllTargetInfos();
    InitializeAllTargets();
    InitializeAllTargetMCs();
    InitializeAllAsmPrinters();
  });
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
}

static Expected<std::unique_ptr<TargetMachine>>
createTargetMachine(const CpuVariant &variant) {
  std::string error;
  Triple triple(variant.triple);
  const Target *target = TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return createStringError("this build's LLVM cannot generate code for " +
                             variant.triple + ": " + error);
  TargetOptions options;
  options.AllowFPOpFusion = FPOpFusion::Standard;
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(
      triple, variant.cpu, variant.features, options, Reloc::PIC_, std::nullopt,
      CodeGenOptLevel::Default));
  return machine;
}

Expected<LlvmModule> efc::cpu::translateKernels(mlir::ModuleOp kernels,
                                                const CpuVariant &variant) {
  LlvmModule result;
  result.context = std::make_unique<LLVMContext>();
  result.module =
      mlir::translateModuleToLLVMIR(kernels, *result.context, "efc-kernels");
  if (!result.module)
    return createStringError("the kernels could not be translated to LLVM IR");
  result.module->setTargetTriple(Triple(variant.triple));
  for (Function &function : *result.module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", variant.cpu);
    if (!variant.features.empty())
      function.addFnAttr("target-features", variant.features);
  }
  return result;
}

static void optimize(Module &module, TargetMachine &machine) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager sccs;
  ModuleAnalysisManager modules;
  PipelineTuningOptions tuning;
  tuning.LoopVectorization = true;
  tuning.SLPVectorization = false; // The kernels are vectors already; it costs
                                   // compile time and finds nothing.
  PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(OptimizationLevel::O2)
      .run(module, modules);
}

static Expected<SmallVector<char, 0>> compile(Module &module,
                                              TargetMachine &machine) {
  SmallVector<char, 0> object;
  raw_svector_ostream stream(object);
  legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr,
                                  CodeGenFileType::ObjectFile))
    return createStringError("LLVM cannot emit object files for this target");
  passes.run(module);
  return object;
}

/// lld works on files and on global state: one link at a time.
static Expected<std::vector<char>> link(ArrayRef<char> object) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  SmallString<128> input, output;
  int descriptor;
  if (std::error_code error =
          sys::fs::createTemporaryFile("efc-kernels", "o", descriptor, input))
    return createStringError(
        "cannot create a temporary file for the kernels' object: " +
        error.message());
  FileRemover removeInput(input);
  {
    raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
    stream.write(object.data(), object.size());
    stream.flush();
    if (stream.has_error()) {
      std::error_code error = stream.error();
      stream.clear_error();
      return createStringError("cannot write the kernels' object to " + input +
                               ": " + error.message());
    }
  }
  if (std::error_code error =
          sys::fs::createTemporaryFile("efc-kernels", "so", output))
    return createStringError(
        "cannot create a temporary file for the linked kernels: " +
        error.message());
  FileRemover removeOutput(output);
  std::string messages;
  raw_string_ostream stream(messages);
  const char *arguments[] = {"ld.lld",
                             "-shared",
                             "--no-undefined",
                             "--build-id=none",
                             "--gc-sections",
                             "-s",
                             "-z",
                             "noexecstack",
                             "-z",
                             "max-page-size=4096",
                             "-o",
                             output.c_str(),
                             input.c_str()};
  lld::Result result =
      lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return createStringError("the kernels did not link: " + messages);
  auto linked = MemoryBuffer::getFile(output, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  if (!linked)
    return createStringError("cannot read the linked kernels: " +
                             linked.getError().message());
  StringRef bytes = (*linked)->getBuffer();
  return std::vector<char>(bytes.begin(), bytes.end());
}

Expected<std::vector<char>>
efc::cpu::emitSharedObject(LlvmModule &module, const CpuVariant &variant) {
  auto machine = createTargetMachine(variant);
  if (!machine)
    return machine.takeError();
  module.module->setDataLayout((*machine)->createDataLayout());
  if (verifyModule(*module.module))
    return createStringError("the kernels' LLVM IR is not valid");
  optimize(*module.module, **machine);
  auto object = compile(*module.module, **machine);
  if (!object)
    return object.takeError();
  return link(*object);
}
