#!/usr/bin/env bash
# Builds with a sanitizer preset (asan, tsan) and runs the unit tests under it.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/scripts/dev/lib.sh"
preset=${1:?asan or tsan}
build "$preset"
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
ctest --test-dir "$ROOT/build/$preset" -L unit -LE no-$preset --output-on-failure -j1 --timeout 600 | tail -60
exit "${PIPESTATUS[0]}"
