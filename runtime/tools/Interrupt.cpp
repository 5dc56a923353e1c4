// A signal handler may do little more than set a flag.
#include "runtime/tools/Interrupt.h"

#include <csignal>

static volatile std::sig_atomic_t interrupted = 0;

static void onSignal(int) { interrupted = 1; }

void efrun::catchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = onSignal;
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool efrun::isInterrupted() { return interrupted != 0; }
