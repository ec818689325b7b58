/* SPDX-License-Identifier: MIT */
#include "store/snapshot.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/thread.h"
#include "observe/log.h"
#include "store/internal.h"
#include "store/point_row.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A start reads a changed row in 2 µs: below this many, or this part of the points, a new file is not worth its writing. */
#define CHANGES_MIN 1000u
#define CHANGES_PART 50u
#define QUIET_NS (5 * HD_NS_PER_S)    /* changes come in bursts: written once they have ended */
#define PATIENCE_NS (300 * HD_NS_PER_S) /* or have gone on for so long */
#define START_NS (30 * HD_NS_PER_S)   /* not while the rest of a start is under way */
#define FORGET_ROWS 50000 /* of the log of changes in one commit, so that others are not held up */

/* What the database says of files: two ids while one is replaced by the next. */
struct state {
	uint8_t id[HD_SNAPSHOT_ID_BYTES], next_id[HD_SNAPSHOT_ID_BYTES];
	bool has_id, has_next;
	int64_t change; /* number of the last one */
	int64_t points;
};

static bool read_id(sqlite3_stmt *stmt, int column, uint8_t ret[HD_SNAPSHOT_ID_BYTES])
{
	const void *blob = sqlite3_column_blob(stmt, column);
	bool has = blob && sqlite3_column_bytes(stmt, column) == HD_SNAPSHOT_ID_BYTES;
	if (has)
		memcpy(ret, blob, HD_SNAPSHOT_ID_BYTES);
	return has;
}

static int read_state(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct state *state = arg;
	bool row = false;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT id, next_id, (SELECT coalesce(max(seq), 0) FROM point_changes),"
					       " (SELECT coalesce(max(number) + 1, 0) FROM points) FROM points_snapshot WHERE one = 1", err);
	int rc = stmt ? hd_db_step(db, stmt, &row, err) : HYDRO_E_IO;
	if (rc != HYDRO_OK || !row)
		return rc == HYDRO_OK ? hd_error_set(err, HYDRO_E_CORRUPT, "the database does not say which snapshot of points is its own") : rc;
	state->has_id = read_id(stmt, 0, state->id);
	state->has_next = read_id(stmt, 1, state->next_id);
	state->change = sqlite3_column_int64(stmt, 2);
	state->points = sqlite3_column_int64(stmt, 3);
	(void)sqlite3_reset(stmt);
	return HYDRO_OK;
}

/* ---- at the start ---- */

struct load {
	struct hd_store *store;
	struct hd_points *points;
	int64_t from;
	uint64_t changed;
};

static int load_changed(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct load *load = arg;
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT " HD_STORE_POINT_COLUMNS " FROM (SELECT DISTINCT number FROM point_changes WHERE seq > ?1) c"
					       " LEFT JOIN points p ON p.number = c.number LEFT JOIN accounts a ON a.id = p.account ORDER BY c.number", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, load->from);
	return hd_store_points_put_rows(load->store, load->points, db, stmt, &load->changed, err);
}

static bool is_file_of(const struct state *state, const struct hd_snapshot_info *info)
{
	return ((state->has_id && memcmp(state->id, info->id, sizeof info->id) == 0) ||
		(state->has_next && memcmp(state->next_id, info->id, sizeof info->id) == 0)) &&
	       info->change <= state->change && info->points <= state->points;
}

static int load_file(struct hd_store *store, struct hd_points *points, struct hydro_error *err)
{
	struct hd_store_snapshot *s = &store->snapshot;
	struct hd_snapshot *file = NULL;
	struct hd_snapshot_info info = {.points = 0};
	struct state state = {.has_id = false};
	int rc = hd_snapshot_open(s->path, &store->key, &file, &info, err);
	if (rc == HYDRO_OK)
		rc = hd_store_read(store, read_state, &state, err);
	if (rc == HYDRO_OK && !is_file_of(&state, &info))
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "snapshot of points %s is not that of this database", s->path);
	if (rc == HYDRO_OK)
		rc = hd_snapshot_load(file, points, err);
	hd_snapshot_close(&file);
	struct load load = {.store = store, .points = points, .from = info.change};
	if (rc == HYDRO_OK)
		rc = hd_store_read(store, load_changed, &load, err);
	if (rc == HYDRO_OK && hd_points_count(points) != state.points)
		rc = hd_error_set(err, HYDRO_E_CORRUPT, "snapshot of points %s and what changed since are not all points", s->path);
	if (rc == HYDRO_OK) {
		s->has_file = true;
		s->changed = load.changed;
		memcpy(s->id, info.id, sizeof s->id);
	}
	return rc;
}

bool hd_store_snapshot_load(struct hd_store *store, struct hd_points *points)
{
	struct hydro_error err = {.struct_size = sizeof err};
	if (!store->snapshot.path)
		return false;
	int rc = load_file(store, points, &err);
	if (rc == HYDRO_OK)
		return true;
	hd_points_clear(points);
	if (access(store->snapshot.path, F_OK) == 0)
		hd_log_error(HD_LOG_WARN, "store", "snapshot_not_used", &err);
	return false;
}

/* ---- writing ---- */

struct names {
	const uint8_t *id, *next_id; /* NULL: none */
};

static int set_names(struct hd_db *db, void *arg, struct hydro_error *err)
{
	const struct names *names = arg;
	sqlite3_stmt *stmt = hd_db_prepare(db, "UPDATE points_snapshot SET id = ?1, next_id = ?2 WHERE one = 1", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_blob(stmt, 1, names->id ? names->id : (const uint8_t *)"", names->id ? HD_SNAPSHOT_ID_BYTES : 0);
	hd_bind_blob(stmt, 2, names->next_id ? names->next_id : (const uint8_t *)"", names->next_id ? HD_SNAPSHOT_ID_BYTES : 0);
	return hd_db_run(db, stmt, err);
}

struct forget {
	int64_t below;
	bool more;
};

/* The change the file was made at stays, so that numbers never begin again. */
static int forget_some(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct forget *forget = arg;
	sqlite3_stmt *stmt = hd_db_prepare(db, "DELETE FROM point_changes WHERE seq < min(?1, (SELECT min(seq) FROM point_changes) + ?2)", err);
	if (!stmt)
		return HYDRO_E_IO;
	hd_bind_int(stmt, 1, forget->below);
	hd_bind_int(stmt, 2, FORGET_ROWS);
	int rc = hd_db_run(db, stmt, err);
	forget->more = rc == HYDRO_OK && sqlite3_changes(hd_db_handle(db)) > 0;
	return rc;
}

static int put_in_place(const struct hd_store_snapshot *s, struct hydro_error *err)
{
	if (rename(s->fresh, s->path) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot rename %s", s->fresh);
	HD_CLEANUP(hd_cleanup_free) char *copy = strdup(s->path);
	return copy ? hd_fs_sync_dir(dirname(copy), err) : hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
}

/*
 * The file is made from the points in memory, which follow the commits: taken after a change's number was read, they are at
 * least as new as that change. Before the rename the database is told the new file's id beside the old one's, so that
 * whichever lies there after a crash is known; the log of changes is cut only when the new one has replaced the old.
 */
static int write_file(struct hd_store *store, struct hydro_error *err)
{
	struct hd_store_snapshot *s = &store->snapshot;
	struct state state = {.has_id = false};
	/* By the writer: what was committed before has reached the points when this returns. */
	int rc = hd_store_write(store, read_state, NULL, &state, err);
	struct hd_snapshot_info info = {.points = hd_points_count(store->points), .change = state.change};
	if (rc == HYDRO_OK)
		rc = hd_snapshot_write(s->fresh, &store->key, store->points, &info, err);
	if (rc != HYDRO_OK)
		return rc;
	struct names both = {s->has_file ? s->id : NULL, info.id}, only = {info.id, NULL};
	rc = hd_store_write(store, set_names, NULL, &both, err);
	if (rc == HYDRO_OK)
		rc = put_in_place(s, err);
	if (rc != HYDRO_OK) {
		(void)unlink(s->fresh);
		return rc;
	}
	(void)pthread_mutex_lock(&s->lock);
	memcpy(s->id, info.id, sizeof s->id);
	s->has_file = true;
	(void)pthread_mutex_unlock(&s->lock);
	rc = hd_store_write(store, set_names, NULL, &only, err);
	struct forget forget = {.below = state.change, .more = true};
	while (rc == HYDRO_OK && forget.more)
		rc = hd_store_write(store, forget_some, NULL, &forget, err);
	return rc;
}

static void write_now(struct hd_store *store)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_store_snapshot *s = &store->snapshot;
	(void)pthread_mutex_lock(&s->lock);
	uint64_t changed = s->changed;
	bool behind = s->behind;
	(void)pthread_mutex_unlock(&s->lock);
	int64_t began = hd_clock_real_ns();
	int rc = behind ? HYDRO_OK : write_file(store, &err);
	(void)pthread_mutex_lock(&s->lock);
	/* One that failed is tried again after as much change, not at once. */
	s->changed -= changed;
	s->first_ns = hd_clock_real_ns();
	(void)pthread_mutex_unlock(&s->lock);
	if (rc != HYDRO_OK)
		hd_log_error(HD_LOG_WARN, "store", "snapshot_not_written", &err);
	else if (!behind)
		hd_log(HD_LOG_DEBUG, "store", "snapshot_written", HD_I("points", hd_points_count(store->points)), HD_I("ms", (hd_clock_real_ns() - began) / HD_NS_PER_MS));
}

/* Under the lock: whether the rows that changed are worth a file. */
static bool is_worth_it(const struct hd_store *store)
{
	uint64_t part = hd_points_count(store->points) / CHANGES_PART;
	return store->snapshot.changed >= HD_MAX(part, CHANGES_MIN) && !store->snapshot.behind;
}

static void wait_ns(struct hd_store_snapshot *s, int64_t ns)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	ns += until.tv_nsec;
	until.tv_sec += ns / HD_NS_PER_S;
	until.tv_nsec = ns % HD_NS_PER_S;
	(void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static void *keep(void *arg)
{
	struct hd_store *store = HD_CAST(struct hd_store, HD_STORE_MAGIC, arg);
	struct hd_store_snapshot *s = &store->snapshot;
	(void)pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		int64_t now = hd_clock_real_ns(), due = HD_MIN(s->last_ns + QUIET_NS, s->first_ns + PATIENCE_NS);
		if (!is_worth_it(store)) {
			(void)pthread_cond_wait(&s->wake, &s->lock);
		} else if (now < due) {
			wait_ns(s, due - now);
		} else {
			(void)pthread_mutex_unlock(&s->lock);
			write_now(store);
			(void)pthread_mutex_lock(&s->lock);
		}
	}
	bool last = is_worth_it(store);
	(void)pthread_mutex_unlock(&s->lock);
	if (last)
		write_now(store);
	return NULL;
}

/* ---- life ---- */

int hd_store_snapshot_init(struct hd_store *store, const char *path, struct hydro_error *err)
{
	struct hd_store_snapshot *s = &store->snapshot;
	pthread_condattr_t attr;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (!path)
		return HYDRO_OK;
	s->path = strdup(path);
	if (!s->path || asprintf(&s->fresh, "%s.new", path) < 0) {
		s->fresh = NULL;
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the store");
	}
	(void)unlink(s->fresh);
	return HYDRO_OK;
}

int hd_store_snapshot_start(struct hd_store *store, bool all, struct hydro_error *err)
{
	struct hd_store_snapshot *s = &store->snapshot;
	if (!s->path)
		return HYDRO_OK;
	(void)pthread_mutex_lock(&s->lock);
	s->first_ns = s->last_ns = hd_clock_real_ns() + START_NS;
	if (all)
		s->changed = hd_points_count(store->points);
	int rc = hd_thread_start(&s->thread, HD_ROLE_ANY, "snapshot", keep, store, err);
	s->has_thread = rc == HYDRO_OK;
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

void hd_store_snapshot_stop(struct hd_store *store)
{
	struct hd_store_snapshot *s = &store->snapshot;
	(void)pthread_mutex_lock(&s->lock);
	bool runs = s->has_thread;
	s->has_thread = false;
	s->stop = true;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
	if (runs)
		(void)pthread_join(s->thread, NULL);
}

void hd_store_snapshot_done(struct hd_store *store)
{
	struct hd_store_snapshot *s = &store->snapshot;
	free(HD_STEAL(s->path));
	free(HD_STEAL(s->fresh));
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->wake);
}

void hd_store_snapshot_changed(struct hd_store *store, uint64_t count, int rc)
{
	struct hd_store_snapshot *s = &store->snapshot;
	(void)pthread_mutex_lock(&s->lock);
	bool waits = s->has_thread && is_worth_it(store);
	s->last_ns = hd_clock_real_ns();
	s->first_ns = s->changed ? s->first_ns : s->last_ns;
	s->changed += count;
	s->behind |= rc != HYDRO_OK;
	if (!waits && s->has_thread && is_worth_it(store))
		(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
}
