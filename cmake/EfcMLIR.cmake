# Finds LLVM and MLIR (shared libraries only: linking them and the static components together would give two copies of every pass registry).
execute_process(COMMAND llvm-config-22 --prefix OUTPUT_VARIABLE EFC_LLVM_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
find_package(MLIR 22.1 REQUIRED CONFIG HINTS ${EFC_LLVM_PREFIX}/lib/cmake/mlir)
message(STATUS "MLIR ${LLVM_PACKAGE_VERSION} in ${MLIR_DIR}")
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
list(REMOVE_DUPLICATES MLIR_INCLUDE_DIRS)

# Everything of the compiler compiles with these, and reuses one precompiled header (cmake/EfcTargets.cmake).
add_library(efc_mlir INTERFACE)
target_include_directories(efc_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_include_directories(efc_mlir INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
separate_arguments(EFC_LLVM_DEFINITIONS NATIVE_COMMAND ${LLVM_DEFINITIONS})
target_compile_options(efc_mlir INTERFACE ${EFC_LLVM_DEFINITIONS})
# The compiler's time goes to LLVM's libraries and to the code that it generates: -O1 halves the build and costs it nothing.
target_compile_options(efc_mlir INTERFACE $<$<CONFIG:Release>:-O1>)
target_link_libraries(efc_mlir INTERFACE MLIR LLVM)

file(WRITE ${CMAKE_BINARY_DIR}/efc_pch.cpp "// The one translation unit of the precompiled header's target.\n")
add_library(efc_pch OBJECT ${CMAKE_BINARY_DIR}/efc_pch.cpp)
target_link_libraries(efc_pch PRIVATE efc_mlir)
target_precompile_headers(efc_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/EfcPch.h)
