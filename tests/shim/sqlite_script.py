#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Commits rows one by one: sqlite_script.py DATABASE ACKS SYNCHRONOUS COUNT. Each row's number goes to ACKS after its commit."""
import os
import sqlite3
import sys

database, acks, synchronous, count = sys.argv[1:]
db = sqlite3.connect(database, isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.execute(f"PRAGMA synchronous={synchronous}")
db.execute("PRAGMA wal_autocheckpoint=5")
db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, text TEXT)")
last = db.execute("SELECT coalesce(max(n), 0) FROM t").fetchone()[0]
out = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
for n in range(last + 1, last + 1 + int(count)):
    db.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * 700))
    os.write(out, b"%d\n" % n)
