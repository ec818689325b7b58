"""A small runner for the end-to-end tests: functions named test_… of a file, run in order, counted on the last line."""
import os
import pathlib
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "dev"))
import hydrolab  # noqa: E402,F401

LONG = bool(os.environ.get("HYDRO_LONG"))


class Skip(Exception):
    """What is missing, by name."""


def wait_until(condition, seconds, what):
    """The condition's first true value; an error that names `what` when the time has run out."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def main(namespace):
    passed = failed = skipped = 0
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, function in list(namespace.items()):
        if not name.startswith("test_") or not callable(function) or only not in name:
            continue
        start = time.monotonic()
        try:
            function()
            passed += 1
            print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Skip as why:
            skipped += 1
            print(f"skipped: {name}: {why}", flush=True)
        except Exception:  # noqa: BLE001 - a test may fail in any way
            failed += 1
            print(f"not ok {name}\n{traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
