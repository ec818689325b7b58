# Shared by the scripts; sourced with the repository's root in $ROOT.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# install KIND…: installs the packages of these kinds that are missing.
install() {
  command -v apt-get >/dev/null || { say "no apt-get here: the packages of scripts/dev/packages must be there already"; return 0; }
  local wanted missing=()
  wanted=$(awk -v kinds=" $* " '!/^#/ && NF == 2 && index(kinds, " " $1 " ") {print $2}' "$ROOT/scripts/dev/packages")
  for package in $wanted; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  say "installing: ${missing[*]}"
  local sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  # Services that a package would start are not wanted: the tests start their own on free ports.
  local policy=/usr/sbin/policy-rc.d made=""
  if [ "$(id -u)" -eq 0 ] && [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' > $policy && chmod +x $policy && made=1; fi
  $sudo apt-get update -q >/dev/null || say "apt-get update failed; going on with the lists there are"
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
  local rc=$?
  [ -n "$made" ] && rm -f $policy
  [ $rc -eq 0 ] || die "packages could not be installed: ${missing[*]}"
}

# build PRESET [TARGET…]: configures once and builds.
build() {
  local preset=$1 log; shift
  log=$(mktemp)
  if ! { cmake --preset "$preset" -S "$ROOT" && cmake --build "$ROOT/build/$preset" ${1:+--target "$@"}; } >"$log" 2>&1; then
    tail -40 "$log" >&2
    rm -f "$log"
    die "the $preset build failed"
  fi
  rm -f "$log"
}
