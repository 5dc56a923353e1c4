// What the compiler says about its own work while it works (--log-level), on
// standard error. Errors are diagnostics and never go here.
#ifndef EFC_COMPILER_PIPELINE_LOG_H
#define EFC_COMPILER_PIPELINE_LOG_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"

namespace efc {

enum class LogLevel { Debug, Info, Warning, Off };

/// "debug", "info", "warning" or "off"; false for any other name. Nothing is
/// logged before the first call.
bool setLogLevel(llvm::StringRef name);
bool isLogged(LogLevel level);
void log(LogLevel level, const llvm::Twine &message);

} // namespace efc

#endif
