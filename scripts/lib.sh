# Shared by the scripts of this folder: where things are, and how a step reports itself. Sourced, not run.

set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${EFC_BUILD_DIR:-$repository/build}
logs=$build/logs
python=$repository/.venv/bin/python
jobs=${EFC_JOBS:-$(nproc)}

say() { printf '%s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step NAME COMMAND...: runs the command with its output in a log; says how long it took, or shows the log's end when it fails.
step() {
  local name=$1 log start=$SECONDS
  shift
  mkdir -p "$logs"
  log=$logs/${name//[^A-Za-z0-9-]/-}.log
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail "$name failed; the whole log is $log"
  fi
  if ((SECONDS - start >= 2)); then say "$name: $((SECONDS - start)) s"; fi
}
