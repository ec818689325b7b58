#!/usr/bin/env bash
# Installs what is missing, builds, starts hydrod on the embedded store with the simulators of the providers and the DGA.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
. "$ROOT/scripts/dev/lib.sh"
install build run
case " $* " in *" --help "*) ;; *) say "building…"; build release hydrod hydroctl hydro-runner hydro-sim all-plugins ;; esac
exec python3 "$ROOT/scripts/dev/run.py" "$@"
