#!/usr/bin/env bash
# Installs what is missing, builds, runs all tests against real servers on free ports; the last line counts.
#   scripts/test.sh [--long] [--preset dev|asan|tsan] [--only PATTERN]
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
. "$ROOT/scripts/dev/lib.sh"
preset=dev long="" only=""
while [ $# -gt 0 ]; do
  case $1 in
    --long) long=1 ;;
    --preset) preset=$2; shift ;;
    --only) only=$2; shift ;;
    --help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
    *) die "unknown option $1; see --help" ;;
  esac
  shift
done
install build run test
say "building ($preset)…"
build "$preset"
export HYDRO_BUILD="$ROOT/build/$preset" HYDRO_LONG=$long
exec python3 "$ROOT/scripts/dev/test.py" ${only:+--only "$only"}
