#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shim forgets exactly what was not synced, and the journal survives a cut at every sync.

test_powercut.py BIN [--long]: BIN has powercut.so, shim_script, power_journal, power_history and power_ledger. --long: every sync of a longer run, with
parts of the unsynced left on the disk, and cuts in the recovery after a cut.
"""
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

BIN = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))
LONG = "--long" in sys.argv
CUT = 99
failures = 0


def run(root, program, *args, cut=0, keep=0, seed=1, **env):
    environ = dict(os.environ, LD_PRELOAD=f"{BIN}/powercut.so", HYDRO_CUT_ROOT=root, HYDRO_CUT_AT=str(cut), HYDRO_CUT_KEEP=str(keep),
                   HYDRO_CUT_SEED=str(seed), **env)
    command = [sys.executable, f"{HERE}/{program}"] if program.endswith(".py") else [f"{BIN}/{program}"]
    return subprocess.run([*command, *map(str, args)], env=environ, cwd=root, stderr=subprocess.PIPE, timeout=120)


def check(good, text):
    global failures
    if not good:
        failures += 1
        print("FAILED:", text)


def contents(root):
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read().decode()
    return found


# What is done under the shim, at which sync the power goes, and what must be there then.
SCRIPTS = [
    ("a file whose folder was not synced is gone", "write f abc sync f sync f", 2, {}),
    ("a synced file in a synced folder stays", "write f abc sync f sync . sync f", 3, {"f": "abc"}),
    ("a name without its content is an empty file", "write f abc sync . sync f", 2, {"f": ""}),
    ("what was written after the sync is forgotten", "write f abc sync f sync . append f def sync f", 3, {"f": "abc"}),
    ("an overwritten range comes back", "write f abcdef sync f sync . over f XY sync f", 3, {"f": "abcdef"}),
    ("a synced overwrite stays", "write f abcdef sync f sync . over f XY sync f sync f", 4, {"f": "XYcdef"}),
    ("a truncation comes back", "write f abcdef sync f sync . cut f 2 sync f", 3, {"f": "abcdef"}),
    ("O_TRUNC comes back", "write f abcdef sync f sync . write f Z sync f", 3, {"f": "abcdef"}),
    ("an unlink is undone", "write f abc sync f sync . unlink f sync .", 3, {"f": "abc"}),
    ("a synced unlink is not undone", "write f abc sync f sync . unlink f sync . sync .", 4, {}),
    ("a rename is undone", "write f abc sync f sync . rename f g sync .", 3, {"f": "abc"}),
    ("a synced rename stays", "write f abc sync f sync . rename f g sync . sync .", 4, {"g": "abc"}),
    ("a replaced file comes back", "write f old sync f write g new sync g sync . rename g f sync .", 4, {"f": "old", "g": "new"}),
    ("a rename that came before its content", "write f old sync f sync . write g new rename g f sync . sync .", 4, {"f": ""}),
    ("a folder that its parent does not know goes with all in it", "mkdir d write d/f abc sync d/f sync d sync d", 3, {}),
]


def test_shim(scratch):
    for title, script, cut, expected in SCRIPTS:
        root = tempfile.mkdtemp(dir=scratch)
        result = run(root, "shim_script", *script.split(), cut=cut)
        check(result.returncode == CUT, f"{title}: not cut, but {result.returncode} {result.stderr.decode()}")
        check(contents(root) == expected, f"{title}: {contents(root)}")
        check(not os.path.exists(root + ".cut-trash"), f"{title}: trash is left")
    for operation, script in (("sync", "write f a sync f"), ("write", "write f a"), ("open", "write f a")):
        root = tempfile.mkdtemp(dir=scratch)
        result = run(root, "shim_script", *script.split(), HYDRO_FAULT=f"{operation}:ENOSPC")
        check(result.returncode == 3 and b"No space" in result.stderr, f"fault {operation}: {result.returncode} {result.stderr}")
        switch = os.path.join(scratch, "switch")
        result = run(root, "shim_script", *script.split(), HYDRO_FAULT_FILE=switch)
        check(result.returncode == 0, f"fault {operation}, switched off: {result.stderr}")
        with open(switch, "w", encoding="ascii") as file:
            file.write(f"all:EIO")
        result = run(root, "shim_script", *script.replace("f a", "g a").replace("sync f", "sync g").split(), HYDRO_FAULT_FILE=switch)
        check(result.returncode == 3 and b"Input/output" in result.stderr, f"fault {operation}, switched on: {result.stderr}")
        os.unlink(switch)


def ledger_run(root, slots, *more, **how):
    return run(root, "power_ledger", "run", root, slots, root + ".acks", *more, **how)


def ledger_verify(root):
    return subprocess.run([f"{BIN}/power_ledger", "verify", root, root + ".acks"], stderr=subprocess.PIPE, timeout=120)


def cut_at_each_sync(scratch, what, counter, early, run, verify):
    """Cuts at each of the syncs that `counter` has (a share of them unless --long), and once more at an early one; (syncs, cuts)."""
    with open(counter, encoding="ascii") as file:
        syncs = int(file.read())
    cuts = 0
    for k in range(1, syncs + 1, 1 if LONG else max(1, syncs // 40)):
        for keep in (0, 50) if LONG or k % 5 == 1 else (0,):
            root = tempfile.mkdtemp(dir=scratch)
            for cut, seed in ((k, k), (1 + k % early, k + 1)):  # again, in or after the recovery
                result = run(root, cut=cut, keep=keep, seed=seed)
                check(result.returncode in (0, CUT), f"{what}, cut {k}: {result.returncode} {result.stderr.decode()}")
            result = verify(root)
            check(result.returncode == 0, f"{what}, cut {k}, keep {keep}: {result.returncode} {result.stderr.decode()}")
            cuts += 2
            drop(root)
    return syncs, cuts


def test_ledger(scratch):
    """The ledger of filing: what was sent is never found as not sent, what was filed stays filed, the mark calls nothing restored."""
    slots = 40 if LONG else 14
    root = tempfile.mkdtemp(dir=scratch)
    counter = os.path.join(scratch, "count")
    result = ledger_run(root, slots, HYDRO_CUT_COUNT_FILE=counter)
    check(result.returncode == 0 and ledger_verify(root).returncode == 0, f"ledger, without a cut: {result.stderr.decode()}")
    syncs, cuts = cut_at_each_sync(scratch, "ledger", counter, 19, lambda root, **how: ledger_run(root, slots, **how), ledger_verify)
    for fault in ("write:ENOSPC:90", "write:EIO:200", "sync:EIO:30"):  # a disk that fails: it says so, and what was acknowledged holds
        root = tempfile.mkdtemp(dir=scratch)
        result = ledger_run(root, slots, HYDRO_FAULT=fault)
        check(result.returncode == 3, f"ledger, {fault}: {result.returncode} {result.stderr.decode()}")
        result = ledger_verify(root)
        check(result.returncode == 0, f"ledger, {fault}: {result.returncode} {result.stderr.decode()}")
        drop(root)
    print(f"ledger: {cuts} cuts over {syncs} syncs")
    lost = 0
    for k in range(8, syncs, 3):
        root = tempfile.mkdtemp(dir=scratch)
        ledger_run(root, slots, "nosync", cut=k)
        lost += ledger_verify(root).returncode == 1
        drop(root)
    check(lost > 0, "a ledger that does not sync was not found out")


def history_run(root, batches, **how):
    return run(root, "power_history", "run", root, batches, root + ".acks", **how)


def history_verify(root):
    return subprocess.run([f"{BIN}/power_history", "verify", root, root + ".acks"], stderr=subprocess.PIPE, timeout=120)


def test_history(scratch):
    """History over its journal: segments and months are merged, months again with what came late; every row is there once."""
    batches = 130 if LONG else 75
    root = tempfile.mkdtemp(dir=scratch)
    counter = os.path.join(scratch, "count")
    result = history_run(root, batches, HYDRO_CUT_COUNT_FILE=counter)
    check(result.returncode == 0 and history_verify(root).returncode == 0, f"history, without a cut: {result.stderr.decode()}")
    db = sqlite3.connect(root + "/history/history.db")
    months = db.execute("SELECT count(*) FROM months WHERE next > 0").fetchone()[0]
    db.close()
    check(months >= 2, f"history: {months} months were merged")
    syncs, cuts = cut_at_each_sync(scratch, "history", counter, 23, lambda root, **how: history_run(root, batches, **how), history_verify)
    for fault in ("write:ENOSPC:300:20", "write:EIO:900:50", "write:ENOSPC:1500", "sync:EIO:120:3"):  # it may say so and stop; what was acknowledged holds
        root = tempfile.mkdtemp(dir=scratch)
        result = history_run(root, batches, HYDRO_FAULT=fault)
        check(result.returncode in (0, 3), f"history, {fault}: {result.returncode} {result.stderr.decode()}")
        result = history_verify(root)
        check(result.returncode == 0, f"history, {fault}: {result.returncode} {result.stderr.decode()}")
        drop(root)
    print(f"history: {cuts} cuts over {syncs} syncs")


def append(root, batches, *more, **how):
    return run(root, "power_journal", "append", root + "/journal", batches, root + ".acks", *more, **how)


def verify(root):
    return subprocess.run([f"{BIN}/power_journal", "verify", root + "/journal", root + ".acks"], stderr=subprocess.PIPE, timeout=120)


def count_syncs(scratch, batches):
    root = tempfile.mkdtemp(dir=scratch)
    counter = os.path.join(scratch, "count")
    result = append(root, batches, HYDRO_CUT_COUNT_FILE=counter)
    check(result.returncode == 0, f"the run without a cut: {result.stderr.decode()}")
    check(verify(root).returncode == 0, "the run without a cut")
    with open(counter, encoding="ascii") as file:
        return int(file.read())


def drop(root):
    shutil.rmtree(root, ignore_errors=True)
    os.path.exists(root + ".acks") and os.unlink(root + ".acks")


def test_journal(scratch):
    batches = 900 if LONG else 330
    syncs = count_syncs(scratch, batches)
    step = 1 if LONG else max(1, syncs // 60)
    cuts = 0
    for k in range(1, syncs + 1, step):
        for keep in (0, 50) if LONG or k % (5 * step) == 1 else (0,):
            root = tempfile.mkdtemp(dir=scratch)
            first = append(root, batches, cut=k, keep=keep, seed=k)
            check(first.returncode in (0, CUT), f"cut {k}: {first.returncode} {first.stderr.decode()}")
            second = append(root, 40, cut=1 + k % 17, keep=keep, seed=k + 1)  # the power goes again, in or after the recovery
            check(second.returncode in (0, CUT), f"cut {k}, second run: {second.returncode} {second.stderr.decode()}")
            result = verify(root)
            check(result.returncode == 0, f"cut {k}, keep {keep}: {result.returncode} {result.stderr.decode()}")
            cuts += 2
            drop(root)
    print(f"{cuts} cuts over {syncs} syncs")
    lost = 0
    for k in range(1, 60, 3):  # without fdatasync acknowledged records must be seen to be lost, or this test sees nothing
        root = tempfile.mkdtemp(dir=scratch)
        append(root, batches, "nosync", cut=k)
        lost += verify(root).returncode == 1
        drop(root)
    check(lost > 0, "a journal that does not sync was not found out")


def sqlite_lost(scratch, synchronous, k):
    """Whether rows are missing that had been committed before the cut."""
    root = tempfile.mkdtemp(dir=scratch)
    for cut in (k, 3):  # again in its recovery
        result = run(root, "sqlite_script.py", root + "/db", root + ".acks", synchronous, 12, cut=cut)
        check(result.returncode in (0, CUT), f"sqlite {synchronous}, cut {cut}: {result.stderr.decode()}")
    acked = 0
    if os.path.exists(root + ".acks"):
        with open(root + ".acks", encoding="ascii") as file:
            acked = max(map(int, file.read().split()), default=0)
    db = sqlite3.connect(root + "/db")
    tables = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 't'").fetchone()[0]
    there = [row[0] for row in db.execute("SELECT n FROM t ORDER BY n")] if tables else []
    check(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok", f"sqlite {synchronous}, cut {k}: the database is damaged")
    db.close()
    drop(root)
    return there != list(range(1, len(there) + 1)) or len(there) < acked


def test_sqlite(scratch):
    """A disk that is known: SQLite loses nothing with synchronous=FULL, and does with NORMAL, whose WAL is not synced at a commit."""
    last = 40 if LONG else 16
    check(not any(sqlite_lost(scratch, "FULL", k) for k in range(1, last)), "sqlite with synchronous=FULL lost a commit")
    check(any(sqlite_lost(scratch, "NORMAL", k) for k in range(1, last)), "sqlite with synchronous=NORMAL was not found out")


def main():
    scratch = tempfile.mkdtemp(prefix="hydro-powercut-")
    try:
        test_shim(scratch)
        test_sqlite(scratch)
        test_journal(scratch)
        test_history(scratch)
        test_ledger(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print("failed" if failures else "passed")
    return 1 if failures else 0


sys.exit(main())
