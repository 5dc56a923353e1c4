// Every constraint has its sentence, at the operation that breaks it.
// RUN: efc-opt --efc-npu-partition=report=true --split-input-file --verify-diagnostics %s -o /dev/null

func.func @main(%x: tensor<2x8x8x4xf32>) -> tensor<2x8x8x4xf32> {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<4x4x1x1xf32>
  // expected-remark @below {{runs on the CPU: breaks the constraint 'two spatial dimensions, channels last, batch 1'; fix the batch with --dim or --input-shape}}
  %0 = ef.conv %x, %w {dilations = array<i64: 1, 1>, layout = #ef<layout channels_last>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<2x8x8x4xf32>, tensor<4x4x1x1xf32>) -> tensor<2x8x8x4xf32>
  return %0 : tensor<2x8x8x4xf32>
}

// -----

func.func @main(%x: tensor<1x8x8x4xf32>) -> tensor<1x8x8x4xf32> {
  %w = ef.weight "w" from "m.onnx" at 0 : tensor<4x2x1x1xf32>
  // expected-remark @below {{breaks the constraint 'groups = 1, or depthwise with one filter a channel'}}
  %0 = ef.conv %x, %w {dilations = array<i64: 1, 1>, groups = 2 : i64, layout = #ef<layout channels_last>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x8x8x4xf32>, tensor<4x2x1x1xf32>) -> tensor<1x8x8x4xf32>
  return %0 : tensor<1x8x8x4xf32>
}

// -----

func.func @main(%x: tensor<4x8xf32>, %w: tensor<8x4xf32>) -> tensor<4x4xf32> {
  // expected-remark @below {{breaks the constraint 'the second operand is constant and has no batch'}}
  %0 = ef.matmul %x, %w : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}

// -----

func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-remark @below {{breaks the constraint 'element-wise functions are ones that the vector engines have'}}
  %0 = ef.unary asinh %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

func.func @main(%x: tensor<1xf32>) -> tensor<1xf32> {
  // expected-remark @below {{breaks the constraint 'more than one element (single numbers stay float32)'}}
  %0 = ef.unary silu %x : (tensor<1xf32>) -> tensor<1xf32>
  return %0 : tensor<1xf32>
}

// -----

func.func @main(%x: tensor<4x8xi64>) -> tensor<4x8xf32> {
  // expected-remark @below {{breaks the constraint 'activations are float32 (stored as float16), float16, or int16 with one scale a tensor'}}
  %0 = ef.cast %x : (tensor<4x8xi64>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

func.func @main(%x: tensor<1x4x8xf32>) -> tensor<1x4x8xf32> {
  %table = ef.weight "positions" from "m.onnx" at 0 : tensor<1x4x8xf32>
  // expected-remark @below {{a constant operand of the epilogue has more than one value a channel}}
  %0 = ef.binary add %x, %table : (tensor<1x4x8xf32>, tensor<1x4x8xf32>) -> tensor<1x4x8xf32>
  return %0 : tensor<1x4x8xf32>
}

// -----

func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-remark @below {{breaks the constraint 'over the last dimension alone'}}
  %0 = ef.layer_norm %x {axis = 0 : i64, epsilon = 1.0e-5 : f64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

func.func @main(%x: tensor<4x8xf32>) -> tensor<2x8xf32> {
  // expected-remark @below {{breaks the constraint 'a run of channels, with step 1, of all positions'}}
  %0 = ef.slice %x {starts = array<i64: 1, 0>, steps = array<i64: 1, 1>} : (tensor<4x8xf32>) -> tensor<2x8xf32>
  %1 = ef.unary silu %0 : (tensor<2x8xf32>) -> tensor<2x8xf32>
  return %1 : tensor<2x8xf32>
}

// -----

// Movement that serves the CPU alone stays there, through reshapes, too.
func.func @main(%x: tensor<2x4x6xf32>) -> tensor<12x4xf32> {
  // expected-remark @below {{only moves elements between operations of the CPU}}
  %0 = ef.transpose %x {permutation = array<i64: 0, 2, 1>} : (tensor<2x4x6xf32>) -> tensor<2x6x4xf32>
  %1 = ef.reshape %0 : (tensor<2x6x4xf32>) -> tensor<12x4xf32>
  // expected-remark @below {{the NPU has no command for 'ef.softmax'}}
  %2 = ef.softmax %1 {axis = 1 : i64} : (tensor<12x4xf32>) -> tensor<12x4xf32>
  return %2 : tensor<12x4xf32>
}

// -----

// A module without @main is not a model.
// expected-error @below {{has no function @main to partition}}
module {}
