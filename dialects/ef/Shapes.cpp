// Shape arithmetic; see Shapes.h.
#include "dialects/ef/Shapes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace efc::ef;
using llvm::ArrayRef;

std::optional<Shape> efc::ef::broadcastShapes(ArrayRef<int64_t> a,
                                              ArrayRef<int64_t> b) {
  Shape result(std::max(a.size(), b.size()), 1);
  for (size_t fromEnd = 1; fromEnd <= result.size(); ++fromEnd) {
    int64_t extentA = fromEnd <= a.size() ? a[a.size() - fromEnd] : 1;
    int64_t extentB = fromEnd <= b.size() ? b[b.size() - fromEnd] : 1;
    if (extentA != extentB && extentA != 1 && extentB != 1)
      return std::nullopt;
    result[result.size() - fromEnd] = extentA == 1 ? extentB : extentA;
  }
  return result;
}

bool efc::ef::broadcastsTo(ArrayRef<int64_t> shape, ArrayRef<int64_t> target) {
  std::optional<Shape> result = broadcastShapes(shape, target);
  return result && ArrayRef<int64_t>(*result) == target;
}

std::optional<int64_t> efc::ef::normalizeAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return std::nullopt;
  return axis < 0 ? axis + rank : axis;
}

int64_t efc::ef::convOutputExtent(int64_t input, int64_t kernel, int64_t stride,
                                  int64_t padBegin, int64_t padEnd,
                                  int64_t dilation) {
  int64_t room = input + padBegin + padEnd - ((kernel - 1) * dilation + 1);
  return room < 0 ? 0 : room / stride + 1;
}

int64_t efc::ef::convTransposeOutputExtent(int64_t input, int64_t kernel,
                                           int64_t stride, int64_t padBegin,
                                           int64_t padEnd, int64_t dilation,
                                           int64_t outputPadding) {
  return stride * (input - 1) + outputPadding + (kernel - 1) * dilation + 1 -
         padBegin - padEnd;
}

int64_t efc::ef::getNumElements(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

Shape efc::ef::getStrides(ArrayRef<int64_t> shape) {
  Shape strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

Shape efc::ef::getBroadcastStrides(ArrayRef<int64_t> shape,
                                   ArrayRef<int64_t> target) {
  Shape strides(target.size(), 0);
  size_t missing = target.size() - shape.size();
  Shape own = getStrides(shape);
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != 1)
      strides[missing + i] = own[i];
  return strides;
}

std::string efc::ef::formatShape(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << '[';
  llvm::interleaveComma(shape, stream);
  stream << ']';
  return text;
}

AxisView::AxisView(ArrayRef<int64_t> shape, int64_t axis)
    : outer(efc::ef::getNumElements(shape.take_front(axis))),
      extent(shape[axis]),
      inner(efc::ef::getNumElements(shape.drop_front(axis + 1))) {}
