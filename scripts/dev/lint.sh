#!/usr/bin/env bash
# Lints that need no compiler: folder includes, file size, licence lines, SDK purity, names of fixed machines.
set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
cd "$ROOT" || exit 1
exec python3 scripts/dev/lint.py
