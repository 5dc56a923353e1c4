# Thin wrappers, so that a folder's CMakeLists.txt says what it has and nothing else.

# add_efc_library(NAME sources... [DEPENDS tablegen-targets...] [LINK libraries...]): a static library of the compiler.
function(add_efc_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC efc_mlir ${ARG_LINK})
  target_precompile_headers(${name} REUSE_FROM efc_pch)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# add_efc_tool(NAME sources... [LINK libraries...]): an executable of the compiler, in build/bin.
function(add_efc_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE efc_mlir ${ARG_LINK})
endfunction()

# efc_tablegen(TARGET FILE.td output -gen-x [output -gen-y ...]): runs mlir-tblgen; outputs land in the build folder that mirrors this one.
function(efc_tablegen target td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  set(args ${ARGN})
  while(args)
    list(POP_FRONT args output generator)
    set(extra "")
    while(args AND "${args}" MATCHES "^-")
      list(POP_FRONT args flag)
      list(APPEND extra ${flag})
    endwhile()
    mlir_tablegen(${output} ${generator} ${extra} EXTRA_INCLUDES ${CMAKE_SOURCE_DIR} ${MLIR_INCLUDE_DIRS})
  endwhile()
  add_public_tablegen_target(${target})
endfunction()

# add_efc_dialect(NAME PREFIX): NAMEDialect.td, NAMEOps.td (ops, types, enums, attributes, interfaces) of this folder -> NAMEIncGen.
function(add_efc_dialect name dialect)
  efc_tablegen(${name}IncGen ${name}Ops.td
    ${name}Ops.h.inc -gen-op-decls ${name}Ops.cpp.inc -gen-op-defs
    ${name}Dialect.h.inc -gen-dialect-decls -dialect=${dialect}
    ${name}Dialect.cpp.inc -gen-dialect-defs -dialect=${dialect}
    ${name}Enums.h.inc -gen-enum-decls ${name}Enums.cpp.inc -gen-enum-defs)
endfunction()

# add_efc_unittest(NAME sources... [LINK libraries...]): a GoogleTest executable, found by ctest and check-efc-unit.
function(add_efc_unittest name)
  cmake_parse_arguments(ARG "MLIR" "" "LINK" ${ARGN})
  add_executable(${name} EXCLUDE_FROM_ALL ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest_main GTest::gmock)
  if(ARG_MLIR)
    target_link_libraries(${name} PRIVATE efc_mlir)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_property(GLOBAL APPEND PROPERTY EFC_UNITTESTS ${name})
endfunction()
