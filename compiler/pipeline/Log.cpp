// See Log.h. spdlog stays in this file: its headers are large.
#include "compiler/pipeline/Log.h"

#include "llvm/ADT/StringSwitch.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <optional>

using namespace efc;

static spdlog::level::level_enum convert(LogLevel level) {
  switch (level) {
  case LogLevel::Debug:
    return spdlog::level::debug;
  case LogLevel::Info:
    return spdlog::level::info;
  case LogLevel::Warning:
    return spdlog::level::warn;
  case LogLevel::Off:
    break;
  }
  return spdlog::level::off;
}

/// The library's own logger: an application's use of spdlog is its own.
static spdlog::logger &getLogger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto created = std::make_shared<spdlog::logger>(
        "efc", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    created->set_pattern("[%H:%M:%S.%e] %n: %l: %v");
    created->set_level(spdlog::level::off);
    return created;
  }();
  return *logger;
}

bool efc::setLogLevel(llvm::StringRef name) {
  auto level = llvm::StringSwitch<std::optional<LogLevel>>(name)
                   .Case("debug", LogLevel::Debug)
                   .Case("info", LogLevel::Info)
                   .Case("warning", LogLevel::Warning)
                   .Case("off", LogLevel::Off)
                   .Default(std::nullopt);
  if (level)
    getLogger().set_level(convert(*level));
  return level.has_value();
}

bool efc::isLogged(LogLevel level) {
  return getLogger().should_log(convert(level));
}

void efc::log(LogLevel level, const llvm::Twine &message) {
  if (isLogged(level))
    getLogger().log(convert(level), message.str());
}
