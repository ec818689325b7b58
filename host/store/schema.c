/* SPDX-License-Identifier: MIT */
#include "store/schema.h"

#include "base/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct hd_migration hd_schema_business[] = {
	{"CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid BLOB NOT NULL UNIQUE, version INTEGER NOT NULL,"
	 " provider TEXT NOT NULL, name TEXT NOT NULL, options TEXT NOT NULL, sealed BLOB, created_ms INTEGER NOT NULL,"
	 " updated_ms INTEGER NOT NULL, UNIQUE (provider, name)) STRICT;"
	 /* number = hd_point.index: dense from 0, never reused, so rows are never deleted. */
	 "CREATE TABLE points (number INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, bits INTEGER NOT NULL,"
	 " account INTEGER NOT NULL, period_s INTEGER NOT NULL, join_ms INTEGER NOT NULL, start_ms INTEGER NOT NULL,"
	 " created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, name TEXT NOT NULL, provider TEXT NOT NULL, pipeline TEXT NOT NULL,"
	 " zone TEXT NOT NULL, options TEXT NOT NULL, sealed BLOB, params TEXT NOT NULL) STRICT;"
	 "CREATE INDEX points_provider ON points (provider, bits, number);"
	 "CREATE INDEX points_account ON points (account) WHERE account <> 0;"
	 "CREATE INDEX points_name ON points (name);"
	 "CREATE TABLE api_keys (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, role INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE,"
	 " created_ms INTEGER NOT NULL, last_used_ms INTEGER NOT NULL DEFAULT 0, revoked_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
	 "CREATE TABLE idempotency (principal INTEGER NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, status INTEGER NOT NULL,"
	 " etag TEXT NOT NULL, location TEXT NOT NULL, body BLOB NOT NULL, created_ms INTEGER NOT NULL, PRIMARY KEY (principal, key))"
	 " STRICT, WITHOUT ROWID;"
	 "CREATE INDEX idempotency_age ON idempotency (created_ms);",
	 "accounts, points, API keys, kept answers"},
	/* Which points changed since the snapshot of all points, whose file's id is here (and the next one's, while it replaces it). */
	{"CREATE TABLE point_changes (seq INTEGER PRIMARY KEY, number INTEGER NOT NULL) STRICT;"
	 "CREATE TRIGGER points_inserted AFTER INSERT ON points BEGIN INSERT INTO point_changes (number) VALUES (NEW.number); END;"
	 "CREATE TRIGGER points_updated AFTER UPDATE ON points BEGIN INSERT INTO point_changes (number) VALUES (NEW.number); END;"
	 "CREATE TRIGGER points_deleted AFTER DELETE ON points BEGIN INSERT INTO point_changes (number) VALUES (OLD.number); END;"
	 "CREATE TABLE points_snapshot (one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL, next_id BLOB NOT NULL) STRICT;"
	 "INSERT INTO points_snapshot VALUES (1, x'', x'');"
	 /* An account's points are counted in the index alone. */
	 "DROP INDEX points_account; CREATE INDEX points_account ON points (account, bits) WHERE account <> 0;"
	 /* A known text sealed with the key of this database: one row tells a wrong key, not a search for a sealed one. */
	 "CREATE TABLE key_proof (one INTEGER PRIMARY KEY CHECK (one = 1), sealed BLOB NOT NULL) STRICT;",
	 "which points changed, for the snapshot of all; a proof of the key"},
};
const size_t hd_schema_business_count = HD_ARRAY_LEN(hd_schema_business);

static int read_version(struct hd_db *db, int64_t *ret, struct hydro_error *err)
{
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "PRAGMA user_version", err);
	int rc = stmt ? hd_db_step(db, stmt, &row, err) : HYDRO_E_IO;
	if (rc == HYDRO_OK)
		*ret = sqlite3_column_int64(stmt, 0);
	hd_db_reset(db);
	return rc;
}

/* A whole copy by SQLite's own backup, then synced with its folder. */
static int copy_before(struct hd_db *db, const char *path, int64_t version, struct hydro_error *err)
{
	char copy[4096], dir[4096];
	if (snprintf(copy, sizeof copy, "%s.v%lld.bak", path, (long long)version) >= (int)sizeof copy)
		return hd_error_set(err, HYDRO_E_LIMIT, "path %s is too long", path);
	(void)unlink(copy);
	sqlite3 *target = NULL;
	int rc = HYDRO_E_IO;
	if (sqlite3_open(copy, &target) == SQLITE_OK) {
		sqlite3_backup *backup = sqlite3_backup_init(target, "main", hd_db_handle(db), "main");
		if (backup && sqlite3_backup_step(backup, -1) == SQLITE_DONE)
			rc = HYDRO_OK;
		if (backup && sqlite3_backup_finish(backup) != SQLITE_OK)
			rc = HYDRO_E_IO;
	}
	if (rc != HYDRO_OK)
		(void)hd_error_set(err, rc, "cannot copy %s to %s: %s", path, copy, sqlite3_errmsg(target));
	(void)sqlite3_close(target);
	if (rc != HYDRO_OK)
		return rc;
	HD_CLEANUP(hd_cleanup_fd) int fd = open(copy, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return hd_error_set(err, HYDRO_E_IO, "cannot sync %s", copy);
	(void)snprintf(dir, sizeof dir, "%s", path);
	char *slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	return hd_fs_sync_dir(slash ? dir : ".", err);
}

static int apply(struct hd_db *db, const struct hd_migration *migration, size_t to, struct hydro_error *err)
{
	char version[64];
	(void)snprintf(version, sizeof version, "PRAGMA user_version = %zu", to);
	int rc = hd_db_exec(db, "BEGIN IMMEDIATE", err);
	if (rc == HYDRO_OK && (rc = hd_db_exec(db, migration->sql, err)) == HYDRO_OK && (rc = hd_db_exec(db, version, err)) == HYDRO_OK)
		rc = hd_db_exec(db, "COMMIT", err);
	if (rc != HYDRO_OK) {
		(void)hd_error_while(err, "migrating to version %zu: %s", to, migration->what);
		(void)hd_db_exec(db, "ROLLBACK", NULL);
	}
	return rc;
}

int hd_schema_migrate(struct hd_db *db, const char *path, const struct hd_migration *migrations, size_t count, struct hydro_error *err)
{
	int64_t version = 0;
	int rc = read_version(db, &version, err);
	if (rc != HYDRO_OK)
		return rc;
	if (version < 0 || version > (int64_t)count)
		return hd_error_set(err, HYDRO_E_CONFIG, "%s is of version %lld; this program knows versions up to %zu", path, (long long)version, count);
	if (version > 0 && version < (int64_t)count && (rc = copy_before(db, path, version, err)) != HYDRO_OK)
		return rc;
	for (size_t i = (size_t)version; i < count && rc == HYDRO_OK; i++)
		rc = apply(db, &migrations[i], i + 1, err);
	return rc;
}
