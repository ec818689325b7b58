#!/usr/bin/env python3
"""Checks the rules of the tree: include arrows, file sizes, licence lines, READMEs. Prints one line per finding."""
import pathlib
import re
import subprocess
import sys

# A folder of host/ may include what stands before it in this order, and itself; rows on one line may not include each other
# unless said in EXTRA.
LAYERS = [
    ["base"], ["model"], ["config", "net", "store", "observe"], ["plugin", "lua", "journal"],
    ["pipeline", "history"], ["collect", "deliver", "filing"], ["auth", "http"], ["api"], ["daemon"],
]
EXTRA = {("pipeline", "history"), ("store", "observe"), ("net", "observe"), ("http", "auth"), ("plugin", "lua")}
FORBIDDEN = {("lua", "http"), ("plugin", "http")}
LINES_WARN, LINES_MAX = 600, 900

findings = []


def find(path, line, text):
    findings.append(f"{path}:{line}: {text}")


def tracked():
    out = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    return [pathlib.Path(p) for p in out.splitlines() if pathlib.Path(p).exists()]


def layer_of(folder):
    for number, row in enumerate(LAYERS):
        if folder in row:
            return number
    return None


def check_includes(path, lines):
    parts = path.parts
    if parts[0] == "host" and len(parts) > 2:
        own = parts[1]
    elif parts[0] == "plugins" or parts[:2] == ("sdk", "include"):
        own = None
    else:
        return
    for number, line in enumerate(lines, 1):
        match = re.match(r'#include "([a-z_]+)/[^"]+"', line)
        if not match or layer_of(match[1]) is None:
            continue
        target = match[1]
        if own is None or own == "runner":
            if target != "base":
                find(path, number, f"{'plugins' if own is None else 'runner'} may include the SDK and base alone, not {target}/")
        elif layer_of(own) is None:
            find(path, number, f"folder host/{own} stands in no layer of scripts/dev/lint.py")
        elif target != own and (own, target) not in EXTRA and layer_of(target) >= layer_of(own) or (own, target) in FORBIDDEN:
            find(path, number, f"host/{own} may not include host/{target}: arrows go down only")


def check_file(path):
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.splitlines()
    if path.suffix in (".c", ".h"):
        if "SPDX-License-Identifier: MIT" not in (lines[0] if lines else ""):
            find(path, 1, "the first line must be the SPDX licence line")
        if len(lines) > LINES_MAX:
            find(path, len(lines), f"more than {LINES_MAX} lines")
        elif len(lines) > LINES_WARN:
            print(f"note: {path} has {len(lines)} lines: is it still one thing?")
        check_includes(path, lines)
    if path.suffix in (".c", ".h", ".lua", ".sh") and path.parts[0] != "tests":
        for number, line in enumerate(lines, 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                find(path, number, "unfinished work must be said in an issue, not in a comment")


def check_readmes(paths):
    for folder in sorted({p.parts[:2] for p in paths if p.parts[0] == "host" and len(p.parts) > 2}):
        if not pathlib.Path(*folder, "README.md").exists():
            find(pathlib.Path(*folder), 0, "the folder has no README.md")


def main():
    paths = tracked()
    for path in paths:
        if path.suffix in (".c", ".h", ".lua", ".sh", ".py") and path.name != "lint.py":
            check_file(path)
    check_readmes(paths)
    for line in findings:
        print(line)
    print(f"lint: {len(paths)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
