// What gets deployed: libefrt.so is small, needs no compiler, and its C
// interface can be found in it.
#include "TestArtifact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <string_view>

using namespace efrt::test;

TEST(Library, NeedsNoCompiler) {
  std::vector<std::byte> bytes = readFile(EFRT_TEST_LIBRARY);
  std::string_view text(reinterpret_cast<const char *>(bytes.data()),
                        bytes.size());
  for (const char *name : {"libLLVM", "libMLIR", "libclang"})
    EXPECT_EQ(text.find(name), std::string_view::npos) << name;
}

#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
TEST(Library, IsSmallWhenStripped) {
  TemporaryFolder folder;
  std::string stripped = folder.file("libefrt.so");
  std::string command = "strip -o " + stripped + " " EFRT_TEST_LIBRARY;
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_LT(std::filesystem::file_size(stripped), 2u << 20);
}

TEST(Library, ExportsItsOwnInterfaceOnly) {
  void *library = dlopen(EFRT_TEST_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(library) << dlerror();
  auto version =
      reinterpret_cast<const char *(*)()>(dlsym(library, "efrt_version"));
  ASSERT_TRUE(version);
  EXPECT_STREQ(version(), "0.1.0");
  EXPECT_TRUE(dlsym(library, "efrt_session_load"));
  // efrt::quote(std::string_view), which is internal.
  EXPECT_FALSE(dlsym(
      library, "_ZN4efrt5quoteESt17basic_string_viewIcSt11char_traitsIcEE"));
  dlclose(library);
}
#endif
