// Enumerations of the `ef` dialect: which function an element-wise, reducing or pooling operation computes.
#ifndef EF_ENUMS_TD
#define EF_ENUMS_TD

include "mlir/IR/EnumAttr.td"

class Ef_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::efc::ef";
  let genSpecializedAttr = 0;
}
class Ef_EnumAttr<EnumInfo info, string mnemonic> : EnumAttr<Ef_Dialect, info, mnemonic>;

def Ef_UnaryKind : Ef_Enum<"UnaryKind", "element-wise function of one operand", [
  I32EnumAttrCase<"Abs", 0, "abs">, I32EnumAttrCase<"Neg", 1, "neg">, I32EnumAttrCase<"Exp", 2, "exp">,
  I32EnumAttrCase<"Log", 3, "log">, I32EnumAttrCase<"Sqrt", 4, "sqrt">, I32EnumAttrCase<"Rsqrt", 5, "rsqrt">,
  I32EnumAttrCase<"Reciprocal", 6, "reciprocal">, I32EnumAttrCase<"Sin", 7, "sin">, I32EnumAttrCase<"Cos", 8, "cos">,
  I32EnumAttrCase<"Tan", 9, "tan">, I32EnumAttrCase<"Asin", 10, "asin">, I32EnumAttrCase<"Acos", 11, "acos">,
  I32EnumAttrCase<"Atan", 12, "atan">, I32EnumAttrCase<"Sinh", 13, "sinh">, I32EnumAttrCase<"Cosh", 14, "cosh">,
  I32EnumAttrCase<"Tanh", 15, "tanh">, I32EnumAttrCase<"Asinh", 16, "asinh">, I32EnumAttrCase<"Acosh", 17, "acosh">,
  I32EnumAttrCase<"Atanh", 18, "atanh">, I32EnumAttrCase<"Erf", 19, "erf">, I32EnumAttrCase<"Ceil", 20, "ceil">,
  I32EnumAttrCase<"Floor", 21, "floor">, I32EnumAttrCase<"Round", 22, "round">, I32EnumAttrCase<"Sign", 23, "sign">,
  I32EnumAttrCase<"Sigmoid", 24, "sigmoid">, I32EnumAttrCase<"Relu", 25, "relu">, I32EnumAttrCase<"Silu", 26, "silu">,
  I32EnumAttrCase<"Gelu", 27, "gelu">, I32EnumAttrCase<"GeluTanh", 28, "gelu_tanh">,
  I32EnumAttrCase<"QuickGelu", 29, "quick_gelu">, I32EnumAttrCase<"Softplus", 30, "softplus">,
  I32EnumAttrCase<"Softsign", 31, "softsign">, I32EnumAttrCase<"Mish", 32, "mish">,
  I32EnumAttrCase<"HardSwish", 33, "hard_swish">, I32EnumAttrCase<"Not", 34, "not">,
  I32EnumAttrCase<"BitNot", 35, "bit_not">, I32EnumAttrCase<"IsNan", 36, "is_nan">,
  I32EnumAttrCase<"IsInf", 37, "is_inf">]>;
def Ef_UnaryKindAttr : Ef_EnumAttr<Ef_UnaryKind, "unary">;

def Ef_BinaryKind : Ef_Enum<"BinaryKind", "element-wise function of two operands", [
  I32EnumAttrCase<"Add", 0, "add">, I32EnumAttrCase<"Sub", 1, "sub">, I32EnumAttrCase<"Mul", 2, "mul">,
  I32EnumAttrCase<"Div", 3, "div">, I32EnumAttrCase<"Pow", 4, "pow">, I32EnumAttrCase<"Min", 5, "min">,
  I32EnumAttrCase<"Max", 6, "max">, I32EnumAttrCase<"Mod", 7, "mod">, I32EnumAttrCase<"Fmod", 8, "fmod">,
  I32EnumAttrCase<"And", 9, "and">, I32EnumAttrCase<"Or", 10, "or">, I32EnumAttrCase<"Xor", 11, "xor">,
  I32EnumAttrCase<"BitAnd", 12, "bit_and">, I32EnumAttrCase<"BitOr", 13, "bit_or">,
  I32EnumAttrCase<"BitXor", 14, "bit_xor">, I32EnumAttrCase<"ShiftLeft", 15, "shift_left">,
  I32EnumAttrCase<"ShiftRight", 16, "shift_right">, I32EnumAttrCase<"Eq", 17, "eq">, I32EnumAttrCase<"Ne", 18, "ne">,
  I32EnumAttrCase<"Lt", 19, "lt">, I32EnumAttrCase<"Le", 20, "le">, I32EnumAttrCase<"Gt", 21, "gt">,
  I32EnumAttrCase<"Ge", 22, "ge">]>;
def Ef_BinaryKindAttr : Ef_EnumAttr<Ef_BinaryKind, "binary">;

def Ef_ReduceKind : Ef_Enum<"ReduceKind", "associative reduction", [
  I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Mean", 1, "mean">, I32EnumAttrCase<"Max", 2, "max">,
  I32EnumAttrCase<"Min", 3, "min">, I32EnumAttrCase<"Prod", 4, "prod">]>;
def Ef_ReduceKindAttr : Ef_EnumAttr<Ef_ReduceKind, "reduction">;

def Ef_PoolKind : Ef_Enum<"PoolKind", "pooling function", [
  I32EnumAttrCase<"Max", 0, "max">, I32EnumAttrCase<"Avg", 1, "avg">]>;
def Ef_PoolKindAttr : Ef_EnumAttr<Ef_PoolKind, "pooling">;

def Ef_PadMode : Ef_Enum<"PadMode", "what stands outside the padded tensor", [
  I32EnumAttrCase<"Constant", 0, "constant">, I32EnumAttrCase<"Reflect", 1, "reflect">,
  I32EnumAttrCase<"Edge", 2, "edge">, I32EnumAttrCase<"Wrap", 3, "wrap">]>;
def Ef_PadModeAttr : Ef_EnumAttr<Ef_PadMode, "padding">;

def Ef_ScatterKind : Ef_Enum<"ScatterKind", "how an update meets the element it replaces", [
  I32EnumAttrCase<"None", 0, "none">, I32EnumAttrCase<"Add", 1, "add">, I32EnumAttrCase<"Mul", 2, "mul">,
  I32EnumAttrCase<"Max", 3, "max">, I32EnumAttrCase<"Min", 4, "min">]>;
def Ef_ScatterKindAttr : Ef_EnumAttr<Ef_ScatterKind, "scattering">;

def Ef_ResizeMode : Ef_Enum<"ResizeMode", "interpolation", [
  I32EnumAttrCase<"Nearest", 0, "nearest">, I32EnumAttrCase<"Linear", 1, "linear">,
  I32EnumAttrCase<"Cubic", 2, "cubic">]>;
def Ef_ResizeModeAttr : Ef_EnumAttr<Ef_ResizeMode, "resizing">;

def Ef_ResizeCoordinates : Ef_Enum<"ResizeCoordinates", "ONNX's coordinate_transformation_mode", [
  I32EnumAttrCase<"HalfPixel", 0, "half_pixel">, I32EnumAttrCase<"Asymmetric", 1, "asymmetric">,
  I32EnumAttrCase<"AlignCorners", 2, "align_corners">, I32EnumAttrCase<"PytorchHalfPixel", 3, "pytorch_half_pixel">,
  I32EnumAttrCase<"HalfPixelSymmetric", 4, "half_pixel_symmetric">,
  I32EnumAttrCase<"TfCropAndResize", 5, "tf_crop_and_resize">]>;
def Ef_ResizeCoordinatesAttr : Ef_EnumAttr<Ef_ResizeCoordinates, "coordinates">;

def Ef_ResizeNearest : Ef_Enum<"ResizeNearest", "ONNX's nearest_mode", [
  I32EnumAttrCase<"RoundPreferFloor", 0, "round_prefer_floor">, I32EnumAttrCase<"RoundPreferCeil", 1, "round_prefer_ceil">,
  I32EnumAttrCase<"Floor", 2, "floor">, I32EnumAttrCase<"Ceil", 3, "ceil">]>;
def Ef_ResizeNearestAttr : Ef_EnumAttr<Ef_ResizeNearest, "rounding">;

def Ef_Layout : Ef_Enum<"Layout", "where the channels are", [
  I32EnumAttrCase<"ChannelsFirst", 0, "channels_first">, I32EnumAttrCase<"ChannelsLast", 1, "channels_last">]>;
def Ef_LayoutAttr : Ef_EnumAttr<Ef_Layout, "layout">;

#endif
