#!/bin/sh
# Installs the SDK from a build folder into a temporary one, and builds and tests the template with nothing else. Usage: cmake build-folder ctest
set -eu
cmake=$1 build=$2 ctest=$3
work=$(mktemp -d /tmp/hydro-sdk-XXXXXX)
trap 'rm -rf "$work"' EXIT
"$cmake" --install "$build" --component sdk --prefix "$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cp -r "$work/prefix/share/hydrod/sdk/template" "$work/mine"
"$cmake" -S "$work/mine" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$cmake" --build "$work/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$ctest" --test-dir "$work/build" --output-on-failure >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
grep -q "conformance_example .* *Passed" "$work/log" && grep -q "test_example .* *Passed" "$work/log" || { cat "$work/log"; echo "the template's tests did not run"; exit 1; }
