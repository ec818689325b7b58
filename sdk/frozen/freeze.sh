#!/bin/sh
# Publishes the current header: copies it and conv.h as abi-<major>.<minor>.h and notes their hashes. Refuses a number that is published already.
# A plugin-<major>.<minor>.c of that time must stand here before.
set -eu
cd "$(dirname "$0")"
header=../include/hydro/abi.h
number=$(sed -n 's/^#define HYDRO_ABI_MAJOR \([0-9]*\)u.*/\1/p' $header).$(sed -n 's/^#define HYDRO_ABI_MINOR \([0-9]*\)u.*/\1/p' $header)
[ ! -e "abi-$number.h" ] || { echo "ABI $number is published already: raise HYDRO_ABI_MINOR first" >&2; exit 1; }
[ -e "plugin-$number.c" ] || { echo "plugin-$number.c is missing: a plugin that uses what is new in $number" >&2; exit 1; }
cp $header "abi-$number.h"
cp ../include/hydro/conv.h "conv-$number.h"
sha256sum "abi-$number.h" "conv-$number.h" "plugin-$number.c" >>SHA256SUMS
./check.sh
echo "ABI $number is frozen; add it to HYDRO_FROZEN in sdk/frozen/CMakeLists.txt"
