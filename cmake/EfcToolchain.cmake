# Compiler flags, ccache, sanitizers: the same for every target of the project.
find_program(EFC_CCACHE ccache)
if(EFC_CCACHE)
  # Precompiled headers and time stamps would otherwise make every entry unique; the base folder lets several build folders share entries.
  set(EFC_CCACHE_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_NOHASHDIR=1 ${EFC_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${EFC_CCACHE_LAUNCHER})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${EFC_CCACHE_LAUNCHER})
endif()

add_compile_options(-Wall -Wextra -Werror -Wno-unused-parameter -fdiagnostics-color=auto)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  add_compile_options(-Wno-c++98-compat-extra-semi)
  add_link_options(-fuse-ld=lld)
endif()
if(EFC_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
