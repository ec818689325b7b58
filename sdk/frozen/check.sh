#!/bin/sh
# Fails when a published header copy changed, or when the current header no longer begins with what was published: constants with other values,
# members of a table that are gone, moved or of another type, a struct that cannot grow and did. Usage: check.sh [current abi.h]
set -eu
cd "$(dirname "$0")"
current=${1:-../include/hydro/abi.h}
sha256sum --quiet --strict --check SHA256SUMS || { echo "sdk/frozen: a published copy changed: restore it; a change of the ABI is a new minor (freeze.sh)" >&2; exit 1; }
for copy in abi-*.h conv-*.h plugin-*.c; do
  grep -q "  $copy\$" SHA256SUMS || { echo "sdk/frozen: $copy is not in SHA256SUMS" >&2; exit 1; }
done
exec python3 - "$current" abi-*.h <<'PY'
import re, sys

# Arrays of these cross without a stride, or they are embedded: they never grow.
FIXED = {"hydro_raw", "hydro_scratch", "hydro_error"}
MAY_CHANGE = {"HYDRO_ABI_MINOR", "HYDRO_FIELDS"} # numbers of what is known; only grow

def read(path):
    text = open(path, encoding="utf-8").read()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", " ", text)
    constants = {m[1]: " ".join(m[2].split()) for m in re.finditer(r"^#define\s+(HYDRO_\w+)[ \t]+(\S[^\n]*)$", text, re.M)}
    structs = {}
    for m in re.finditer(r"struct\s+(hydro_\w+)\s*\{(.*?)\n\}", text, re.S):
        structs[m[1]] = [" ".join(member.split()) for member in m[2].split(";") if member.strip()]
    return constants, structs

current_constants, current_structs = read(sys.argv[1])
problems = []
for path in sys.argv[2:]:
    constants, structs = read(path)
    if not constants or not structs:
        problems.append(f"{path}: nothing found in it")
    for name, value in constants.items():
        if name not in MAY_CHANGE and current_constants.get(name) != value:
            problems.append(f"{path}: {name} was {value} and is now {current_constants.get(name, 'gone')}")
    for name, members in structs.items():
        now = current_structs.get(name)
        if now is None:
            problems.append(f"{path}: struct {name} is gone")
            continue
        for i, member in enumerate(members):
            if i >= len(now) or now[i] != member:
                problems.append(f"{path}: member {i + 1} of {name} was \"{member}\" and is now \"{now[i] if i < len(now) else 'gone'}\"")
                break
        else:
            if name in FIXED and len(now) != len(members):
                problems.append(f"{path}: {name} crosses without a stride and must not grow")
for problem in problems:
    print("sdk/frozen:", problem, file=sys.stderr)
sys.exit(1 if problems else 0)
PY
