// Operations that diffusion models brought: ef.geglu and ef.timestep_embedding.
#include "dialects/ef/EfDialect.h"
#include "dialects/ef/Scalar.h"
#include "dialects/ef/Shapes.h"
#include "dialects/ef/Values.h"

#include <cmath>

using namespace mlir;
using namespace efc::ef;

LogicalResult GegluOp::inferReturnTypes(MLIRContext *,
                                        std::optional<Location> location,
                                        Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  if (input.getRank() < 1 || input.getShape().back() % 2 != 0)
    return emitOptionalError(location,
                             "geglu halves the last dimension, which must be "
                             "even, but the input is ",
                             formatShape(input.getShape()));
  Shape shape(input.getShape());
  shape.back() /= 2;
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult GegluOp::verify() {
  switch (getActivation()) {
  case UnaryKind::Not:
  case UnaryKind::BitNot:
  case UnaryKind::IsNan:
  case UnaryKind::IsInf:
    return emitOpError() << stringifyUnaryKind(getActivation())
                         << " is not an activation";
  default:
    return success();
  }
}

LogicalResult GegluOp::evaluate(ArrayRef<HostTensor> operands,
                                SmallVectorImpl<HostTensor> &results) {
  std::vector<double> input = readValues<double>(operands[0]),
                      result(getType().getNumElements());
  int64_t half = getType().getShape().back();
  for (size_t i = 0; i < result.size(); ++i) {
    size_t row = i / half * 2 * half, column = i % half;
    result[i] = input[row + column] *
                applyUnary(getActivation(), input[row + half + column]);
  }
  results.push_back(makeTensor<double>(getType(), result));
  return success();
}

LogicalResult TimestepEmbeddingOp::verify() {
  RankedTensorType timesteps = getTimesteps().getType(),
                   frequencies = getFrequencies().getType();
  if (timesteps.getRank() != 1 || frequencies.getRank() != 1)
    return emitOpError()
           << "timesteps and frequencies must be vectors, but are "
           << formatShape(timesteps.getShape()) << " and "
           << formatShape(frequencies.getShape());
  Shape expected = {timesteps.getDimSize(0), 2 * frequencies.getDimSize(0)};
  if (getType().getShape() != ArrayRef<int64_t>(expected))
    return emitOpError()
           << "gives " << formatShape(expected)
           << " for these operands, but its result is declared as "
           << formatShape(getType().getShape());
  return success();
}

LogicalResult
TimestepEmbeddingOp::evaluate(ArrayRef<HostTensor> operands,
                              SmallVectorImpl<HostTensor> &results) {
  std::vector<double> timesteps = readValues<double>(operands[0]),
                      frequencies = readValues<double>(operands[1]);
  size_t half = frequencies.size(), sines = getFlip() ? half : 0,
         cosines = half - sines;
  double scale = getScale().convertToDouble();
  std::vector<double> result(getType().getNumElements());
  for (size_t n = 0; n < timesteps.size(); ++n)
    for (size_t i = 0; i < half; ++i) {
      double angle = scale * timesteps[n] * frequencies[i];
      result[n * 2 * half + sines + i] = std::sin(angle);
      result[n * 2 * half + cosines + i] = std::cos(angle);
    }
  results.push_back(makeTensor<double>(getType(), result));
  return success();
}
