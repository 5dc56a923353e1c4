"""lit's configuration for the .mlir tests: they mirror the source tree and check IR and diagnostics with FileCheck."""

import os
from pathlib import Path

import lit.formats

config.name = "efc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test", ".onnxtxt"]
config.excludes = ["Inputs", "unit", "conformance", "integration", "tools"]
config.test_source_root = str(Path(__file__).parent)
config.test_exec_root = str(Path(config.efc_build_dir) / "test")

# Debian names LLVM's test tools without a version only inside LLVM's own folder, which therefore comes before the system's.
config.environment["PATH"] = os.pathsep.join([config.efc_tools_dir, config.llvm_tools_dir, os.environ.get("PATH", "")])
config.substitutions.append(("%python", config.python_executable))
config.substitutions.append(("%efc_source_dir", config.efc_source_dir))
