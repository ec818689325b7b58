#!/bin/sh
# Installs the SDK from a build folder into a temporary one, and builds and tests the templates with nothing else. Usage: cmake build-folder ctest
set -eu
cmake=$1 build=$2 ctest=$3
work=$(mktemp -d /tmp/hydro-sdk-XXXXXX)
trap 'rm -rf "$work"' EXIT
"$cmake" --install "$build" --component sdk --prefix "$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
for template in template:example template_filing:example_filing; do
  folder=${template%%:*} name=${template##*:}
  cp -r "$work/prefix/share/hydrod/sdk/$folder" "$work/$folder"
  "$cmake" -S "$work/$folder" -B "$work/build-$folder" -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  "$cmake" --build "$work/build-$folder" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  "$ctest" --test-dir "$work/build-$folder" --output-on-failure >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  grep -q "conformance_$name .* *Passed" "$work/log" && grep -q "test_$name .* *Passed" "$work/log" || { cat "$work/log"; echo "the tests of $folder did not run"; exit 1; }
done
