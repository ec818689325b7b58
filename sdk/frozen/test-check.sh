#!/bin/sh
# check.sh must see each kind of change: every line below is an edit of the current header that breaks published plugins, or does not.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d /tmp/hydro-frozen-XXXXXX)
trap 'rm -rf "$work"' EXIT
try() { # expected status, name, sed program
  sed "$3" ../include/hydro/abi.h >"$work/abi.h"
  cmp -s ../include/hydro/abi.h "$work/abi.h" && { echo "$2: the edit changed nothing" >&2; exit 1; }
  if ./check.sh "$work/abi.h" >/dev/null 2>&1; then status=0; else status=1; fi
  [ $status = "$1" ] || { echo "$2: status $status, expected $1" >&2; exit 1; }
}
try 1 "a constant of another value" 's/^#define HYDRO_PART_NO_DATA 3u/#define HYDRO_PART_NO_DATA 4u/'
try 1 "a constant that is gone" '/^#define HYDRO_HTTP_PUT/d'
try 1 "a member in the middle" 's/^\tuint32_t part;/\tuint32_t added;\n\tuint32_t part;/'
try 1 "a member of another type" 's/^\tint64_t received_ms;/\tint32_t received_ms;/'
try 1 "a member that is gone" '/^\tint64_t retry_after_ms;/d'
try 1 "a struct without stride that grows" 's/^\tuint32_t flags; \/\* HYDRO_RAW_\* \*\//&\n\tuint64_t more;/'
try 0 "a member at the end of a table" 's/^\tvoid (\*stop)(void \*instance);$/&\n\tvoid (*more)(void *instance);/'
try 0 "a higher minor" 's/^#define HYDRO_ABI_MINOR [0-9]*u/#define HYDRO_ABI_MINOR 99u/'
try 0 "another comment" 's/stops to read/&/; s/Only <stddef.h>/Just <stddef.h>/'
