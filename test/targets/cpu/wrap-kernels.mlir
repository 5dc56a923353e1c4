// RUN: efc-opt %s -efc-cpu-wrap-kernels | FileCheck %s

// CHECK-LABEL: llvm.func @k(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: i64, %arg3: i64)
// CHECK:         %[[SLOT0:.*]] = llvm.getelementptr %arg0[0]
// CHECK:         %[[X:.*]] = llvm.load %[[SLOT0]]
// CHECK:         %[[SLOT1:.*]] = llvm.getelementptr %arg0[1]
// CHECK:         %[[Y:.*]] = llvm.load %[[SLOT1]]
// CHECK:         llvm.call @k.body(%[[X]], %[[Y]], %arg1, %arg2, %arg3)
// CHECK:       llvm.func internal @k.body(%{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: i64, %{{.*}}: i64)
// CHECK-SAME:    passthrough = ["no-builtins", "nounwind"]
llvm.func @k(%x: !llvm.ptr, %y: !llvm.ptr, %scratch: !llvm.ptr, %begin: i64, %end: i64) attributes {cpu.kernel} {
  llvm.return
}

// A helper of the kernels becomes internal and keeps its name and signature; a declaration stays as it is.

// CHECK:       llvm.func internal @helper(%{{.*}}: !llvm.ptr)
// CHECK-NOT:   llvm.func @helper.body
// CHECK:       llvm.func @declared()
llvm.func @helper(%x: !llvm.ptr) {
  llvm.return
}
llvm.func @declared()
