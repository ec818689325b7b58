/* SPDX-License-Identifier: MIT */
/* The snapshot of points: used only where it is that of the database, and then equal to what the rows say. */
#include "world.h"

#include "base/fs.h"
#include "store/internal.h"
#include "store/snapshot_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#define MANY 5000u /* two pages; a file is written at the end */

struct snapshot_world {
	struct store_world w;
	struct hd_points *points;
};

static int insert_many(struct hd_db *db, void *arg, struct hydro_error *err)
{
	struct hd_store *store = arg;
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < MANY && rc == HYDRO_OK; i++) {
		char name[32], options[64];
		(void)snprintf(name, sizeof name, "point %u", i);
		(void)snprintf(options, sizeof options, "{\"secret\":\"hush-%u\"}", i);
		struct hd_store_point point = store_world_point(name);
		if (i % 2) {
			point.options = options;
			point.shown = "{\"secret\":\"***\"}";
			point.has_secret = true;
		}
		rc = hd_store_point_insert(store, db, &point, err);
	}
	return rc;
}

static void publish_many(struct hd_db *db, void *arg)
{
	cr_assert_eq(hd_store_points_publish(arg, db, 0, MANY - 1, NULL), HYDRO_OK);
}

static void load(struct snapshot_world *s)
{
	cr_assert_eq(hd_points_new(&s->points), HYDRO_OK);
	int rc = hd_store_points_load(s->w.store, s->points, &s->w.err);
	cr_assert_eq(rc, HYDRO_OK, "%s", s->w.err.text);
}

static void stop(struct snapshot_world *s)
{
	hd_store_close(&s->w.store);
	hd_points_free(&s->points);
}

/* MANY points, closed, with a snapshot of them. */
static void begin(struct snapshot_world *s)
{
	*s = (struct snapshot_world){.points = NULL};
	store_world_begin(&s->w);
	load(s);
	cr_assert_eq(hd_store_write(s->w.store, insert_many, publish_many, s->w.store, &s->w.err), HYDRO_OK, "%s", s->w.err.text);
	stop(s);
	cr_assert_eq(access(s->w.snapshot, F_OK), 0);
}

static void end(struct snapshot_world *s)
{
	stop(s);
	store_world_end(&s->w);
}

/* Opens and loads; whether the file was used. */
static bool start(struct snapshot_world *s)
{
	store_world_open(&s->w);
	load(s);
	return s->w.store->snapshot.has_file;
}

/* Or a good one is written when the store is closed. */
static void no_new_file(struct snapshot_world *s)
{
	struct hd_store_snapshot *snapshot = &s->w.store->snapshot;
	(void)pthread_mutex_lock(&snapshot->lock);
	snapshot->changed = 0;
	(void)pthread_mutex_unlock(&snapshot->lock);
}

static void check_all(struct snapshot_world *s, const char *changed)
{
	cr_assert_eq(hd_points_count(s->points), MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		char name[32], options[64];
		const struct hd_point *point = hd_points_get(s->points, i);
		struct hd_uuid id = point->id;
		(void)snprintf(name, sizeof name, "point %u", i);
		(void)snprintf(options, sizeof options, "{\"secret\":\"hush-%u\"}", i);
		cr_assert(point->index == i && hd_points_find(s->points, &id) == i && point->period_s == 900);
		cr_assert_str_eq(hd_point_name(point), changed && i == 4321 ? changed : name);
		cr_assert_str_eq(hd_point_options(point), i % 2 ? options : "{}");
		cr_assert_str_eq(hd_point_pipeline(point), "well");
		cr_assert_str_eq(hd_point_zone(point), "");
		hd_point_unref(point);
	}
}

static void rename_point(struct snapshot_world *s, uint32_t number, const char *name)
{
	const struct hd_point *now = hd_points_get(s->points, number);
	struct hd_store_point point = store_world_point(name);
	char options[64];
	(void)snprintf(options, sizeof options, "%s", hd_point_options(now));
	point.id = now->id;
	point.version = now->version;
	point.number = number;
	point.options = options;
	point.shown = "{\"secret\":\"***\"}";
	point.has_secret = number % 2;
	hd_point_unref(now);
	int rc = hd_store_point_replace(s->w.store, &point, NULL, NULL, &s->w.err);
	cr_assert_eq(rc, HYDRO_OK, "%s", s->w.err.text);
}

/* `path` put aside as "path.copy", or back. */
static void copy(const char *path, bool back)
{
	char text[512];
	(void)snprintf(text, sizeof text, back ? "cp '%s.copy' '%s'" : "cp '%s' '%s.copy'", path, path);
	cr_assert_eq(system(text), 0, "%s", text);
}

static void sql(struct snapshot_world *s, const char *text)
{
	struct hd_db *db = NULL;
	cr_assert_eq(hd_db_open(s->w.path, true, &db, &s->w.err), HYDRO_OK);
	cr_assert_eq(hd_db_exec(db, text, &s->w.err), HYDRO_OK, "%s", s->w.err.text);
	hd_db_close(&db);
}

Test(snapshot, a_start_takes_all_points_from_it_and_those_that_changed_since_from_their_rows)
{
	struct snapshot_world s;
	begin(&s);
	cr_assert(start(&s));
	check_all(&s, NULL);
	rename_point(&s, 4321, "another name");
	check_all(&s, "another name");
	stop(&s);
	cr_assert(start(&s));
	check_all(&s, "another name");
	struct hd_store_point fresh = store_world_point("new");
	cr_assert_eq(hd_store_point_create(s.w.store, &fresh, NULL, NULL, &s.w.err), HYDRO_OK);
	stop(&s);
	cr_assert(start(&s));
	cr_assert_eq(hd_points_count(s.points), MANY + 1);
	HD_CLEANUP(hd_cleanup_point) const struct hd_point *last = hd_points_get(s.points, MANY);
	cr_assert_str_eq(hd_point_name(last), "new");
	hd_cleanup_point(&last);
	end(&s);
}

Test(snapshot, holds_no_secret_in_the_clear_and_others_cannot_read_it)
{
	struct snapshot_world s;
	struct hd_buf file = {0};
	struct stat st;
	begin(&s);
	cr_assert_eq(stat(s.w.snapshot, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(hd_fs_read(s.w.snapshot, 1u << 24, &file, &s.w.err), HYDRO_OK);
	cr_assert_gt(file.len, MANY * 64);
	cr_assert_null(memmem(file.data, file.len, "hush-", 5));
	cr_assert_null(memmem(file.data, file.len, "point 1", 7));
	hd_buf_done(&file);
	end(&s);
}

Test(snapshot, a_damaged_one_is_not_used_wherever_the_damage_is)
{
	struct snapshot_world s;
	struct stat st;
	begin(&s);
	cr_assert_eq(stat(s.w.snapshot, &st), 0);
	copy(s.w.snapshot, false);
	const off_t places[] = {0, 9, 13, 17, 21, 25, 41, 50, 60, 90, st.st_size / 2, st.st_size - 1};
	for (size_t i = 0; i < HD_ARRAY_LEN(places); i++) {
		uint8_t byte;
		copy(s.w.snapshot, true);
		int fd = open(s.w.snapshot, O_RDWR | O_CLOEXEC);
		cr_assert(pread(fd, &byte, 1, places[i]) == 1);
		byte ^= 0x40;
		cr_assert(pwrite(fd, &byte, 1, places[i]) == 1 && close(fd) == 0);
		cr_assert_not(start(&s), "byte %lld", (long long)places[i]);
		check_all(&s, NULL);
		no_new_file(&s);
		stop(&s);
	}
	for (off_t len = 0; len < st.st_size; len += st.st_size / 7) {
		copy(s.w.snapshot, true);
		cr_assert_eq(truncate(s.w.snapshot, len), 0);
		cr_assert_not(start(&s), "cut at %lld", (long long)len);
		check_all(&s, NULL);
		no_new_file(&s);
		stop(&s);
	}
	cr_assert_not(start(&s));
	end(&s);
}

Test(snapshot, one_that_was_not_used_is_written_anew)
{
	struct snapshot_world s;
	begin(&s);
	cr_assert_eq(truncate(s.w.snapshot, 100), 0);
	cr_assert_not(start(&s));
	stop(&s);
	cr_assert(start(&s));
	check_all(&s, NULL);
	end(&s);
}

Test(snapshot, that_of_a_later_database_is_not_used_on_an_older_copy)
{
	struct snapshot_world s;
	begin(&s);
	copy(s.w.path, false);
	copy(s.w.snapshot, false);
	sql(&s, "UPDATE points SET name = 'later ' || number, version = version + 1");
	cr_assert(start(&s));
	stop(&s); /* many changes: a new file */
	copy(s.w.path, true);
	cr_assert_not(start(&s));
	check_all(&s, NULL);
	no_new_file(&s);
	stop(&s);
	/* Nor an older file whose changes the database has forgotten. */
	copy(s.w.snapshot, true);
	cr_assert(start(&s));
	check_all(&s, NULL);
	sql(&s, "UPDATE points_snapshot SET id = randomblob(16)");
	stop(&s);
	cr_assert_not(start(&s));
	end(&s);
}

Test(snapshot, a_crash_while_it_is_replaced_leaves_one_that_is_known)
{
	struct snapshot_world s;
	struct hd_snapshot *file;
	struct hd_snapshot_info info;
	char hex[33], text[128];
	begin(&s);
	cr_assert_eq(hd_snapshot_open(s.w.snapshot, &s.w.key, &file, &info, &s.w.err), HYDRO_OK);
	hd_snapshot_close(&file);
	for (int i = 0; i < 16; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", info.id[i]);
	/* Before the rename: the old file, with the id of one that never came. */
	sql(&s, "UPDATE points_snapshot SET next_id = randomblob(16)");
	cr_assert(start(&s));
	check_all(&s, NULL);
	stop(&s);
	/* After it: the new file, not yet the only one. */
	(void)snprintf(text, sizeof text, "UPDATE points_snapshot SET id = randomblob(16), next_id = x'%s'", hex);
	sql(&s, text);
	char fresh[128];
	(void)snprintf(fresh, sizeof fresh, "%s.new", s.w.snapshot);
	cr_assert_eq(hd_fs_write_atomic(fresh, "half", 4, 0600, &s.w.err), HYDRO_OK);
	cr_assert(start(&s));
	check_all(&s, NULL);
	cr_assert_neq(access(fresh, F_OK), 0, "what a crash left half written is gone");
	end(&s);
}

Test(snapshot, is_not_written_of_points_that_do_not_follow_the_database)
{
	struct snapshot_world s;
	begin(&s);
	cr_assert(start(&s));
	hd_store_snapshot_changed(s.w.store, MANY, HYDRO_E_NOMEM);
	sql(&s, "UPDATE points SET name = 'lost' WHERE number = 4321");
	stop(&s);
	cr_assert(start(&s));
	check_all(&s, "lost");
	end(&s);
}

Test(snapshot, the_log_of_changes_is_cut_once_a_file_has_them)
{
	struct snapshot_world s;
	struct hd_db *db = NULL;
	begin(&s);
	cr_assert_eq(hd_db_open(s.w.path, true, &db, &s.w.err), HYDRO_OK);
	sqlite3_stmt *stmt = hd_db_prepare(db, "SELECT count(*), max(seq) FROM point_changes", &s.w.err);
	cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
	cr_assert_eq(sqlite3_column_int(stmt, 0), 1, "its last one stays, so that numbers go on");
	cr_assert_eq(sqlite3_column_int(stmt, 1), (int)MANY);
	hd_db_close(&db);
	end(&s);
}

Test(snapshot, a_page_with_wrong_offsets_or_endless_texts_is_refused)
{
	uint64_t memory[64] = {0};
	uint32_t *offsets = (uint32_t *)memory;
	struct hd_point *point = (struct hd_point *)(void *)&memory[1];
	offsets[0] = 8;
	offsets[1] = (uint32_t)(8 + sizeof *point + 8);
	point->provider_at = 1, point->pipeline_at = 2, point->options_at = 3, point->params_at = 4, point->zone_at = 5;
	cr_assert(hd_snapshot_page_check(memory, offsets[1], 1));
	cr_assert_not(hd_snapshot_page_check(memory, offsets[1] - 1, 1));
	cr_assert_not(hd_snapshot_page_check(memory, 3, 1));
	cr_assert_not(hd_snapshot_page_check(memory, offsets[1], HD_POINTS_PAGE + 1));
	offsets[0] = 12;
	cr_assert_not(hd_snapshot_page_check(memory, offsets[1], 1), "not aligned");
	offsets[0] = 4096;
	cr_assert_not(hd_snapshot_page_check(memory, offsets[1], 1), "outside");
	offsets[0] = 0;
	cr_assert_not(hd_snapshot_page_check(memory, offsets[1], 1), "in the table");
	offsets[0] = 8;
	point->pipeline_at = 1;
	cr_assert_not(hd_snapshot_page_check(memory, offsets[1], 1));
	point->pipeline_at = 2;
	point->texts[1] = 'x';
	cr_assert_not(hd_snapshot_page_check(memory, offsets[1], 1), "a text that does not end where the next begins");
	point->texts[1] = '\0';
	memset(point->texts + 5, 'x', 3);
	cr_assert_not(hd_snapshot_page_check(memory, offsets[1], 1), "a last text without an end");
	point->zone_at = 8;
	cr_assert_not(hd_snapshot_page_check(memory, offsets[1], 1));
}
