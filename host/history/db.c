/* SPDX-License-Identifier: MIT */
#include "history/internal.h"

#include "base/bytes.h"
#include "base/fs.h"
#include "base/uuid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 16 MiB a connection. A merge writes in key order: it comes back to few pages. */
#define CACHE "PRAGMA cache_size = -16384"
#define BUSY_MS 10000
#define RUNS_RESERVED 64u /* run numbers that one commit sets aside */

int history_db_error(struct hydro_error *err, sqlite3 *db, const char *doing)
{
	int code = sqlite3_errcode(db) & 0xff;
	int32_t mapped = code == SQLITE_FULL ? HYDRO_E_FULL : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? HYDRO_E_CORRUPT
			 : code == SQLITE_NOMEM ? HYDRO_E_NOMEM : code == SQLITE_BUSY ? HYDRO_E_AGAIN : HYDRO_E_IO;
	return hd_error_set(err, mapped, "history.db: %s: %s", doing, sqlite3_errmsg(db));
}

int history_db_exec(sqlite3 *db, const char *sql, struct hydro_error *err)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? HYDRO_OK : history_db_error(err, db, sql);
}

int history_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct hydro_error *err)
{
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK ? HYDRO_OK : history_db_error(err, db, sql);
}

static int connect(const char *path, int flags, sqlite3 **ret, struct hydro_error *err)
{
	if (sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		int rc = *ret ? history_db_error(err, *ret, "open") : hd_error_set(err, HYDRO_E_NOMEM, "no memory for history.db");
		sqlite3_close(*ret);
		*ret = NULL;
		return rc;
	}
	(void)sqlite3_busy_timeout(*ret, BUSY_MS);
	return HYDRO_OK;
}

static int64_t meta_get(sqlite3 *db, const char *key, int64_t fallback)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value = fallback;
	if (sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = ?", -1, &stmt, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			value = sqlite3_column_int64(stmt, 0);
	}
	(void)sqlite3_finalize(stmt);
	return value;
}

static int meta_put(sqlite3 *db, const char *key, int64_t value, struct hydro_error *err)
{
	char sql[128];
	(void)snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO meta (key, value) VALUES ('%s', %lld)", key, (long long)value);
	return history_db_exec(db, sql, err);
}

/* months.touched: wall clock, ms, of the first write since the month was last gone through; NULL: nothing is to be done. */
#define MONTH_TABLES                                                                                                       \
	"CREATE TABLE month_chunk (key INTEGER PRIMARY KEY, data BLOB NOT NULL);"                                           \
	"CREATE TABLE months (month INTEGER PRIMARY KEY, next INTEGER NOT NULL, touched INTEGER);"                         \
	"CREATE TABLE month_rest (key INTEGER PRIMARY KEY, days INTEGER NOT NULL, late INTEGER NOT NULL, base INTEGER NOT NULL);"

static int create(struct hd_history *history, struct hydro_error *err)
{
	static const char schema[] =
		"CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
		"CREATE TABLE chunk (key INTEGER PRIMARY KEY, data BLOB NOT NULL);"
		"CREATE TABLE hours (key INTEGER PRIMARY KEY, data BLOB NOT NULL);"
		"CREATE TABLE slice (key INTEGER PRIMARY KEY, data BLOB NOT NULL);" MONTH_TABLES;
	uint64_t id;
	hd_random_bytes(&id, sizeof id);
	int rc = history_db_exec(history->db, "BEGIN IMMEDIATE", err);
	if (rc == HYDRO_OK)
		rc = history_db_exec(history->db, schema, err);
	if (rc == HYDRO_OK)
		rc = meta_put(history->db, "format", HISTORY_FORMAT, err);
	if (rc == HYDRO_OK)
		rc = meta_put(history->db, "file_id", (int64_t)id, err);
	if (rc == HYDRO_OK)
		rc = meta_put(history->db, "key_id", history->sealed ? history->seal.id : 0, err);
	if (rc == HYDRO_OK)
		rc = meta_put(history->db, "cursor", 0, err);
	if (rc == HYDRO_OK)
		rc = meta_put(history->db, "run", 0, err);
	return rc == HYDRO_OK ? history_db_exec(history->db, "COMMIT", err) : rc;
}

/* Each month that has a chunk, by one look-up. */
static int list_months(sqlite3 *db, struct hydro_error *err)
{
	sqlite3_stmt *first = NULL, *add = NULL;
	int code = SQLITE_DONE, rc = history_db_prepare(db, "SELECT min(key) FROM chunk WHERE key >= ?", &first, err);
	if (rc == HYDRO_OK)
		rc = history_db_prepare(db, "INSERT INTO months (month, next, touched) VALUES (?, 0, 0)", &add, err);
	int64_t from = INT64_MIN;
	while (rc == HYDRO_OK) {
		(void)sqlite3_bind_int64(first, 1, from);
		if ((code = sqlite3_step(first)) != SQLITE_ROW || sqlite3_column_type(first, 0) == SQLITE_NULL)
			break;
		int64_t begin, end, month = history_month_of(sqlite3_column_int64(first, 0) >> (POINT_BITS + SEQ_BITS));
		(void)sqlite3_reset(first);
		history_month_bounds(month, &begin, &end);
		(void)sqlite3_bind_int64(add, 1, month);
		rc = history_step_done(db, add, "listing months", err);
		from = history_key(end, 0, 0);
	}
	if (rc == HYDRO_OK && code != SQLITE_ROW)
		rc = history_db_error(err, db, "listing months");
	(void)sqlite3_finalize(first);
	(void)sqlite3_finalize(add);
	return rc;
}

/* Format 1 had no slices, 2 no months: tables are added, and nothing that is there is changed. */
static int migrate(struct hd_history *history, int64_t format, struct hydro_error *err)
{
	if (format == HISTORY_FORMAT)
		return HYDRO_OK;
	int rc = history_db_exec(history->db, "BEGIN IMMEDIATE", err);
	if (rc == HYDRO_OK && format < 2)
		rc = history_db_exec(history->db, "CREATE TABLE slice (key INTEGER PRIMARY KEY, data BLOB NOT NULL)", err);
	if (rc == HYDRO_OK)
		rc = history_db_exec(history->db, MONTH_TABLES, err);
	if (rc == HYDRO_OK)
		rc = list_months(history->db, err);
	if (rc == HYDRO_OK)
		rc = meta_put(history->db, "format", HISTORY_FORMAT, err);
	if (rc == HYDRO_OK)
		rc = history_db_exec(history->db, "COMMIT", err);
	if (rc != HYDRO_OK)
		(void)sqlite3_exec(history->db, "ROLLBACK", NULL, NULL, NULL);
	return rc == HYDRO_OK ? rc : hd_error_while(err, "bringing %s from format %lld to %d", history->path, (long long)format, HISTORY_FORMAT);
}

static int check(struct hd_history *history, struct hydro_error *err)
{
	int64_t format = meta_get(history->db, "format", -1);
	if (format > HISTORY_FORMAT)
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "%s is of format %lld, this version reads up to %d", history->path, (long long)format, HISTORY_FORMAT);
	if (format < 1)
		return hd_error_set(err, HYDRO_E_CORRUPT, "%s is no history of hydrod", history->path);
	int64_t key_id = meta_get(history->db, "key_id", 0);
	if (key_id != 0 && (!history->sealed || key_id != (int64_t)history->seal.id))
		return hd_error_set(err, HYDRO_E_KEY, "%s is sealed with key %08llx%s", history->path, (unsigned long long)key_id,
				    history->sealed ? ", another one was given" : ", none was given");
	if (key_id == 0 && history->sealed) { /* from now on new chunks are sealed; older ones stay readable */
		int rc = meta_put(history->db, "key_id", history->seal.id, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	history->file_id = (uint64_t)meta_get(history->db, "file_id", 0);
	history->run = history->run_reserved = (uint64_t)meta_get(history->db, "run", 0);
	history->status.merged_lsn = (uint64_t)meta_get(history->db, "cursor", 0);
	return migrate(history, format, err);
}

static int prepare_writer(struct hd_history *history, struct hydro_error *err)
{
	static const char *const sql[] = {
		"INSERT INTO chunk (key, data) VALUES (?, ?)",
		"SELECT key, data FROM chunk WHERE key BETWEEN ? AND ? ORDER BY key",
		"SELECT sum(length(data)) FROM chunk WHERE key BETWEEN ? AND ?",
		"DELETE FROM chunk WHERE key BETWEEN ? AND ?",
		"INSERT INTO slice (key, data) VALUES (?, ?)",
		"SELECT key, data FROM slice WHERE key BETWEEN ? AND ? ORDER BY key",
		"UPDATE meta SET value = ? WHERE key = 'cursor'",
		"INSERT OR REPLACE INTO hours (key, data) VALUES (?, ?)",
		"DELETE FROM hours WHERE key = ?",
	};
	sqlite3_stmt **stmts[] = {&history->insert, &history->parts, &history->part_bytes, &history->remove, &history->insert_slice, &history->slices,
				  &history->set_cursor, &history->set_hours, &history->remove_hours};
	int rc = HYDRO_OK;
	for (size_t i = 0; rc == HYDRO_OK && i < HD_ARRAY_LEN(sql); i++)
		rc = history_db_prepare(history->db, sql[i], stmts[i], err);
	return rc == HYDRO_OK ? history_months_open(history, err) : rc;
}

int history_step_done(sqlite3 *db, sqlite3_stmt *stmt, const char *doing, struct hydro_error *err)
{
	int code = sqlite3_step(stmt);
	(void)sqlite3_reset(stmt);
	return code == SQLITE_DONE ? HYDRO_OK : history_db_error(err, db, doing);
}

int history_run_next(struct hd_history *history, uint64_t more, struct hydro_error *err)
{
	/* Committed before it is used: a run that is rolled back has used its nonces. */
	if (history->run + 1 + more > history->run_reserved) {
		uint64_t reserved = history->run + HD_MAX(1 + more, (uint64_t)RUNS_RESERVED);
		int rc = meta_put(history->db, "run", (int64_t)reserved, err);
		if (rc != HYDRO_OK)
			return rc;
		history->run_reserved = reserved;
	}
	history->run++;
	return HYDRO_OK;
}

int history_db_open(struct hd_history *history, struct hydro_error *err)
{
	history->path = hd_fs_join(history->config.dir, "history.db");
	if (!history->path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	int rc = connect(history->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &history->db, err);
	static const char *const pragmas[] = {
		"PRAGMA page_size = 4096", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA wal_autocheckpoint = 16384",
		CACHE, "PRAGMA journal_size_limit = 67108864",
	};
	for (size_t i = 0; rc == HYDRO_OK && i < HD_ARRAY_LEN(pragmas); i++)
		rc = history_db_exec(history->db, pragmas[i], err);
	if (rc == HYDRO_OK && meta_get(history->db, "format", -1) < 0 && sqlite3_errcode(history->db) != SQLITE_NOTADB)
		rc = create(history, err);
	if (rc == HYDRO_OK)
		rc = check(history, err);
	return rc == HYDRO_OK ? prepare_writer(history, err) : rc;
}

static void reader_free(struct history_reader *reader)
{
	(void)sqlite3_finalize(reader->cursor);
	(void)sqlite3_finalize(reader->parts);
	(void)sqlite3_finalize(reader->slices);
	(void)sqlite3_finalize(reader->hours);
	history_month_done(&reader->month);
	(void)sqlite3_close(reader->db);
	hd_chunk_codec_done(&reader->codec);
	history_chunks_done(&reader->chunks);
	rowset_done(&reader->journal);
	rowset_done(&reader->day);
	hd_buf_done(&reader->opened);
	free(reader);
}

void history_db_close(struct hd_history *history)
{
	while (history->pool) {
		struct history_reader *next = history->pool->next;
		reader_free(history->pool);
		history->pool = next;
	}
	sqlite3_stmt *stmts[] = {history->insert, history->parts, history->part_bytes, history->remove, history->insert_slice, history->slices,
				 history->set_cursor, history->set_hours, history->remove_hours};
	for (size_t i = 0; i < HD_ARRAY_LEN(stmts); i++)
		(void)sqlite3_finalize(stmts[i]);
	history_months_close(history);
	(void)sqlite3_close(history->db);
	free(history->path);
}

static int reader_new(struct hd_history *history, struct history_reader **ret, struct hydro_error *err)
{
	struct history_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to read history");
	int rc = connect(history->path, SQLITE_OPEN_READONLY, &reader->db, err);
	if (rc == HYDRO_OK)
		rc = history_db_exec(reader->db, CACHE, err);
	if (rc == HYDRO_OK)
		rc = history_db_prepare(reader->db, "SELECT value FROM meta WHERE key = 'cursor'", &reader->cursor, err);
	if (rc == HYDRO_OK)
		rc = history_db_prepare(reader->db, "SELECT key, data FROM chunk WHERE key BETWEEN ? AND ? ORDER BY key", &reader->parts, err);
	if (rc == HYDRO_OK)
		rc = history_db_prepare(reader->db, "SELECT key, data FROM slice WHERE key BETWEEN ? AND ? ORDER BY key", &reader->slices, err);
	if (rc == HYDRO_OK)
		rc = history_db_prepare(reader->db, "SELECT data FROM hours WHERE key = ?", &reader->hours, err);
	if (rc == HYDRO_OK)
		rc = history_month_prepare(&reader->month, reader->db, err);
	if (rc != HYDRO_OK) {
		reader_free(reader);
		return rc;
	}
	*ret = reader;
	return HYDRO_OK;
}

struct history_reader *history_reader_take(struct hd_history *history, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&history->pool_lock);
	struct history_reader *reader = history->pool;
	if (reader)
		history->pool = reader->next;
	(void)pthread_mutex_unlock(&history->pool_lock);
	if (!reader && reader_new(history, &reader, err) != HYDRO_OK)
		return NULL;
	return reader;
}

void history_reader_give(struct hd_history *history, struct history_reader *reader)
{
	rowset_clear(&reader->journal);
	rowset_clear(&reader->day);
	(void)pthread_mutex_lock(&history->pool_lock);
	reader->next = history->pool;
	history->pool = reader;
	(void)pthread_mutex_unlock(&history->pool_lock);
}

/* A stored chunk begins with 0 (plain) or with the number of the merge that sealed it, as a varint. */
static void nonce_of(const struct hd_history *history, int64_t key, uint64_t run, uint8_t ret[HD_SEAL_NONCE_BYTES])
{
	hd_put_u64(ret, history->file_id);
	hd_put_u64(ret + 8, (uint64_t)key);
	hd_put_u64(ret + 16, run);
}

int history_seal(struct hd_history *history, int64_t key, const struct hd_buf *chunk, struct hd_buf *ret, struct hydro_error *err)
{
	uint8_t head[HD_VARINT_MAX], nonce[HD_SEAL_NONCE_BYTES];
	size_t head_len = (size_t)(hd_put_varint(head, history->sealed ? history->run : 0) - head);
	hd_buf_clear(ret);
	if (!hd_buf_reserve(ret, head_len + chunk->len + HD_SEAL_TAG_BYTES))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a chunk");
	hd_buf_add(ret, head, head_len);
	if (!history->sealed) {
		hd_buf_add(ret, chunk->data, chunk->len);
		return HYDRO_OK;
	}
	nonce_of(history, key, history->run, nonce);
	hd_seal(&history->seal, nonce, NULL, 0, chunk->data, chunk->len, (uint8_t *)ret->data + ret->len);
	ret->len += chunk->len + HD_SEAL_TAG_BYTES;
	return HYDRO_OK;
}

int history_open_sealed(struct hd_history *history, int64_t key, const void *data, size_t len, struct hd_buf *ret, const void **ret_data, size_t *ret_len,
			struct hydro_error *err)
{
	const uint8_t *start = data, *p;
	uint64_t run;
	if (!data || !(p = hd_get_varint(start, start + len, &run)))
		return hd_error_set(err, HYDRO_E_CORRUPT, "history chunk does not check: its head");
	size_t rest = len - (size_t)(p - start);
	*ret_data = p;
	*ret_len = rest;
	if (run == 0)
		return HYDRO_OK;
	if (!history->sealed)
		return hd_error_set(err, HYDRO_E_KEY, "history chunk is sealed and no key was given");
	uint8_t nonce[HD_SEAL_NONCE_BYTES];
	nonce_of(history, key, run, nonce);
	hd_buf_clear(ret);
	if (rest < HD_SEAL_TAG_BYTES || !hd_buf_reserve(ret, rest))
		return hd_error_set(err, HYDRO_E_CORRUPT, "history chunk does not check: its length");
	if (!hd_unseal(&history->seal, nonce, NULL, 0, p, rest, ret->data))
		return hd_error_set(err, HYDRO_E_CORRUPT, "history chunk does not check: its seal");
	*ret_data = ret->data;
	*ret_len = rest - HD_SEAL_TAG_BYTES;
	return HYDRO_OK;
}

/* What went to the log since the last call, and from there to the file once all of it is there. */
void history_count_written(struct hd_history *history)
{
	const uint64_t page = 4096, frame = page + 24;
	int pages = 0, most = 0, log = 0, done = 0;
	(void)sqlite3_db_status(history->db, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &most, 1);
	history->frames_waiting += (uint64_t)pages;
	uint64_t written = (uint64_t)pages * frame;
	if (sqlite3_wal_checkpoint_v2(history->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &done) == SQLITE_OK && done == log) {
		written += history->frames_waiting * page;
		history->frames_waiting = 0;
	}
	(void)pthread_mutex_lock(&history->status_lock);
	history->status.written_bytes += written;
	(void)pthread_mutex_unlock(&history->status_lock);
}
