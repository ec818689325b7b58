/* SPDX-License-Identifier: MIT */
/* One SQLite connection with its prepared statements. Used by one thread at a time. */
#ifndef HD_STORE_DB_H
#define HD_STORE_DB_H

#include "base/buf.h"
#include "base/error.h"
#include "base/uuid.h"

#include <sqlite3.h>
#include <stdbool.h>

struct hd_db;

/* Opens (and for a writer creates) the file: WAL, synchronous = FULL, foreign keys on. HYDRO_E_IO, HYDRO_E_CORRUPT. */
int hd_db_open(const char *path, bool writer, struct hd_db **ret, struct hydro_error *err);
void hd_db_close(struct hd_db **db);
sqlite3 *hd_db_handle(struct hd_db *db);
/* The code of the connection's last failure with its text, and what was being done. */
int hd_db_fail(struct hd_db *db, struct hydro_error *err, const char *what);

/*
 * The statement of a literal, prepared once and kept (the address is the key: never a built text); reset, nothing bound.
 * Valid until the connection closes. NULL after writing err.
 */
sqlite3_stmt *hd_db_prepare(struct hd_db *db, const char *sql, struct hydro_error *err);
/* Ends what statements are still open, so that no read transaction stays behind. */
void hd_db_reset(struct hd_db *db);
/* One or more statements without results. */
int hd_db_exec(struct hd_db *db, const char *sql, struct hydro_error *err);
/* Steps once: HYDRO_OK with *ret_row = whether there is a row. HYDRO_E_EXISTS for a broken UNIQUE, HYDRO_E_CONFLICT for another
 * constraint, HYDRO_E_FULL for a full disk, else as hd_db_fail. */
int hd_db_step(struct hd_db *db, sqlite3_stmt *stmt, bool *ret_row, struct hydro_error *err);
/* Steps a statement that has no rows, and resets it. */
int hd_db_run(struct hd_db *db, sqlite3_stmt *stmt, struct hydro_error *err);

/* Binding; texts must live until the next reset. */
void hd_bind_text(sqlite3_stmt *stmt, int at, const char *text); /* NULL binds "" */
void hd_bind_int(sqlite3_stmt *stmt, int at, int64_t value);
void hd_bind_blob(sqlite3_stmt *stmt, int at, const void *data, size_t len);
void hd_bind_uuid(sqlite3_stmt *stmt, int at, const struct hd_uuid *id);
/* Reading; a text is "" for NULL, valid until the next step. */
const char *hd_column_text(sqlite3_stmt *stmt, int at);
struct hd_uuid hd_column_uuid(sqlite3_stmt *stmt, int at);

#endif
