#!/usr/bin/env bash
# Benchmarks: one JSON line per figure on standard output, each with its reference measured in the same run.
#   scripts/bench.sh [NAME…] [OPTION…]     names: see --list; all without a name. Options go to each benchmark (filing --full)
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
. "$ROOT/scripts/dev/lib.sh"
bench_dir="$ROOT/tests/bench"
case " $* " in
  *" --help "*) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
  *" --list "*) sed 's/#.*//' "$bench_dir/list" | awk 'NF {print $1}'; exit 0 ;;
esac
install build run bench
say "building…"
build release
export HYDRO_BUILD="$ROOT/build/release"
names=()
while [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; do names+=("$1"); shift; done
options=""
[ $# -eq 0 ] || options=$(printf ' %q' "$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(sed 's/#.*//' "$bench_dir/list" | awk 'NF {print $1}')
for name in "${names[@]}"; do
  command=$(awk -v name="$name" '!/^#/ && $1 == name {$1 = ""; print substr($0, 2)}' "$bench_dir/list")
  [ -n "$command" ] || die "no benchmark \"$name\"; see --list"
  say "bench $name…"
  (cd "$ROOT" && eval "$command$options")
done
