/* SPDX-License-Identifier: MIT */
#include "filing/ledger_inner.h"

/*
 * filing.db. Numbers of states and marks are those of ledger.h. A slot's times are kept as differences to its due time, its audit
 * rows as sequences in its work's chain (`payload` and `last` as differences to `first`): most fit in a byte or three.
 *
 * Slots, audit and days stand in order of time, works within: what a tick writes is on a few pages, not on one for each work. The
 * rows of a chain are therefore linked backwards (`back`: how many ids before; 0 = the chain's first), from chains.row, and a slot knows the
 * id of its last one (`row`). Old rows are packed, and then found by sequence: those up to chains.packed are in `packs`.
 */
const struct hd_migration hd_schema_filing[] = {
	{"CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"
	 "CREATE TABLE owners (number INTEGER PRIMARY KEY AUTOINCREMENT, machine TEXT NOT NULL, boot TEXT NOT NULL, pid INTEGER NOT NULL,"
	 " started INTEGER NOT NULL, opened_ms INTEGER NOT NULL) STRICT;"
	 "CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;"
	 "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	 /* number = hd_work.number: dense from 1, never reused, so rows are never deleted. */
	 "CREATE TABLE works (number INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
	 " updated_ms INTEGER NOT NULL, mode INTEGER NOT NULL, centre INTEGER NOT NULL, informant INTEGER NOT NULL, every INTEGER NOT NULL,"
	 " pick INTEGER NOT NULL, lag_months INTEGER NOT NULL, by_sheet INTEGER NOT NULL, deleted INTEGER NOT NULL, point BLOB NOT NULL,"
	 " lag_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL, window_ms INTEGER NOT NULL, starts_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL,"
	 " held_since_ms INTEGER NOT NULL, granted_lps REAL, granted_m3_year REAL, code TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,"
	 " standard TEXT NOT NULL, family TEXT NOT NULL, client TEXT NOT NULL, region TEXT NOT NULL, shac TEXT NOT NULL, notes TEXT NOT NULL,"
	 " held_why TEXT NOT NULL, options TEXT NOT NULL, adapters TEXT NOT NULL, flow_metric TEXT NOT NULL, total_metric TEXT NOT NULL,"
	 " level_metric TEXT NOT NULL) STRICT;"
	 "CREATE UNIQUE INDEX works_code ON works (code) WHERE deleted = 0;"
	 "CREATE INDEX works_point ON works (point);"
	 "CREATE TABLE centres (number INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
	 " updated_ms INTEGER NOT NULL, state INTEGER NOT NULL, backlog_scope INTEGER NOT NULL, spacing_ms INTEGER NOT NULL,"
	 " state_since_ms INTEGER NOT NULL, registered_ms INTEGER NOT NULL, calls_per_s REAL, check_share REAL, name TEXT NOT NULL,"
	 " identifier TEXT NOT NULL UNIQUE, registration TEXT NOT NULL, state_why TEXT NOT NULL, state_by TEXT NOT NULL) STRICT;"
	 "CREATE TABLE informants (number INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
	 " updated_ms INTEGER NOT NULL, name TEXT NOT NULL, identifier TEXT NOT NULL, sealed BLOB) STRICT;"
	 "CREATE TABLE certificates (number INTEGER PRIMARY KEY AUTOINCREMENT, uuid BLOB NOT NULL UNIQUE, centre INTEGER NOT NULL, name TEXT NOT NULL,"
	 " subject TEXT NOT NULL, issuer TEXT NOT NULL, serial TEXT NOT NULL, pem TEXT NOT NULL, not_before_ms INTEGER NOT NULL,"
	 " not_after_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL) STRICT;",
	 "works, centres, informants, certificates"},
	{"CREATE TABLE slots (work INTEGER NOT NULL, due INTEGER NOT NULL, state INTEGER NOT NULL, marks INTEGER NOT NULL, adapter INTEGER NOT NULL,"
	 " epoch INTEGER NOT NULL, owner INTEGER NOT NULL, measured INTEGER, queued INTEGER, attempted INTEGER, filed INTEGER, lease INTEGER NOT NULL,"
	 " flow REAL, total REAL, level REAL, receipt TEXT NOT NULL, cause TEXT NOT NULL, first INTEGER NOT NULL, payload INTEGER,"
	 " last INTEGER NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (due, work)) STRICT, WITHOUT ROWID;"
	 "CREATE INDEX slots_work ON slots (work, due);"
	 "CREATE INDEX slots_open ON slots (work, due, state) WHERE state IN " HD_OPEN_STATES_SQL ";"
	 "CREATE INDEX slots_claimed ON slots (owner, lease) WHERE state IN (3, 4);"
	 "CREATE INDEX slots_receipt ON slots (substr(receipt, -6)) WHERE receipt <> '';"
	 "CREATE TABLE audit (id INTEGER PRIMARY KEY, work INTEGER NOT NULL, sequence INTEGER NOT NULL, back INTEGER NOT NULL, due INTEGER NOT NULL,"
	 " at INTEGER NOT NULL, states INTEGER NOT NULL, actor INTEGER NOT NULL, detail TEXT NOT NULL, payload BLOB, hash BLOB NOT NULL) STRICT;"
	 "CREATE TABLE chains (work INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, row INTEGER NOT NULL, packed INTEGER NOT NULL DEFAULT 0,"
	 " anchored INTEGER NOT NULL DEFAULT 0, hash BLOB NOT NULL) STRICT;"
	 "CREATE TABLE packs (work INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, hash BLOB NOT NULL, data BLOB NOT NULL) STRICT;"
	 "CREATE UNIQUE INDEX packs_work ON packs (work, first);"
	 "CREATE TABLE anchors (day INTEGER PRIMARY KEY, at INTEGER NOT NULL, chains INTEGER NOT NULL, heads BLOB NOT NULL, hash BLOB NOT NULL) STRICT;"
	 "CREATE TABLE days (work INTEGER NOT NULL, day INTEGER NOT NULL, s0 INTEGER NOT NULL, s1 INTEGER NOT NULL, s2 INTEGER NOT NULL,"
	 " s3 INTEGER NOT NULL, s4 INTEGER NOT NULL, s5 INTEGER NOT NULL, s6 INTEGER NOT NULL, s7 INTEGER NOT NULL, s8 INTEGER NOT NULL,"
	 " s9 INTEGER NOT NULL, s10 INTEGER NOT NULL, s11 INTEGER NOT NULL, s12 INTEGER NOT NULL, s13 INTEGER NOT NULL, on_time INTEGER NOT NULL,"
	 " late INTEGER NOT NULL, over_lag INTEGER NOT NULL, checked INTEGER NOT NULL, PRIMARY KEY (day, work)) STRICT, WITHOUT ROWID;"
	 "CREATE TABLE totals (state INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;"
	 "CREATE TABLE alarms (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, work INTEGER NOT NULL, centre INTEGER NOT NULL,"
	 " level INTEGER NOT NULL, count INTEGER NOT NULL, text TEXT NOT NULL, text_en TEXT NOT NULL, since_ms INTEGER NOT NULL,"
	 " last_ms INTEGER NOT NULL, cleared_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, seen_by TEXT NOT NULL) STRICT;"
	 "CREATE UNIQUE INDEX alarms_open ON alarms (kind, work, centre) WHERE cleared_ms = 0;"
	 "CREATE TABLE foreign_receipts (work INTEGER NOT NULL, due INTEGER NOT NULL, source TEXT NOT NULL, receipt TEXT NOT NULL, flow REAL, total REAL,"
	 " level REAL, checked INTEGER NOT NULL, check_text TEXT NOT NULL, PRIMARY KEY (work, due, source)) STRICT, WITHOUT ROWID;",
	 "slots, audit, counts, alarms, receipts of other systems"},
};
const size_t hd_schema_filing_count = HD_ARRAY_LEN(hd_schema_filing);
