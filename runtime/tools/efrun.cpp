// efrun: runs an artifact on arrays, or a bundle of artifacts from a prompt to
// a picture.
#include "runtime/tools/Modes.h"

#include <cstdio>
#include <exception>
#include <filesystem>

int main(int argc, char **argv) {
  try {
    std::error_code ignored;
    bool isBundle = argc > 1 && std::filesystem::is_directory(argv[1], ignored);
    return isBundle ? efrun::runPromptMode(argc, argv)
                    : efrun::runModelMode(argc, argv);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "efrun: error: %s\n", error.what());
    return 1;
  }
}
