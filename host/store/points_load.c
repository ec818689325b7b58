/* SPDX-License-Identifier: MIT */
/* Rows of points into memory: all of them at a start without a snapshot, by two threads, and single ones after each commit. */
#include "store/internal.h"
#include "store/point_row.h"
#include "store/secrets.h"

#include "base/queue.h"
#include "base/thread.h"

#include <stdlib.h>

#define CHUNK_ROWS 1024u
#define CHUNKS_WAITING 8u

static int put(struct hd_points *points, const struct hd_store_point *row, struct hydro_error *err)
{
	uint32_t index;
	struct hd_point_spec spec = {.index = row->number, .id = row->id, .version = row->version, .bits = row->bits, .account = row->account,
				     .period_s = row->period_s, .join_ms = row->join_ms, .start_ms = row->start_ms, .name = row->name,
				     .provider = row->provider, .pipeline = row->pipeline, .options = row->options, .params = row->params, .zone = row->zone};
	return hd_points_put(points, &spec, &index, err);
}

/* ---- after a commit ------------------------------------------------------------------------------------------------------ */

int hd_store_points_put_rows(struct hd_store *store, struct hd_points *points, struct hd_db *db, sqlite3_stmt *stmt, uint64_t *ret_count,
			     struct hydro_error *err)
{
	struct hd_store_point point;
	struct hd_buf opened = {0};
	bool row = false;
	int rc;
	while ((rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		hd_buf_clear(&opened);
		if (sqlite3_column_type(stmt, 0) == SQLITE_NULL) {
			rc = hd_error_set(err, HYDRO_E_CORRUPT, "a point was removed from the database");
			break;
		}
		hd_store_point_read(stmt, &point);
		point.options = point.shown;
		if (point.has_secret)
			rc = hd_secrets_open(store, "points", &point.id, stmt, HD_STORE_POINT_SEALED, &opened, &point.options, err);
		if (rc != HYDRO_OK || (rc = put(points, &point, err)) != HYDRO_OK)
			break;
		++*ret_count;
	}
	hd_buf_done(&opened);
	return rc;
}

int hd_store_points_publish(struct hd_store *store, struct hd_db *db, int64_t first, int64_t last, struct hydro_error *err)
{
	uint64_t count = 0;
	if (!store->points)
		return HYDRO_OK;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT " HD_STORE_POINT_COLUMNS HD_STORE_POINT_FROM "WHERE p.number BETWEEN ?1 AND ?2 ORDER BY p.number", err);
	int rc = stmt ? HYDRO_OK : HYDRO_E_IO;
	if (rc == HYDRO_OK) {
		hd_bind_int(stmt, 1, first);
		hd_bind_int(stmt, 2, last);
		rc = hd_store_points_put_rows(store, store->points, db, stmt, &count, err);
	}
	hd_store_snapshot_changed(store, count, rc);
	return rc;
}

/* ---- at start, without a snapshot: one thread steps through the table, the other opens secrets and puts ---------------------------------------- */

/* A copy of a row; its texts lie in the chunk's memory, which moves while it grows. */
struct copy {
	struct hd_store_point point;
	size_t name, provider, pipeline, zone, shown, params, sealed, sealed_len;
};

struct chunk {
	uint32_t count;
	struct hd_buf mem;
	struct copy rows[CHUNK_ROWS];
};

struct load {
	struct hd_store *store;
	struct hd_queue *chunks;
	uint32_t stop; /* atomic: the taker has failed */
	int rc;        /* of the reading thread */
	struct hydro_error err;
};

static size_t keep(struct chunk *chunk, const void *data, size_t len)
{
	size_t at = chunk->mem.len;
	hd_buf_add(&chunk->mem, data ? data : "", len);
	hd_buf_add_char(&chunk->mem, '\0');
	return at;
}

static size_t keep_column(struct chunk *chunk, sqlite3_stmt *stmt, int column)
{
	const char *text = hd_column_text(stmt, column);
	return keep(chunk, text, (size_t)sqlite3_column_bytes(stmt, column));
}

static void copy_row(struct chunk *chunk, sqlite3_stmt *stmt)
{
	struct copy *copy = &chunk->rows[chunk->count++];
	hd_store_point_read(stmt, &copy->point);
	copy->name = keep_column(chunk, stmt, 10);
	copy->provider = keep_column(chunk, stmt, 11);
	copy->pipeline = keep_column(chunk, stmt, 12);
	copy->zone = keep_column(chunk, stmt, 13);
	copy->shown = copy->point.has_secret ? 0 : keep_column(chunk, stmt, 14);
	copy->params = keep_column(chunk, stmt, 16);
	const void *sealed = sqlite3_column_blob(stmt, HD_STORE_POINT_SEALED);
	copy->sealed_len = sealed ? (size_t)sqlite3_column_bytes(stmt, HD_STORE_POINT_SEALED) : 0;
	copy->sealed = keep(chunk, sealed, copy->sealed_len);
}

static void chunk_free(struct chunk *chunk)
{
	hd_buf_done(&chunk->mem);
	free(chunk);
}

static int hand_over(struct load *load, struct chunk *chunk, struct hydro_error *err)
{
	if (!chunk || chunk->mem.failed) {
		if (chunk)
			chunk_free(chunk);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the points");
	}
	(void)hd_queue_push(load->chunks, chunk);
	return HYDRO_OK;
}

static int read_rows(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct load *load = arg;
	struct chunk *chunk = NULL;
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT p.number, p.uuid, p.version, p.bits, p.account, p.period_s, p.join_ms, p.start_ms, 0, 0, p.name,"
					       " p.provider, p.pipeline, p.zone, p.options, p.sealed, p.params, NULL FROM points p ORDER BY p.number", err);
	int rc = stmt ? HYDRO_OK : HYDRO_E_IO;
	while (rc == HYDRO_OK && !__atomic_load_n(&load->stop, __ATOMIC_RELAXED) && (rc = hd_db_step(db, stmt, &row, err)) == HYDRO_OK && row) {
		if (!chunk && !(chunk = calloc(1, sizeof *chunk)))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the points");
		copy_row(chunk, stmt);
		if (chunk->count == CHUNK_ROWS)
			rc = hand_over(load, HD_STEAL(chunk), err);
	}
	if (chunk && rc == HYDRO_OK)
		return hand_over(load, chunk, err);
	if (chunk)
		chunk_free(chunk);
	return rc;
}

static void *run_reader(void *arg)
{
	struct load *load = arg;
	load->rc = hd_store_read(load->store, read_rows, load, &load->err);
	hd_queue_close(load->chunks);
	return NULL;
}

static int put_chunk(struct hd_store *store, struct hd_points *points, struct chunk *chunk, struct hd_buf *opened, struct hydro_error *err)
{
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < chunk->count && rc == HYDRO_OK; i++) {
		const struct copy *copy = &chunk->rows[i];
		struct hd_store_point point = copy->point;
		const char *mem = chunk->mem.data;
		point.name = mem + copy->name;
		point.provider = mem + copy->provider;
		point.pipeline = mem + copy->pipeline;
		point.zone = mem + copy->zone;
		point.params = mem + copy->params;
		point.options = mem + copy->shown;
		hd_buf_clear(opened);
		if (point.has_secret)
			rc = hd_secrets_open_bytes(store, "points", &point.id, mem + copy->sealed, copy->sealed_len, opened, &point.options, err);
		if (rc == HYDRO_OK)
			rc = put(points, &point, err);
	}
	return rc;
}

static int load_rows(struct hd_store *store, struct hd_points *points, struct hydro_error *err)
{
	struct load load = {.store = store, .err = {.struct_size = sizeof load.err}};
	struct hd_buf opened = {0};
	pthread_t thread;
	void *chunk;
	int rc = hd_queue_new(CHUNKS_WAITING, &load.chunks);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "no memory for the points");
	if ((rc = hd_thread_start(&thread, HD_ROLE_ANY, "points-load", run_reader, &load, err)) == HYDRO_OK) {
		while (hd_queue_pop(load.chunks, &chunk, 1, -1) == 1) {
			if (rc == HYDRO_OK && (rc = put_chunk(store, points, chunk, &opened, err)) != HYDRO_OK)
				__atomic_store_n(&load.stop, 1, __ATOMIC_RELAXED);
			chunk_free(chunk);
		}
		(void)pthread_join(thread, NULL);
		if (rc == HYDRO_OK && (rc = load.rc) != HYDRO_OK && err)
			*err = load.err;
	}
	hd_queue_free(&load.chunks);
	hd_buf_done(&opened);
	return rc == HYDRO_E_CONFLICT ? hd_error_set(err, HYDRO_E_CORRUPT, "the numbers of the points in the store have a gap") : rc;
}

int hd_store_points_load(struct hd_store *store, struct hd_points *points, struct hydro_error *err)
{
	HD_ASSERT(!store->points);
	bool loaded = hd_store_snapshot_load(store, points);
	int rc = loaded ? HYDRO_OK : load_rows(store, points, err);
	if (rc != HYDRO_OK)
		return rc;
	store->points = points;
	return hd_store_snapshot_start(store, !loaded, err);
}
