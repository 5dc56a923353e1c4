// The C interface over Session.
#include "efrt/Session.h"
#include "runtime/core/CApiSupport.h"
#include "runtime/core/Text.h"

#include <cstdio>

using namespace efrt;

static_assert(
    EFRT_INTERNAL == static_cast<int>(StatusCode::Internal) &&
        EFRT_U64 == static_cast<int>(DType::U64),
    "the C interface numbers codes and types as the C++ interface does");

struct efrt_session {
  std::unique_ptr<Session> session;
  std::string variant;
  std::vector<ProfileEntry> profile;
};

/// A fixed buffer: to report that memory ran out must not need memory.
static thread_local char lastError[1024] = "";

efrt_status efrt::report(StatusCode code, const char *message) noexcept {
  std::snprintf(lastError, sizeof(lastError), "%s", message);
  return static_cast<efrt_status>(code);
}

static Status nullArgument(const char *name) {
  return Status(StatusCode::InvalidArgument,
                concat("the argument ", name, " is NULL"));
}

static Status fillInfo(std::span<const TensorInfo> infos, size_t index,
                       const char *kind, efrt_tensor_info *result) {
  if (!result)
    return nullArgument("info");
  if (index >= infos.size())
    return Status(StatusCode::InvalidArgument,
                  concat("there is no ", kind, " ", index, "; the model has ",
                         infos.size()));
  const TensorInfo &info = infos[index];
  *result = {info.name.c_str(), static_cast<efrt_dtype>(info.dtype),
             info.shape.size(), info.shape.data(), info.numBytes()};
  return Status();
}

const char *efrt_version(void) { return EFRT_VERSION; }

const char *efrt_last_error(void) { return lastError; }

efrt_status efrt_session_load(const char *path,
                              const efrt_session_options *options,
                              efrt_session **session) {
  return guard([&] {
    if (!path || !session)
      return nullArgument(path ? "session" : "path");
    *session = nullptr;
    SessionOptions loadOptions;
    if (options) {
      loadOptions.threads = options->threads;
      loadOptions.variant = options->variant ? options->variant : "";
      loadOptions.profile = options->profile != 0;
      loadOptions.device = options->device ? options->device : "";
      loadOptions.timingOnly = options->timing_only != 0;
    }
    Result<std::unique_ptr<Session>> loaded = Session::load(path, loadOptions);
    if (!loaded)
      return loaded.status();
    auto handle = std::make_unique<efrt_session>();
    handle->session = std::move(*loaded);
    handle->variant = handle->session->variant();
    *session = handle.release();
    return Status();
  });
}

void efrt_session_free(efrt_session *session) { delete session; }

size_t efrt_session_num_inputs(const efrt_session *session) {
  return session ? session->session->inputs().size() : 0;
}

size_t efrt_session_num_outputs(const efrt_session *session) {
  return session ? session->session->outputs().size() : 0;
}

efrt_status efrt_session_input_info(const efrt_session *session, size_t index,
                                    efrt_tensor_info *info) {
  return guard([&] {
    return session ? fillInfo(session->session->inputs(), index, "input", info)
                   : nullArgument("session");
  });
}

efrt_status efrt_session_output_info(const efrt_session *session, size_t index,
                                     efrt_tensor_info *info) {
  return guard([&] {
    return session
               ? fillInfo(session->session->outputs(), index, "output", info)
               : nullArgument("session");
  });
}

void *efrt_session_input_buffer(efrt_session *session, size_t index) {
  return index < efrt_session_num_inputs(session)
             ? session->session->inputBuffer(index).data()
             : nullptr;
}

const void *efrt_session_output_buffer(const efrt_session *session,
                                       size_t index) {
  return index < efrt_session_num_outputs(session)
             ? session->session->outputBuffer(index).data()
             : nullptr;
}

efrt_status efrt_session_set_input(efrt_session *session, size_t index,
                                   const void *data, size_t bytes) {
  return guard([&] {
    if (!session || (!data && bytes > 0))
      return nullArgument(session ? "data" : "session");
    return session->session->setInput(
        index, std::span(static_cast<const std::byte *>(data), bytes));
  });
}

efrt_status efrt_session_run(efrt_session *session,
                             efrt_cancel_callback cancelled, void *userData) {
  return guard([&] {
    if (!session)
      return nullArgument("session");
    if (!cancelled)
      return session->session->run();
    return session->session->run([&] { return cancelled(userData) != 0; });
  });
}

size_t efrt_session_profile(efrt_session *session) {
  efrt_status status = guard([&] {
    if (!session)
      return nullArgument("session");
    session->profile = session->session->profile();
    return Status();
  });
  return status == EFRT_OK ? session->profile.size() : 0;
}

efrt_status efrt_session_profile_entry(const efrt_session *session,
                                       size_t index,
                                       efrt_profile_entry *entry) {
  return guard([&] {
    if (!session || !entry)
      return nullArgument(session ? "entry" : "session");
    if (index >= session->profile.size())
      return Status(StatusCode::InvalidArgument,
                    concat("the profile has ", session->profile.size(),
                           " entries, and ", index, " was asked for"));
    const ProfileEntry &from = session->profile[index];
    *entry = {from.node.c_str(), from.op.c_str(),     from.kernel.c_str(),
              from.calls,        from.seconds,        from.macs,
              from.bytes,        from.device.c_str(), from.simulatedSeconds};
    return Status();
  });
}

double efrt_session_simulated_seconds(const efrt_session *session) {
  return session ? session->session->simulatedSeconds() : 0;
}

size_t efrt_session_arena_bytes(const efrt_session *session) {
  return session ? session->session->arenaBytes() : 0;
}

size_t efrt_session_weight_bytes(const efrt_session *session) {
  return session ? session->session->weightBytes() : 0;
}

const char *efrt_session_variant(const efrt_session *session) {
  return session ? session->variant.c_str() : "";
}
