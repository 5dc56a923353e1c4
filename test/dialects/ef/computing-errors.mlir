// Computing operations: what the verifiers refuse, and in which words.
// RUN: efc-opt %s -split-input-file -verify-diagnostics

func.func @unary_type(%x: tensor<4xi32>) {
  // expected-error @below {{silu is not defined for elements of type 'i32'}}
  %0 = ef.unary silu %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @unary_result(%x: tensor<4xf32>) {
  // expected-error @below {{gives 'tensor<4xi1>' for an operand of type 'tensor<4xf32>', but its result is declared as 'tensor<4xf32>'}}
  %0 = ef.unary is_nan %x : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @binary_shapes(%x: tensor<2x3xf32>, %y: tensor<2xf32>) {
  // expected-error @below {{the operands' shapes [2, 3] and [2] do not broadcast: extents must be equal, or one of them 1, counted from the last dimension}}
  %0 = ef.binary add %x, %y : (tensor<2x3xf32>, tensor<2xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @binary_types(%x: tensor<2xf32>, %y: tensor<2xf16>) {
  // expected-error @below {{add needs operands of one element type, but they have 'f32' and 'f16'}}
  %0 = ef.binary add %x, %y : (tensor<2xf32>, tensor<2xf16>) -> tensor<2xf32>
  return
}

// -----

func.func @binary_bool(%x: tensor<2xi1>) {
  // expected-error @below {{add is not defined for elements of type 'i1'}}
  %0 = ef.binary add %x, %x : (tensor<2xi1>, tensor<2xi1>) -> tensor<2xi1>
  return
}

// -----

func.func @select(%c: tensor<2xi1>, %x: tensor<3xf32>, %y: tensor<f32>) {
  // expected-error @below {{select: the shapes of condition [2] and values [3], [] do not broadcast}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.select %c, %x, %y : (tensor<2xi1>, tensor<3xf32>, tensor<f32>) -> tensor<3xf32>
  return
}

// -----

func.func @quantize_scale(%x: tensor<2x3xf32>, %s: tensor<2xf32>) {
  // expected-error @below {{the scale has shape [2], but axis 1 of the input [2, 3] has extent 3}}
  %0 = ef.quantize %x, %s {axis = 1 : i64, block_size = 0 : i64} : (tensor<2x3xf32>, tensor<2xf32>) -> tensor<2x3xi8>
  return
}

// -----

func.func @quantize_type(%x: tensor<2xf32>, %s: tensor<f32>) {
  // expected-error @below {{quantises to and from integers of 8, 16 or 32 bits, not 'f16'}}
  %0 = ef.quantize %x, %s {axis = 0 : i64, block_size = 0 : i64} : (tensor<2xf32>, tensor<f32>) -> tensor<2xf16>
  return
}

// -----

func.func @matmul(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
  // expected-error @below {{matmul: the operands' shapes [2, 3] and [2, 3] do not fit: 3 columns meet 2 rows}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.matmul %a, %b : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @matmul_batch(%a: tensor<2x4x3xf32>, %b: tensor<3x3x4xf32>) {
  // expected-error @below {{matmul: the batch dimensions of shapes [2, 4, 3] and [3, 3, 4] do not broadcast}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.matmul %a, %b : (tensor<2x4x3xf32>, tensor<3x3x4xf32>) -> tensor<2x4x4xf32>
  return
}

// -----

func.func @conv_channels(%x: tensor<1x3x8x8xf32>, %w: tensor<4x4x3x3xf32>) {
  // expected-error @below {{conv: the filter [4, 4, 3, 3] in 1 groups needs 4 input channels and a multiple of 1 filters, but the input [1, 3, 8, 8] (channels_first) has 3 channels}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<4x4x3x3xf32>) -> tensor<1x4x8x8xf32>
  return
}

// -----

func.func @conv_kernel(%x: tensor<1x3x2x2xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error @below {{conv: the kernel [3, 3] does not fit into the padded input [1, 3, 2, 2]}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x2x2xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x1x1xf32>
  return
}

// -----

func.func @conv_strides(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error @below {{conv: strides [0, 1] and dilations [1, 1] must be 1 or more}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.conv %x, %w {strides = array<i64: 0, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x1x1xf32>
  return
}

// -----

func.func @attention_heads(%q: tensor<1x4x6xf32>, %k: tensor<1x5x6xf32>) {
  // expected-error @below {{attention: 4 heads (4 of keys) do not divide the channels of query [1, 4, 6], key [1, 5, 6], value [1, 5, 6]}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.attention %q, %k, %k {heads = 4 : i64, kv_heads = 4 : i64, scale = 1.0 : f64} : (tensor<1x4x6xf32>, tensor<1x5x6xf32>, tensor<1x5x6xf32>) -> tensor<1x4x6xf32>
  return
}

// -----

func.func @attention_mask(%q: tensor<1x4x6xf32>, %m: tensor<5xf32>) {
  // expected-error @below {{the mask [5] does not broadcast to the scores [1, 2, 4, 4] (batch, heads, queries, keys)}}
  %0 = ef.attention %q, %q, %q mask %m {heads = 2 : i64, kv_heads = 2 : i64, scale = 1.0 : f64} : (tensor<1x4x6xf32>, tensor<1x4x6xf32>, tensor<1x4x6xf32>, tensor<5xf32>) -> tensor<1x4x6xf32>
  return
}

// -----

func.func @group_norm(%x: tensor<1x6x4xf32>, %s: tensor<6xf32>) {
  // expected-error @below {{4 groups do not divide the 6 channels of the input [1, 6, 4]}}
  %0 = ef.group_norm %x, %s, %s {groups = 4 : i64, epsilon = 1.0e-05 : f64} : (tensor<1x6x4xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<1x6x4xf32>
  return
}

// -----

func.func @layer_norm(%x: tensor<1x6xf32>, %s: tensor<3xf32>) {
  // expected-error @below {{the scale [3] does not broadcast to the input [1, 6]}}
  %0 = ef.layer_norm %x scale %s {axis = 1 : i64, epsilon = 1.0e-05 : f64} : (tensor<1x6xf32>, tensor<3xf32>) -> tensor<1x6xf32>
  return
}

// -----

func.func @softmax(%x: tensor<1x6xf32>) {
  // expected-error @below {{axis 2 does not exist in the input [1, 6]}}
  %0 = ef.softmax %x {axis = 2 : i64} : (tensor<1x6xf32>) -> tensor<1x6xf32>
  return
}

// -----

func.func @reduce(%x: tensor<1x6xf32>) {
  // expected-error @below {{reduce: axis 1 is listed twice}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.reduce sum %x {axes = array<i64: 1, 1>} : (tensor<1x6xf32>) -> tensor<1xf32>
  return
}

// -----

func.func @arg_reduce(%x: tensor<1x0xf32>) {
  // expected-error @below {{arg_reduce: axis 1 of the input [1, 0] is empty}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.arg_reduce %x {axis = 1 : i64} : (tensor<1x0xf32>) -> tensor<1xi64>
  return
}

// -----

func.func @top_k(%x: tensor<1x6xf32>) {
  // expected-error @below {{top_k: k = 7, but axis 1 of the input [1, 6] has 6 elements}}
  // expected-error @below {{failed to infer returned types}}
  %0:2 = ef.top_k %x {k = 7 : i64, axis = 1 : i64} : (tensor<1x6xf32>) -> (tensor<1x7xf32>, tensor<1x7xi64>)
  return
}

// -----

func.func @pool(%x: tensor<1x2x4xi32>) {
  // expected-error @below {{pool avg is not defined for elements of type 'i32'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.pool avg %x {kernel = array<i64: 2>, strides = array<i64: 2>, pads = array<i64: 0, 0>, counted_pads = array<i64: 0, 0>, dilations = array<i64: 1>} : (tensor<1x2x4xi32>) -> tensor<1x2x2xi32>
  return
}

// -----

func.func @geglu(%x: tensor<2x3xf32>) {
  // expected-error @below {{geglu halves the last dimension, which must be even, but the input is [2, 3]}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ef.geglu %x : (tensor<2x3xf32>) -> tensor<2x1xf32>
  return
}

// -----

func.func @timestep_embedding(%t: tensor<2xf32>, %f: tensor<3xf32>) {
  // expected-error @below {{gives [2, 6] for these operands, but its result is declared as [2, 3]}}
  %0 = ef.timestep_embedding %t, %f {scale = 1.0 : f64} : (tensor<2xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return
}
