// Activation functions in the forms in which exporters write them.
// RUN: efc-opt %s -efc-raise-activations -split-input-file | FileCheck %s

// CHECK-LABEL: @silu
// CHECK-NEXT: ef.unary silu %arg0
// CHECK-NEXT: return
func.func @silu(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %0 = ef.unary sigmoid %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %1 = ef.binary mul %0, %x : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}

// -----

// CHECK-LABEL: @quick_gelu
// CHECK-NEXT: ef.unary quick_gelu %arg0
// CHECK-NEXT: return
func.func @quick_gelu(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = ef.constant dense<1.702> : tensor<f32>
  %0 = ef.binary mul %x, %c : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = ef.unary sigmoid %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = ef.binary mul %x, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %2 : tensor<4xf32>
}

// -----

// x / sqrt(2), erf, + 1, * x, * 0.5: torch's older exporter.
// CHECK-LABEL: @gelu_erf
// CHECK-NEXT: ef.unary gelu %arg0
// CHECK-NEXT: return
func.func @gelu_erf(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = ef.constant dense<1.41421354> : tensor<f32>
  %one = ef.constant dense<1.0> : tensor<f32>
  %half = ef.constant dense<0.5> : tensor<f32>
  %0 = ef.binary div %x, %r : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = ef.unary erf %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = ef.binary add %1, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = ef.binary mul %x, %2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = ef.binary mul %3, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %4 : tensor<4xf32>
}

// -----

// (0.5 x) (1 + erf(0.7071 x)), in f16.
// CHECK-LABEL: @gelu_erf_f16
// CHECK-NEXT: ef.unary gelu %arg0
// CHECK-NEXT: return
func.func @gelu_erf_f16(%x: tensor<4xf16>) -> tensor<4xf16> {
  %r = ef.constant dense<0.707> : tensor<f16>
  %one = ef.constant dense<1.0> : tensor<f16>
  %half = ef.constant dense<0.5> : tensor<f16>
  %0 = ef.binary mul %r, %x : (tensor<f16>, tensor<4xf16>) -> tensor<4xf16>
  %1 = ef.unary erf %0 : (tensor<4xf16>) -> tensor<4xf16>
  %2 = ef.binary add %one, %1 : (tensor<f16>, tensor<4xf16>) -> tensor<4xf16>
  %3 = ef.binary mul %x, %half : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %4 = ef.binary mul %3, %2 : (tensor<4xf16>, tensor<4xf16>) -> tensor<4xf16>
  return %4 : tensor<4xf16>
}

// -----

// CHECK-LABEL: @gelu_tanh
// CHECK-NEXT: ef.unary gelu_tanh %arg0
// CHECK-NEXT: return
func.func @gelu_tanh(%x: tensor<4xf32>) -> tensor<4xf32> {
  %three = ef.constant dense<3.0> : tensor<f32>
  %a = ef.constant dense<0.044715> : tensor<f32>
  %b = ef.constant dense<0.797884583> : tensor<f32>
  %one = ef.constant dense<1.0> : tensor<f32>
  %half = ef.constant dense<0.5> : tensor<f32>
  %0 = ef.binary pow %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = ef.binary mul %0, %a : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = ef.binary add %x, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = ef.binary mul %2, %b : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = ef.unary tanh %3 : (tensor<4xf32>) -> tensor<4xf32>
  %5 = ef.binary add %4, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %6 = ef.binary mul %x, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %7 = ef.binary mul %6, %5 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %7 : tensor<4xf32>
}

// -----

// sqrt(2/pi) x (1 + 0.044715 x x)
// CHECK-LABEL: @gelu_tanh_factored
// CHECK-NEXT: ef.unary gelu_tanh %arg0
// CHECK-NEXT: return
func.func @gelu_tanh_factored(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = ef.constant dense<0.044715> : tensor<f32>
  %b = ef.constant dense<0.797884583> : tensor<f32>
  %one = ef.constant dense<1.0> : tensor<f32>
  %half = ef.constant dense<0.5> : tensor<f32>
  %0 = ef.binary mul %x, %a : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = ef.binary mul %0, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %2 = ef.binary add %1, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = ef.binary mul %x, %b : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = ef.binary mul %3, %2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %5 = ef.unary tanh %4 : (tensor<4xf32>) -> tensor<4xf32>
  %6 = ef.binary add %5, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %7 = ef.binary mul %x, %6 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %8 = ef.binary mul %half, %7 : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  return %8 : tensor<4xf32>
}

// -----

// CHECK-LABEL: @mish
// CHECK-NEXT: ef.unary mish %arg0
// CHECK-NEXT: return
func.func @mish(%x: tensor<4xf32>) -> tensor<4xf32> {
  %one = ef.constant dense<1.0> : tensor<f32>
  %0 = ef.unary exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = ef.binary add %0, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = ef.unary log %1 : (tensor<4xf32>) -> tensor<4xf32>
  %3 = ef.unary tanh %2 : (tensor<4xf32>) -> tensor<4xf32>
  %4 = ef.binary mul %x, %3 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %4 : tensor<4xf32>
}

// -----

// CHECK-LABEL: @hard_swish
// CHECK-NEXT: ef.unary hard_swish %arg0
// CHECK-NEXT: return
func.func @hard_swish(%x: tensor<4xf32>) -> tensor<4xf32> {
  %three = ef.constant dense<3.0> : tensor<f32>
  %zero = ef.constant dense<0.0> : tensor<f32>
  %six = ef.constant dense<6.0> : tensor<f32>
  %0 = ef.binary add %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = ef.binary max %0, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = ef.binary min %1, %six : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = ef.binary mul %x, %2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = ef.binary div %3, %six : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %4 : tensor<4xf32>
}

// -----

// CHECK-LABEL: @logistic
// CHECK-DAG: ef.unary silu %arg0
// CHECK-DAG: ef.unary sigmoid %arg0
// CHECK-NEXT: return
func.func @logistic(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %one = ef.constant dense<1.0> : tensor<f32>
  %0 = ef.unary neg %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = ef.unary exp %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = ef.binary add %1, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = ef.binary div %x, %2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = ef.unary reciprocal %2 : (tensor<4xf32>) -> tensor<4xf32>
  return %3, %4 : tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: @geglu
// CHECK-NEXT: %[[Y:.*]] = ef.geglu %arg0 : (tensor<2x8xf32>) -> tensor<2x4xf32>
// CHECK-NEXT: return %[[Y]]
func.func @geglu(%x: tensor<2x8xf32>) -> tensor<2x4xf32> {
  %0 = ef.slice %x {starts = array<i64: 0, 0>, steps = array<i64: 1, 1>} : (tensor<2x8xf32>) -> tensor<2x4xf32>
  %1 = ef.slice %x {starts = array<i64: 0, 4>, steps = array<i64: 1, 1>} : (tensor<2x8xf32>) -> tensor<2x4xf32>
  %2 = ef.unary gelu %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = ef.binary mul %0, %2 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %3 : tensor<2x4xf32>
}

// -----

// CHECK-LABEL: @swiglu
// CHECK-NEXT: ef.geglu %arg0 {activation = #ef<unary silu>}
func.func @swiglu(%x: tensor<2x8xf32>) -> tensor<2x4xf32> {
  %0 = ef.slice %x {starts = array<i64: 0, 0>, steps = array<i64: 1, 1>} : (tensor<2x8xf32>) -> tensor<2x4xf32>
  %1 = ef.slice %x {starts = array<i64: 0, 4>, steps = array<i64: 1, 1>} : (tensor<2x8xf32>) -> tensor<2x4xf32>
  %2 = ef.unary sigmoid %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = ef.binary mul %1, %2 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %4 = ef.binary mul %3, %0 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %4 : tensor<2x4xf32>
}
