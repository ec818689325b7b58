#!/usr/bin/env python3
"""Behind scripts/test.sh: runs CTest's programs and the end-to-end tests, sums up what they report."""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["HYDRO_BUILD"])
SYNTHESIS = re.compile(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
PLAIN = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
SKIP = re.compile(r"(?:^skipped: |\[SKIP\] )(.+)$", re.M)


def count(output, code):
    """(passed, failed, skipped names) of one program's output; one without a count is one test."""
    skipped = [name.strip() for name in SKIP.findall(output)]
    match = SYNTHESIS.search(output)
    if match:
        tested, passing, failing, crashing = map(int, match.groups())
        failed = failing + crashing
        return passing - (len(skipped) if passing == tested and skipped else 0), failed or (1 if code else 0), skipped
    match = PLAIN.search(output)
    if match:
        return int(match[1]), int(match[2]) or (1 if code else 0), skipped
    return (0, 1, skipped) if code else (1, 0, skipped)


def judge(output, code, properties):
    """As CTest would where a test says how it is to be judged, else by what its runner counts."""
    wanted = properties.get("PASS_REGULAR_EXPRESSION")
    if wanted:
        found = any(re.search(pattern, output) for pattern in wanted)
        return (1, 0, []) if found else (0, 1, [])
    if properties.get("WILL_FAIL"):
        return (1, 0, []) if code else (0, 1, [])
    if code == properties.get("SKIP_RETURN_CODE", 77):
        return 0, 0, [name.strip() for name in SKIP.findall(output)] or ["without a reason"]
    return count(output, code)


def ctest_tests():
    out = subprocess.run(["ctest", "--test-dir", str(BUILD), "--show-only=json-v1"], capture_output=True, text=True, check=True).stdout
    for test in json.loads(out)["tests"]:
        if "command" in test:
            properties = {p["name"]: p["value"] for p in test.get("properties", [])}
            yield test["name"], test["command"], properties


def e2e_tests():
    for path in sorted((ROOT / "tests" / "e2e").glob("test_*.py")):
        yield "e2e/" + path.stem, [sys.executable, str(path)], {"TIMEOUT": 3600 if os.environ.get("HYDRO_LONG") else 600}


def environment(properties):
    env = dict(os.environ)
    shared = ROOT.parent / "shared" / "data"
    if shared.is_dir(): # the full series beside the checkout, where they are; the excerpts of the tree otherwise
        env.setdefault("HYDRO_SHARED_DATA", str(shared))
    env.update(pair.split("=", 1) for pair in properties.get("ENVIRONMENT", []))
    return env


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    allowed = {}
    for line in (ROOT / "tests" / "skips").read_text().splitlines():
        if line and not line.startswith("#"):
            name, reason = line.split(None, 1)
            allowed[name] = reason
    passed = failed = 0
    skips = []
    for name, command, properties in [*ctest_tests(), *e2e_tests()]:
        if only and only not in name:
            continue
        start = time.monotonic()
        try:
            run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=float(properties.get("TIMEOUT", 300)),
                                 cwd=properties.get("WORKING_DIRECTORY", str(BUILD)), env=environment(properties), stdin=subprocess.DEVNULL)
            output, code = run.stdout + run.stderr, run.returncode
        except subprocess.TimeoutExpired as late:
            output = "".join(x.decode(errors="replace") if isinstance(x, bytes) else x or "" for x in (late.stdout, late.stderr)) + "\ntime ran out"
            code = 1
        good, bad, skipped = judge(output, code, properties)
        passed += good
        failed += bad
        skips += [(name, text) for text in skipped]
        mark = "FAIL" if bad else "ok"
        print(f"{mark:4} {name} ({good} passed{f', {bad} failed' if bad else ''}{f', {len(skipped)} skipped' if skipped else ''}, {time.monotonic() - start:.1f} s)", flush=True)
        if bad:
            print("\n".join("     | " + line for line in output.splitlines()[-60:]), flush=True)
    for name, text in skips:
        print(f"skipped: {name}: {text}")
    if os.environ.get("HYDRO_REQUIRE_ALL") == "1":
        missing = [s for s in skips if s[0] not in allowed]
        if missing:
            print(f"HYDRO_REQUIRE_ALL: {len(missing)} skips count as failures")
            failed += len(missing)
    print(f"{passed} passed, {failed} failed, {len(skips)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
