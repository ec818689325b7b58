/* SPDX-License-Identifier: MIT */
#include "store/db.h"

#include <stdlib.h>
#include <string.h>

#define STATEMENTS_MAX 192u
#define BUSY_MS 10000

struct hd_db {
	sqlite3 *handle;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} kept[STATEMENTS_MAX];
	unsigned kept_count;
};

static int code_of(int sqlite_code)
{
	switch (sqlite_code & 0xff) {
	case SQLITE_FULL:
		return HYDRO_E_FULL;
	case SQLITE_NOMEM:
		return HYDRO_E_NOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return HYDRO_E_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return HYDRO_E_AGAIN;
	case SQLITE_TOOBIG:
		return HYDRO_E_LIMIT;
	case SQLITE_CONSTRAINT:
		return sqlite_code == SQLITE_CONSTRAINT_UNIQUE || sqlite_code == SQLITE_CONSTRAINT_PRIMARYKEY ? HYDRO_E_EXISTS : HYDRO_E_CONFLICT;
	default:
		return HYDRO_E_IO;
	}
}

int hd_db_fail(struct hd_db *db, struct hydro_error *err, const char *what)
{
	return hd_error_set(err, code_of(sqlite3_extended_errcode(db->handle)), "cannot %s: %s", what, sqlite3_errmsg(db->handle));
}

int hd_db_open(const char *path, bool writer, struct hd_db **ret, struct hydro_error *err)
{
	struct hd_db *db = calloc(1, sizeof *db);
	if (!db)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a database connection");
	int flags = writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
	int rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc != SQLITE_OK) {
		rc = hd_error_set(err, code_of(rc), "cannot open %s: %s", path, db->handle ? sqlite3_errmsg(db->handle) : "no memory");
	} else {
		(void)sqlite3_busy_timeout(db->handle, BUSY_MS);
		rc = hd_db_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
				    "PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864;", err);
		if (rc == HYDRO_OK && !writer)
			rc = hd_db_exec(db, "PRAGMA query_only = ON", err);
		if (rc != HYDRO_OK)
			(void)hd_error_while(err, "opening %s", path);
	}
	if (rc != HYDRO_OK) {
		hd_db_close(&db);
		return rc;
	}
	*ret = db;
	return HYDRO_OK;
}

void hd_db_close(struct hd_db **db_ptr)
{
	struct hd_db *db = *db_ptr;
	if (!db)
		return;
	for (unsigned i = 0; i < db->kept_count; i++)
		(void)sqlite3_finalize(db->kept[i].stmt);
	(void)sqlite3_close(db->handle);
	free(db);
	*db_ptr = NULL;
}

sqlite3 *hd_db_handle(struct hd_db *db)
{
	return db->handle;
}

sqlite3_stmt *hd_db_prepare(struct hd_db *db, const char *sql, struct hydro_error *err)
{
	for (unsigned i = 0; i < db->kept_count; i++) {
		if (db->kept[i].sql == sql) {
			(void)sqlite3_reset(db->kept[i].stmt);
			(void)sqlite3_clear_bindings(db->kept[i].stmt);
			return db->kept[i].stmt;
		}
	}
	HD_ASSERT(db->kept_count < STATEMENTS_MAX);
	sqlite3_stmt *stmt = NULL;
	if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
		(void)hd_db_fail(db, err, "prepare a statement");
		return NULL;
	}
	db->kept[db->kept_count].sql = sql;
	db->kept[db->kept_count++].stmt = stmt;
	return stmt;
}

void hd_db_reset(struct hd_db *db)
{
	for (unsigned i = 0; i < db->kept_count; i++)
		if (sqlite3_stmt_busy(db->kept[i].stmt))
			(void)sqlite3_reset(db->kept[i].stmt);
}

int hd_db_exec(struct hd_db *db, const char *sql, struct hydro_error *err)
{
	return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? HYDRO_OK : hd_db_fail(db, err, "run a statement");
}

int hd_db_step(struct hd_db *db, sqlite3_stmt *stmt, bool *ret_row, struct hydro_error *err)
{
	int rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return hd_db_fail(db, err, "use the database");
	*ret_row = rc == SQLITE_ROW;
	return HYDRO_OK;
}

int hd_db_run(struct hd_db *db, sqlite3_stmt *stmt, struct hydro_error *err)
{
	bool row;
	int rc = hd_db_step(db, stmt, &row, err);
	(void)sqlite3_reset(stmt);
	return rc;
}

void hd_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	(void)sqlite3_bind_text(stmt, at, text ? text : "", -1, SQLITE_STATIC);
}

void hd_bind_int(sqlite3_stmt *stmt, int at, int64_t value)
{
	(void)sqlite3_bind_int64(stmt, at, value);
}

void hd_bind_blob(sqlite3_stmt *stmt, int at, const void *data, size_t len)
{
	(void)sqlite3_bind_blob64(stmt, at, data, len, SQLITE_STATIC);
}

void hd_bind_uuid(sqlite3_stmt *stmt, int at, const struct hd_uuid *id)
{
	hd_bind_blob(stmt, at, id->bytes, sizeof id->bytes);
}

const char *hd_column_text(sqlite3_stmt *stmt, int at)
{
	const unsigned char *text = sqlite3_column_text(stmt, at);
	return text ? (const char *)text : "";
}

struct hd_uuid hd_column_uuid(sqlite3_stmt *stmt, int at)
{
	struct hd_uuid id = {{0}};
	const void *blob = sqlite3_column_blob(stmt, at);
	if (blob && sqlite3_column_bytes(stmt, at) == (int)sizeof id.bytes)
		memcpy(id.bytes, blob, sizeof id.bytes);
	return id;
}
