#!/usr/bin/env bash
# Builds the fuzz targets and runs each for some seconds (default 5), from its corpus.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/scripts/dev/lib.sh"
install lint
build fuzz
failed=0
for target in "$ROOT"/build/fuzz/bin/fuzz_*; do
  name=$(basename "$target"); found="$ROOT/build/fuzz/fuzz-found/${name#fuzz_}"; log=$(mktemp)
  mkdir -p "$found"
  if "$target" -max_total_time="${1:-5}" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found/" "$found" $( [ -d "$ROOT/tests/fuzz/corpus/${name#fuzz_}" ] && echo "$ROOT/tests/fuzz/corpus/${name#fuzz_}") >"$log" 2>&1; then
    say "ok   $name: $(grep -oE 'Done [0-9]+ runs' "$log" | tail -1)"
  else
    say "FAIL $name"; tail -30 "$log" >&2; failed=1
  fi
  rm -f "$log"
done
exit $failed
