// ef.timestep_embedding: sines and cosines of scale * timestep * frequency,
// computed in f64, so that arguments of any model (up to 1e4 and far beyond)
// keep all digits of the result's type. A work item is one timestep.
#include "targets/cpu/kernels/ElementwiseTimestep.h"

#include "targets/cpu/kernels/NormsCommon.h"
#include "targets/cpu/kernels/ScalarEmitter.h"

using namespace mlir;
using namespace efc;
using namespace efc::cpu;

static void emitEmbedding(KernelBuilder &b, ef::TimestepEmbeddingOp op) {
  Type f64 = b.getF64Type();
  Type timestepType = getElementTypeOrSelf(op.getTimesteps());
  Type frequencyType = getElementTypeOrSelf(op.getFrequencies());
  Type resultType = getElementTypeOrSelf(op.getResult());
  KernelTensor timesteps{b.pointer(b.input(0)), timestepType};
  KernelTensor frequencies{b.pointer(b.input(1)), frequencyType};
  Value result = b.pointer(b.result(0));
  auto frequencyTensor = cast<RankedTensorType>(op.getFrequencies().getType());
  int64_t half = frequencyTensor.getNumElements();
  b.forEachWorkItem([&](Value n) {
    Value timestep = emitCast(b, timesteps.load(b, n, 1), timestepType, f64);
    double factor = op.getScale().convertToDouble();
    Value scaled = FloatMath(b, f64).mul(timestep, factor);
    auto body = [&](Value i, int64_t lanes) {
      Value frequency =
          emitCast(b, frequencies.load(b, i, lanes), frequencyType, f64);
      FloatMath m(b, frequency.getType());
      Value angle =
          m.mul(frequency, lanes == 1 ? scaled : b.splat(scaled, lanes));
      Value sines = b.add(b.mul(n, 2 * half), i);
      Value cosines = b.add(sines, half);
      if (op.getFlip())
        std::swap(sines, cosines);
      storeElements(b, emitCast(b, m.sin(angle), f64, resultType), result,
                    sines, resultType);
      storeElements(b, emitCast(b, m.cos(angle), f64, resultType), result,
                    cosines, resultType);
    };
    emitVectorLoop(b, b.index(0), b.index(half), b.variant.lanes, body);
  });
}

Lowered efc::cpu::lowerTimestepEmbedding(const KernelView &view,
                                         OpBuilder &main,
                                         DispatchBuilder &dispatches) {
  auto op = cast<ef::TimestepEmbeddingOp>(view.anchor);
  auto timesteps = cast<RankedTensorType>(op.getTimesteps().getType());
  Launch launch{
      view.root->getLoc(),
      "timestep_embedding",
      view.label(),
      view.key(),
      {view.outer(op.getTimesteps()), view.outer(op.getFrequencies())},
      SmallVector<Type>(view.root->getResultTypes())};
  launch.work = std::max<int64_t>(1, timesteps.getNumElements());
  ResultRange results = dispatches.launch(main, launch, [&](KernelBuilder &b) {
    if (view.resultType().getNumElements() != 0)
      emitEmbedding(b, op);
  });
  return FailureOr<SmallVector<Value>>(SmallVector<Value>(results));
}
